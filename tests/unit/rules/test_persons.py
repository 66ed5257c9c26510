"""Persons against a plain-Python twin over random statements of insurers."""

from __future__ import annotations

import random
from collections.abc import Collection
from typing import Any

import numpy as np
import polars as pl
import pytest
from statements import (
    Row,
    Twin,
    X,
    Y,
    frame,
    joined,
    parted,
    rank_of,
    renumbered,
    who,
    withdrawn,
)

from koukan.rules.line_keys import NONE
from koukan.rules.persons import JOINED, MEMBERS, PARTED, RENUMBERED, WITHDRAWN, People


def ints(*numbers: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.array(numbers, np.int64)


def statements(draw: random.Random, count: int) -> list[Row]:
    """As insurers make them: a member that has left is not spoken of again."""
    living = {insurer: list(range(1, 12)) for insurer in (X, Y)}
    rows = []
    for at in range(1, count + 1):
        insurer = draw.choice((X, Y))
        member = draw.choice(living[insurer])
        act = draw.choices((JOINED, PARTED, RENUMBERED, WITHDRAWN), (6, 3, 2, 1))[0]
        if len(living[insurer]) < 3:
            act = JOINED
        if act == JOINED:
            one, other = draw.sample(range(1, 16), 2)
            rows.append(joined(member, one, other, at, insurer=insurer))
        elif act == PARTED:
            survivor = draw.randrange(1, 16)
            for link in draw.sample(range(1, 16), draw.randrange(1, 3)):
                rows.append(parted(member, link, survivor, at, insurer=insurer))
        else:
            living[insurer].remove(member)
            if act == WITHDRAWN:
                rows.append(withdrawn(member, at, insurer=insurer))
            else:
                rows.append(renumbered(member, draw.choice(living[insurer]), at, insurer=insurer))
    return rows


def compared(rows: list[Row], groups: Collection[int] | None) -> None:
    twin, people = Twin(rows, groups), People.of(frame(rows[::-1]), groups)
    links = list(range(1, 17))
    assert people.canonical(ints(*links, NONE)).tolist() == [*map(twin.person, links), NONE]
    members = [(insurer, member) for insurer in (X, Y) for member in range(13)]
    insurers, numbers = (ints(*column) for column in zip(*members, strict=True))
    known = [(f"{insurer:08d}", member) for insurer, member in members]
    assert people.current(insurers, numbers).tolist() == [twin.current(one) for one in known]
    pairs = [(member, link) for member in known for link in links]
    events = pl.DataFrame(
        [(link, code, member, at) for at, ((code, member), link) in enumerate(pairs)],
        schema=["link_number", "insurer_code", "member_id", "at"],
        orient="row",
    )
    wanted = {at: twin.owner(*pair) for at, pair in enumerate(pairs)}
    shown = people.attribute(events)
    assert dict(shown.select("at", "link_number").iter_rows()) == {
        at: owner for at, owner in wanted.items() if owner is not None
    }
    assert shown.columns == events.columns and shown.schema == events.schema
    left = people.left(
        events["insurer_code"].cast(pl.Int64).to_numpy(),
        events["member_id"].to_numpy(),
        events["link_number"].to_numpy(),
    )
    assert left.tolist() == [wanted[at] != twin.person(link) for at, (_, link) in enumerate(pairs)]
    told = {who(row) for row in twin.rows if row["act"] != JOINED}
    told |= {(code, twin.current((code, member))) for code, member in told}
    told |= {(r["insurer_code"], r["successor"]) for r in twin.of(RENUMBERED)}
    assert people.spoken_of(insurers, numbers).tolist() == [one in told for one in known]
    alone = [twin.raw_links(link) == {link} for link in links]
    scattered = people.scattered(ints(*links)).tolist()
    assert all(one or other for one, other in zip(alone, scattered, strict=True))
    assert people.groups == tuple(sorted({row["group_number"] for row in twin.rows}))
    index, raw = people.raw_links(ints(*links, NONE))
    found: dict[int, list[int]] = {}
    for asked, link in zip(index.tolist(), raw.tolist(), strict=True):
        found.setdefault(links[asked], []).append(link)
    assert found == {link: sorted(twin.raw_links(link)) for link in links}


@pytest.mark.parametrize("seed", range(30))
def test_persons_are_those_of_the_twin(seed: int) -> None:
    draw = random.Random(seed)
    rows = statements(draw, draw.randrange(1, 40))
    compared(rows, None)
    compared(rows, range(1, 1 + draw.randrange(len(rows))))  # as it was known then


def test_nothing_was_said() -> None:
    people = People.of(frame([]))
    assert people.trivial
    assert people.canonical(ints(5, NONE, 7)).tolist() == [5, NONE, 7]
    assert people.current(ints(X, X), ints(1, NONE)).tolist() == [1, NONE]
    assert not people.left(ints(X), ints(1), ints(5)).any()
    index, raw = people.raw_links(ints(9, NONE, 5))
    assert (index.tolist(), raw.tolist()) == ([0, 2], [9, 5])
    assert not people.scattered(ints(5, NONE)).any()
    events = pl.DataFrame({"link_number": [5], "insurer_code": ["06139999"], "member_id": [1]})
    assert people.attribute(events) is events


def test_long_chains_of_numbers_are_one_person() -> None:
    links = list(range(1, 3_000))
    rows = [joined(1, link + 1, link, 1) for link in links]
    random.Random(5).shuffle(rows)
    people = People.of(frame(rows))
    first = min(range(1, 3_001), key=rank_of)
    assert set(people.canonical(ints(*links)).tolist()) == {first}


def test_long_chains_of_members_lead_to_the_last() -> None:
    people = People.of(frame(renumbered(member, member + 1, member) for member in range(1, 900)))
    assert people.current(ints(X, X, Y), ints(1, 444, 1)).tolist() == [900, 900, 1]


def test_a_member_is_named_with_all_who_go_on_as_it() -> None:
    people = People.of(frame([renumbered(1, 2, 1), renumbered(2, 3, 2)]))
    assert people.names(ints(X), ints(3)).tolist() == [X * MEMBERS + each for each in (1, 2, 3)]
    assert people.names(ints(X), ints(7)).tolist() == [X * MEMBERS + 7]


def test_what_is_said_of_a_successor_holds_for_both_from_then_on() -> None:
    before = People.of(frame([parted(2, 5, 8, 1), renumbered(1, 2, 2)]))
    after = People.of(frame([renumbered(1, 2, 1), parted(2, 5, 8, 2)]))
    events = pl.DataFrame({"link_number": [5], "insurer_code": ["06139999"], "member_id": [1]})
    assert before.attribute(events)["link_number"].to_list() == [5]
    assert after.attribute(events)["link_number"].to_list() == [8]


def test_a_time_of_waiting_stays_without_a_link_until_the_member_is_withdrawn() -> None:
    events = pl.DataFrame(
        {"link_number": [None, 5], "insurer_code": ["06139999"] * 2, "member_id": [1, 1]}
    )
    moved = People.of(frame([parted(1, 5, 8, 1)]))
    assert moved.attribute(events)["link_number"].to_list() == [None, 8]
    gone = People.of(frame([parted(1, 5, 8, 1), withdrawn(1, 2)]))
    assert gone.attribute(events).is_empty()
    where = ints(X, X), ints(1, 1), ints(NONE, 5)
    assert moved.left(*where).tolist() == [False, True]
    assert gone.left(*where).tolist() == [True, True]


def test_events_of_strangers_are_looked_at_by_nobody() -> None:
    people = People.of(frame([parted(1, 5, 8, 1)]))
    events = pl.DataFrame({"link_number": [5, 6], "insurer_code": ["06139999"] * 2})
    strangers = events.with_columns(member_id=pl.Series([70, 71]))
    assert people.attribute(strangers).equals(strangers)
    assert people.attribute(strangers.head(0)).is_empty()
