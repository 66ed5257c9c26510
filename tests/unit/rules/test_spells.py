"""Spells against a plain-Python oracle over thousands of drawn life courses."""

from __future__ import annotations

import random
from collections import Counter
from datetime import date

import polars as pl
import pytest
from lives import (
    DAYS,
    INSURERS,
    Event,
    Spell,
    day,
    frame,
    insurers_of,
    life,
    spells_of,
)

from koukan.rules.spells import ANSWER, CHANGES, changed, on_days, spells

LIVES = 3_000
A, B, _ = INSURERS


@pytest.fixture(scope="module")
def lives() -> dict[int, list[Event]]:
    draw = random.Random(20260401)
    return {link: life(draw, link) for link in range(LIVES)}


@pytest.fixture(scope="module")
def events(lives: dict[int, list[Event]]) -> pl.DataFrame:
    """Everybody's, shuffled: nothing depends on where an event stands."""
    every = [event for one in lives.values() for event in one]
    random.Random(2).shuffle(every)
    return frame(every)


def event(
    begin: int,
    end: int | None,
    *,
    insurer: str = A,
    group: int = 1,
    reception: int = 1,
    line: int = 2,
    process: str = "1",
    former: str | None = None,
) -> Event:
    until = None if end is None else day(end)
    return Event(7, insurer, day(begin), until, group, reception, line, process, former)


def answers(events: list[Event], on: date) -> list[tuple[object, ...]]:
    asked = pl.DataFrame({"question": [0], "link_number": [7], "day": [on]})
    return on_days(spells(frame(events)), asked).drop("question").rows()


def test_spells_are_those_of_the_oracle(
    lives: dict[int, list[Event]], events: pl.DataFrame
) -> None:
    found: dict[int, list[Spell]] = {}
    for row in spells(events).iter_rows(named=True):
        spell = Spell(row["insurer_code"], row["qualification_date"], row["disqualification_date"])
        found.setdefault(row["link_number"], []).append(spell)
    wanted = {link: spells_of(one) for link, one in lives.items()}
    assert found == {link: one for link, one in wanted.items() if one}


def test_every_day_has_the_insurers_of_the_oracle(
    lives: dict[int, list[Event]], events: pl.DataFrame
) -> None:
    asked = [(link, day(number)) for link in lives for number in range(-1, DAYS + 2, 3)]
    random.Random(3).shuffle(asked)
    questions = pl.DataFrame(
        [(number, *pair) for number, pair in enumerate(asked)],
        schema={"question": pl.Int64, "link_number": pl.Int64, "day": pl.Date},
        orient="row",
    )
    found = on_days(spells(events), questions)
    assert found.columns == list(ANSWER)
    wanted = [
        (number, *spell)
        for number, (link, on) in enumerate(asked)
        for _, spell in sorted(insurers_of(lives[link], on).items())
    ]
    assert found.rows() == wanted
    assert any(count > 1 for count in Counter(row[0] for row in wanted).values())  # overlaps


@pytest.mark.parametrize("groups", [(0, 1), (1, 2), (1, 4), (2, 2)])
def test_changes_are_those_of_the_oracle(
    lives: dict[int, list[Event]], events: pl.DataFrame, groups: tuple[int, int]
) -> None:
    """What was known after one group against what was known after another."""
    states = [spells(events.filter(pl.col("group_number") <= last)) for last in groups]
    wanted: dict[str, Counter[str]] = {}
    for one in lives.values():
        before, after = (
            {spell[:2]: spell.end for spell in spells_of(e for e in one if e.group_number <= last)}
            for last in groups
        )
        for key, end in after.items():
            counts = wanted.setdefault(key[0], Counter())
            was = before.get(key)
            counts["begun"] += key not in before
            counts["ended"] += end is not None and was is None
            counts["reopened"] += end is None and was is not None
            counts["moved"] += end is not None and was is not None and end != was
        for key in before.keys() - after.keys():
            wanted.setdefault(key[0], Counter())["voided"] += 1
    found = {row.pop("insurer_code"): row for row in changed(*states).to_dicts()}
    told = {
        code: {name: counts[name] for name in CHANGES}
        for code, counts in wanted.items()
        if counts.total()
    }
    assert found == told
    assert list(found) == sorted(found)


def test_a_spell_covers_its_first_day_and_not_the_day_of_loss() -> None:
    one = [event(10, 20)]
    assert [bool(answers(one, day(n))) for n in (9, 10, 19, 20)] == [False, True, True, False]


def test_a_loss_supersedes_and_a_later_event_can_take_it_back() -> None:
    lost = [event(1, None), event(1, 5, reception=2)]
    assert answers(lost, day(6)) == []
    assert answers([*lost, event(1, None, reception=3)], day(6)) == [(A, day(1), None)]


def test_what_was_committed_last_counts_not_what_came_last() -> None:
    released = [event(1, 5, group=2, reception=1), event(1, None, group=1, reception=2)]
    assert answers(released, day(6)) == []
    assert answers([event(1, 5, line=3), event(1, None, line=2)], day(6)) == []


def test_another_insurers_spell_ends_nothing() -> None:
    both = [event(1, None), event(3, None, insurer=B, reception=2)]
    assert answers(both, day(4)) == [(A, day(1), None), (B, day(3), None)]


def test_an_insurer_is_told_once_with_the_spell_that_began_last() -> None:
    assert answers([event(1, None), event(3, None, reception=2)], day(4)) == [(A, day(3), None)]
    assert answers([event(1, None), event(3, 4, reception=2)], day(4)) == [(A, day(1), None)]


def test_a_correction_replaces_what_its_insurer_said_before_and_nobody_else() -> None:
    wrong = [event(1, None), event(3, 9), event(1, None, insurer=B)]
    right = event(2, None, group=2, process="5")
    assert answers([*wrong, right], day(5)) == [(A, day(2), None), (B, day(1), None)]
    again = event(1, None, group=2, reception=0, process="3")  # in an earlier file
    later = event(1, None, group=3, process="3")
    assert answers([*wrong, right, again], day(1)) == [(B, day(1), None)]
    assert answers([*wrong, right, later], day(1)) == [(A, day(1), None), (B, day(1), None)]


@pytest.mark.parametrize("process", ["6", "7"])
def test_what_was_cancelled_is_no_spell_until_it_is_told_again(process: str) -> None:
    told = [event(1, None), event(5, None), event(1, None, group=2, process=process)]
    assert answers(told, day(6)) == [(A, day(5), None)]
    assert answers(told, day(2)) == []
    assert answers([*told, event(1, None, group=3)], day(2)) == [(A, day(1), None)]


def test_who_moves_to_another_insurer_code_has_left_the_former_one() -> None:
    told = [event(1, None), event(1, None, insurer=B, group=2, process="3", former=A)]
    assert answers(told, day(2)) == [(B, day(1), None)]
    back = event(1, None, group=3, process="3", former=B)
    assert answers([*told, back], day(2)) == [(A, day(1), None)]


def test_nobody_has_a_stranger() -> None:
    asked = pl.DataFrame({"question": [0], "link_number": [8], "day": [day(1)]})
    assert on_days(spells(frame([event(1, None)])), asked).rows() == []
    assert spells(frame([])).is_empty()
