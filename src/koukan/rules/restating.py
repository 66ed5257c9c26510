"""Restating: all that the 資格履歴 says of a person now, as another system is to have it (1-(2)).

What is sent of a person replaces all that was sent of it before. So whoever replays every push in
order has what the history says: of spells what `rules.spells` says; of every other section the line
that was told last under its key, after the insurer's last 訂正, where that insurer has any spell of
the person left. A 取消 takes away the certificates and tickets that it names; what it says of the
person itself counts like any other line.

A 紐付番号 that is not a person's shown one any more is deleted at the receiver. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from koukan.rules.persons import People
from koukan.rules.register import NONE, Ints
from koukan.rules.spells import (
    CANCELLATION,
    CORRECTION,
    FORMER,
    ORDER,
    PERSON,
    PROCESS,
    WITHDRAWAL,
    corrections,
    last_words,
    spells,
)

SAID = (*PERSON, "member_id", *ORDER, PROCESS, FORMER)  # what decides, beside a section's key
MAIN = "qualification"
ROW = "__row"
ACTING = [CORRECTION, CANCELLATION, WITHDRAWAL]  # events that take something away
Digests = npt.NDArray[np.uint64]
NOTHING = 0  # the digest of whoever the receiver is to have no line of


def affected(touched: Ints, before: People, after: People) -> Ints:
    """All 紐付番号 that have to be told anew, ascending.

    Args:
        touched: raw links under which anything was told, and those that statements name.
        before, after: persons as they were told last, and as they are now.
    """
    found = np.unique(touched[touched != NONE])
    for people in (before, after):
        if not people.trivial:
            owners = people.owners(found)
            others = people.raw_links(owners)[1]
            found = np.unique(np.concatenate([found, owners, others, people.canonical(others)]))
    return found


def named(statements: pl.DataFrame, groups: Collection[int]) -> Ints:
    """Raw links that statements of these groups name."""
    rows = statements.filter(pl.col("group_number").is_in(list(groups)))
    both = pl.concat([rows["link_number"], rows["survivor"]]).drop_nulls()
    return np.asarray(both.unique().sort().to_numpy(), np.int64)


def restated(
    told: Mapping[str, pl.DataFrame],
    keys: Mapping[str, Sequence[str]],
    people: People,
    persons: Ints,
) -> dict[str, pl.DataFrame]:
    """What holds of some persons now, by section.

    Args:
        told: section -> events under all raw links of these persons: SAID, the section's key and
            any items; `MAIN` is one of them. Others' too where anybody is joined or parted.
        keys: section -> by what, beside person and insurer, its lines name the same.
        persons: shown 紐付番号.
    """
    own = {name: people.attribute(events) for name, events in told.items()}
    if not people.trivial:
        mine = pl.col("link_number").is_in(pl.Series(persons).implode())
        own = {name: events.filter(mine) for name, events in own.items()}
    hard = _undecided(own)
    if not len(hard):
        return own
    among = {name: _among(events["link_number"].to_numpy(), hard) for name, events in own.items()}
    found = {}
    for name, last in _decided(own, among, keys).items():
        # A line by which somebody went on at another insurer may be the last word about both.
        lines = own[name][last[ROW].to_numpy()].with_columns(last["insurer_code"])
        found[name] = pl.concat([own[name].filter(pl.Series(~among[name])), lines])
    return found


def _undecided(own: Mapping[str, pl.DataFrame]) -> Ints:
    """Persons of whom not every line there is holds, ascending: the few that have to be looked at.

    Of whoever has one line of `MAIN` one event tells, and one line at most of each other section;
    it takes nothing away, and all of it holds.
    """
    main = own[MAIN]
    acts = pl.col(PROCESS).is_in(ACTING) | pl.col(FORMER).is_not_null()
    found = [main.lazy().filter(acts).select("link_number").collect()["link_number"].to_numpy()]
    known = np.zeros(0, np.int64)
    for name, events in sorted(own.items(), key=lambda item: item[0] != MAIN):
        links = events["link_number"].to_numpy()
        if not np.all(links[1:] > links[:-1]):  # files of several nights
            links = np.sort(links, kind="stable")
            found.append(links[1:][links[1:] == links[:-1]])
        if name == MAIN:
            known = links
        else:
            found.append(links[~_among(links, known)])
    return np.unique(np.concatenate(found))


def _among(links: Ints, known: Ints) -> npt.NDArray[np.bool_]:
    """Which of the links are known ones, which ascend."""
    if not len(known):
        return np.zeros(len(links), np.bool_)
    place = np.minimum(np.searchsorted(known, links), len(known) - 1)
    return np.asarray(known[place] == links, np.bool_)


def _decided(
    own: Mapping[str, pl.DataFrame],
    among: Mapping[str, npt.NDArray[np.bool_]],
    keys: Mapping[str, Sequence[str]],
) -> dict[str, pl.DataFrame]:
    """What holds where lines have to be held against each other: what decides, and `ROW`."""
    narrow = {
        name: events.select(*dict.fromkeys([*PERSON, *ORDER, PROCESS, FORMER, *keys[name]]))
        .with_row_index(ROW)
        .filter(pl.Series(among[name]))
        for name, events in own.items()
    }
    corrected = corrections(narrow[MAIN])
    held = spells(narrow[MAIN])
    found = {MAIN: held}
    for name in own.keys() - {MAIN}:
        key = (*PERSON, *keys[name])
        last = last_words(narrow[name], key, corrected, voids=bool(keys[name]))
        found[name] = last.join(held, on=list(PERSON), how="semi")
    return found


def digests(
    found: Mapping[str, pl.DataFrame], persons: Ints, issued: pl.DataFrame, layout: int
) -> Digests:
    """By person, one number for all that is said of it.

    Rows of the history never change, so what holds of a person is named by the receptions and lines
    that told it; no item has to be looked at, and none could be guessed from the digest.

    Args:
        found: `restated`.
        persons: shown 紐付番号, ascending.
        issued: `link_number`, `pmh_id` of those who have one.
        layout: a number for the items that are sent; 64 bits.
    """
    sums = np.zeros(len(persons), np.uint64)
    for place, name in enumerate(sorted(found), 1):
        frame = found[name]
        seed = layout ^ place
        told = _mixed(_whole(frame["reception"]), seed) ^ _whole(frame["line_number"])
        lines = _mixed(told, seed)
        _add(sums, persons, frame["link_number"].to_numpy(), lines)
    known = issued.sort("link_number").filter(
        pl.col("link_number").is_in(pl.Series(persons).implode())
    )
    ids = _mixed(_whole(known["pmh_id"]), layout)
    there = sums != 0
    _add(sums, persons, known["link_number"].to_numpy(), ids)
    return np.where(there, np.maximum(sums, 1), np.uint64(NOTHING))


def _add(sums: Digests, persons: Ints, links: Ints, what: Digests) -> None:
    """Sum up, modulo 2^64, by person."""
    if np.any(links[1:] < links[:-1]):
        order = np.argsort(links, kind="stable")
        links, what = links[order], what[order]
    if len(links):
        starts = np.flatnonzero(np.diff(links, prepend=-1))
        sums[np.searchsorted(persons, links[starts])] += np.add.reduceat(what, starts)


def _whole(numbers: pl.Series) -> Digests:
    return numbers.cast(pl.UInt64).to_numpy()


def _mixed(numbers: Digests, seed: int) -> Digests:
    """The last step of splitmix64: every bit of a number, and of the seed, counts for all."""
    mixed = numbers + np.uint64((seed + 1) * 0x9E3779B97F4A7C15 % 2**64)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(mixed ^ (mixed >> np.uint64(31)), np.uint64)
