"""Overlaps of spells, against plain Python that compares every pair of a person."""

from __future__ import annotations

import random
from datetime import date

import polars as pl
import pytest
from lives import Event, day, frame, life, told

from koukan.formats import load_catalogue
from koukan.rules.notices import lines_of, notice
from koukan.rules.overlaps import FOUND, overlaps
from koukan.rules.spells import spells
from koukan.shipped import formats_folder

Row = tuple[str, int, date, str]


def member_of(event: Event) -> int:
    return event.link_number * 10 + int(event.insurer_code[-1])


def found(events: list[Event], groups: set[int]) -> list[Row]:
    rows = frame(events).with_columns(member_id=pl.Series([member_of(one) for one in events]))
    told = overlaps(spells(rows), groups)
    assert told.schema == FOUND
    return told.rows()


def slow(events: list[Event], groups: set[int]) -> list[Row]:
    rows = set()
    for link in {event.link_number for event in events}:
        own = list(told([event for event in events if event.link_number == link]).values())
        for one in own:
            for two in own:
                touched = one.group_number in groups or two.group_number in groups
                if one is two or not touched or not both_cover_a_day(one, two):
                    continue
                code = "W411" if one.insurer_code == two.insurer_code else "W412"
                rows.add((one.insurer_code, member_of(one), one.qualification_date, code))
    return sorted(rows)


def both_cover_a_day(one: Event, two: Event) -> bool:
    days = range(-1, 60)
    return any(covers(one, day(at)) and covers(two, day(at)) for at in days)


def covers(event: Event, on: date) -> bool:
    end = event.disqualification_date
    return event.qualification_date <= on and (end is None or on < end)


@pytest.mark.parametrize("seed", range(6))
def test_overlaps_of_drawn_lives_are_those_of_plain_python(seed: int) -> None:
    draw = random.Random(seed)
    events = [event for link in range(60) for event in life(draw, link)]
    for groups in ({1}, {2, 3}, {1, 2, 3, 4}, set()):
        expected = slow(events, groups)
        assert found(events, groups) == expected
        assert bool(expected) == bool(groups)


def test_a_spell_that_begins_when_another_is_lost_overlaps_nothing() -> None:
    first = Event(1, "06990014", day(0), day(4), 1, 1, 2)
    second = Event(1, "06990022", day(4), None, 1, 1, 3)
    assert found([first, second], {1}) == []
    longer = first._replace(disqualification_date=day(5))
    assert [row[3] for row in found([longer, second], {1})] == ["W412", "W412"]


def test_a_notice_names_members_and_codes_and_nothing_of_the_other_side() -> None:
    events = [
        Event(1, "06990014", day(0), None, 1, 1, 2),
        Event(1, "06990014", day(4), None, 1, 1, 3),
        Event(1, "06990022", day(8), None, 1, 1, 4),
    ]
    rows = pl.DataFrame(found(events, {1}), schema=FOUND, orient="row")
    assert lines_of(rows, "06990014").rows() == [(14, "W411"), (14, "W412")]
    lines = lines_of(rows, "06990022")
    assert lines.rows() == [(12, "W412")]
    catalogue, _ = load_catalogue(formats_folder())
    assert catalogue is not None
    form = catalogue.formats["spell_notice"]
    control = {
        "insurer_code": "06990022",
        "review_number": "000001",
        "creation_date": "20260402",
    }
    text = notice(form, catalogue.reasons, control, lines).decode("cp932")
    reason = catalogue.reasons["W412"]
    assert text.splitlines() == [
        "00,06990022,000001,20260402",
        f"71,0000000012,W412,{reason.text},{reason.action}",
        "99,00000001",
    ]
