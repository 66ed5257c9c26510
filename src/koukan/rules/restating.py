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

from koukan.rules.line_keys import NONE
from koukan.rules.persons import People
from koukan.rules.register import Ints, Mask
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
ROW, PLACE = "__row", "__place"
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
        persons: shown 紐付番号, ascending.

    Returns:
        rows in no order, each with the `PLACE` of its person in `persons`.
    """
    own = {name: _placed(people.attribute(events), persons) for name, events in told.items()}
    hard = _undecided(own, len(persons))
    if not hard.any():
        return own
    among = {name: hard[events[PLACE].to_numpy()] for name, events in own.items()}
    found = {}
    for name, last in _decided(own, among, keys).items():
        # A line by which somebody went on at another insurer may be the last word about both.
        lines = own[name][last[ROW].to_numpy()].with_columns(last["insurer_code"])
        found[name] = pl.concat([own[name].filter(pl.Series(~among[name])), lines])
    return found


def _placed(events: pl.DataFrame, persons: Ints) -> pl.DataFrame:
    """These persons' events, with the place of each one's person.

    Looked up once, for all that is asked of it: in a file strangers stand side by side.
    """
    links = events["link_number"].to_numpy()
    place = np.searchsorted(persons, links)
    events = events.with_columns(pl.Series(PLACE, place, dtype=pl.UInt32))
    if not len(persons):
        return events.clear()
    mine = persons[np.minimum(place, len(persons) - 1)] == links
    return events if mine.all() else events.filter(pl.Series(mine))


def _undecided(own: Mapping[str, pl.DataFrame], persons: int) -> Mask:
    """Persons of whom not every line there is holds: the few that have to be looked at.

    Of whoever has one line of `MAIN` one event tells, and one line at most of each other section;
    it takes nothing away, and all of it holds.
    """
    lines = {
        name: np.bincount(events[PLACE].to_numpy(), minlength=persons)
        for name, events in own.items()
    }
    acts = pl.col(PROCESS).is_in(ACTING) | pl.col(FORMER).is_not_null()
    hard = np.zeros(persons, np.bool_)
    hard[own[MAIN].lazy().filter(acts).select(PLACE).collect()[PLACE].to_numpy()] = True
    for name, count in lines.items():
        hard |= count > 1
        if name != MAIN:
            hard |= (count > 0) & (lines[MAIN] == 0)
    return hard


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
        found: `restated`, of the same persons.
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
        np.add.at(sums, frame[PLACE].to_numpy(), lines)  # modulo 2^64
    there = sums != 0
    known = _placed(issued, persons)
    np.add.at(sums, known[PLACE].to_numpy(), _mixed(_whole(known["pmh_id"]), layout))
    return np.where(there, np.maximum(sums, 1), np.uint64(NOTHING))


def _whole(numbers: pl.Series) -> Digests:
    return numbers.cast(pl.UInt64).to_numpy()


def _mixed(numbers: Digests, seed: int) -> Digests:
    """The last step of splitmix64: every bit of a number, and of the seed, counts for all."""
    mixed = numbers + np.uint64((seed + 1) * 0x9E3779B97F4A7C15 % 2**64)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(mixed ^ (mixed >> np.uint64(31)), np.uint64)
