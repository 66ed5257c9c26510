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
import polars as pl

from koukan.rules.persons import People
from koukan.rules.register import NONE, Ints
from koukan.rules.spells import FORMER, ORDER, PERSON, PROCESS, corrections, last_words, spells

SAID = (*PERSON, "member_id", *ORDER, PROCESS, FORMER)  # what decides, beside a section's key
MAIN = "qualification"


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
