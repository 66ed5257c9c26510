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
from koukan.rules.spells import FORMER, ORDER, PERSON, PROCESS, corrections, last_words, spells

SAID = (*PERSON, "member_id", *ORDER, PROCESS, FORMER)  # what decides, beside a section's key
MAIN = "qualification"
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
            others = people.raw_links(found)[1]
            found = np.unique(np.concatenate([found, others, people.canonical(others)]))
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
        told: section -> events under all raw links of these persons, others' too: SAID, the
            section's key and any items; `MAIN` is one of them.
        keys: section -> by what, beside person and insurer, its lines name the same.
        persons: shown 紐付番号.
    """
    mine = pl.col("link_number").is_in(pl.Series(persons).implode())
    own = {name: people.attribute(events).filter(mine) for name, events in told.items()}
    corrected = corrections(own[MAIN])
    held = spells(own[MAIN])
    found = {MAIN: held}
    for name in told.keys() - {MAIN}:
        key = (*PERSON, *keys[name])
        last = last_words(own[name], key, corrected, voids=bool(keys[name]))
        found[name] = last.join(held, on=list(PERSON), how="semi").sort(key)
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
    """Sum up, modulo 2^64, by person; equal links are neighbours."""
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
