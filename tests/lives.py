"""Life courses drawn for tests, and a slow, obvious oracle over one person's events."""

from __future__ import annotations

import random
from collections.abc import Iterable
from datetime import date, timedelta
from typing import NamedTuple

import polars as pl

INSURERS = ("06990014", "06990022", "99990013")
FIRST = date(2020, 1, 1)
DAYS = 40  # few, so that lives are full of repeated and touching days


class Event(NamedTuple):
    """One line of 加入者資格情報 as the 資格履歴 has it."""

    link_number: int
    insurer_code: str
    qualification_date: date
    disqualification_date: date | None
    group_number: int
    reception: int
    line_number: int
    process_type_code: str = "1"
    former_insurer_code: str | None = None


class Spell(NamedTuple):
    insurer: str
    begin: date
    end: date | None


SCHEMA = {
    "link_number": pl.Int64,
    "insurer_code": pl.String,
    "qualification_date": pl.Date,
    "disqualification_date": pl.Date,
    "group_number": pl.Int64,
    "reception": pl.Int64,
    "line_number": pl.Int64,
    "process_type_code": pl.String,
    "former_insurer_code": pl.String,
}


def day(number: int) -> date:
    return FIRST + timedelta(days=number)


def life(draw: random.Random, link: int) -> list[Event]:
    """A person's events, shuffled; receptions are committed in another order than they came."""
    events = []
    for number in range(draw.randint(1, 9)):
        begin = draw.randrange(0, DAYS, 4)
        end = None if draw.random() < 0.4 else day(draw.randint(begin + 1, DAYS))
        insurer = draw.choice(INSURERS)
        group = draw.randint(1, 4)
        reception = 10 * draw.randint(1, 4) + group
        process = draw.choice("1234567" if draw.random() < 0.4 else "34")
        others = [code for code in INSURERS if code != insurer]
        former = draw.choice(others) if process == "3" and draw.random() < 0.3 else None
        place = group, reception, 2 + number
        events.append(Event(link, insurer, day(begin), end, *place, process, former))
    draw.shuffle(events)
    return events


def frame(events: Iterable[Event]) -> pl.DataFrame:
    """As the table has them; who has no 枝番 of an insurer here is called by the link."""
    found = pl.DataFrame(list(events), schema=SCHEMA, orient="row")
    return found.with_columns(member_id="link_number")


# --- the oracle: one person, one event after another


def told(events: Iterable[Event]) -> dict[tuple[str, date], Event]:
    """The event that counts for each spell of one person."""
    found: dict[tuple[str, date], Event] = {}
    for event in sorted(events, key=lambda one: (one.group_number, one.reception, one.line_number)):
        key = event.insurer_code, event.qualification_date
        if event.process_type_code == "5":  # 訂正: what its insurer said in earlier files is gone
            for other, earlier in list(found.items()):
                if other[0] == event.insurer_code and earlier[4:6] < event[4:6]:
                    del found[other]
        if event.process_type_code in "67":  # 取消, 管理終了
            found.pop(key, None)
            continue
        if event.former_insurer_code is not None:
            found.pop((event.former_insurer_code, event.qualification_date), None)
        found[key] = event
    return found


def spells_of(events: Iterable[Event]) -> list[Spell]:
    found = told(events).items()
    return sorted(Spell(*key, event.disqualification_date) for key, event in found)


def insurers_of(events: Iterable[Event], on: date) -> dict[str, Spell]:
    """Who had the person on a day."""
    found = {}
    for spell in spells_of(events):  # by insurer and begin: the last one of an insurer stays
        if spell.begin <= on and (spell.end is None or on < spell.end):
            found[spell.insurer] = spell
    return found
