"""Remarks over one person's lines, against plain Python that takes persons one by one."""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from plain_files import shipped_format
from unit.rules.test_ages import EPOCH, birthday, elderly_from

from koukan.rules.fitting import SPAN, Days, misfits, span_columns
from koukan.rules.line_keys import NONE
from koukan.rules.register import Lines, persons_of

FORM = shipped_format("csv")
TYPES = {record.section: int(record.code) for record in FORM.records}
KINDS = {1: "health_society", 2: "elderly_union", 3: "welfare"}
STRANGER = 4  # an insurer whose kind nobody knows
VALID = ("certificate", "elderly_certificate", "limit_certificate", "specific_disease_certificate")
Found = set[tuple[int, str, str]]


@dataclass(frozen=True)
class Line:
    person: int
    section: str
    insurer: int = 1
    begin: date | str | None = None  # of a birth: as it is written
    end: date | None = None


def day_of(value: date | str | None) -> int:
    if isinstance(value, str):
        return int(value)
    return NONE if value is None else (value - EPOCH).days


def found(lines: list[Line]) -> Found:
    size = len(lines)
    nothing = np.full(size, NONE, np.int64)
    columns = Lines(
        reception=np.zeros(size, np.int32),
        record_number=np.array([line.person for line in lines], np.int64),
        type=np.array([TYPES[line.section] for line in lines], np.int8),
        process=np.ones(size, np.int8),
        insurer=np.array([line.insurer for line in lines], np.int32),
        bad=np.zeros(size, np.bool_),
        **dict.fromkeys(("my_number", "member_id", "target", "key"), nothing),
    )
    days = Days(
        np.array([day_of(line.begin) for line in lines], np.int32),
        np.array([day_of(line.end) for line in lines], np.int32),
    )
    persons, _ = persons_of(columns)
    return set(misfits(FORM, columns, persons.of_line, days, KINDS).rows())


def slow(lines: list[Line]) -> Found:
    told: Found = set()
    people: dict[int, list[int]] = defaultdict(list)
    for row, line in enumerate(lines):
        people[line.person].append(row)
    for rows in people.values():
        spells = [lines[row] for row in rows if lines[row].section == "qualification"]
        births = [lines[row].begin for row in rows if lines[row].section == "basic"]
        born = certain(births[-1]) if births else None
        for row in rows:
            line = lines[row]
            if line.section in VALID and spells and not any(inside(line, one) for one in spells):
                told.add((row, "valid_from_date", "W413"))
            if line.section == "elderly_certificate" and born and not fits(line, born):
                told.add((row, "valid_from_date", "W421"))
            if line.section == "qualification" and born and elsewhere(line, born):
                told.add((row, "qualification_date", "W422"))
    return told


def certain(birth: date | str | None) -> date | None:
    try:
        return date.fromisoformat(f"{birth[:4]}-{birth[4:6]}-{birth[6:]}") if birth else None  # type: ignore[index]
    except ValueError:
        return None


def inside(certificate: Line, spell: Line) -> bool:
    first, begin = certificate.begin, spell.begin
    assert isinstance(first, date)
    assert isinstance(begin, date)
    if first < begin or (spell.end and first >= spell.end):
        return False
    return not (spell.end and certificate.end and certificate.end > spell.end)


def fits(line: Line, born: date) -> bool:
    assert isinstance(line.begin, date)
    if not elderly_from(born) <= line.begin < birthday(born, 75):
        return False
    return line.end is None or line.end <= birthday(born, 75)


def elsewhere(line: Line, born: date) -> bool:
    assert isinstance(line.begin, date)
    old = line.begin >= birthday(born, 75)
    return {1: old, 2: not old}.get(line.insurer, False)


def drawn_person(draw: random.Random, person: int) -> list[Line]:
    insurer = draw.choice((1, 1, 2, 3, STRANGER))
    born = date(draw.randint(1900, 1960), 1, 1) + timedelta(days=draw.randrange(366))
    written = f"{born:%Y%m%d}"
    written = draw.choice((written,) * 6 + (written[:6] + "00", "0000" + written[4:]))
    about = birthday(born, draw.choice((70, 75)))

    def near() -> date:
        return about + timedelta(days=draw.choice((-400, -31, -2, -1, 0, 1, 2, 30, 400)))

    lines = [Line(person, "basic", insurer, written)]
    for _ in range(draw.choice((0, 1, 1, 1, 2, 3))):
        begin = near()
        end = None if draw.random() < 0.5 else begin + timedelta(days=draw.randint(1, 60))
        lines.append(Line(person, "qualification", insurer, begin, end))
    for _ in range(draw.randint(0, 3)):
        begin = draw.choice([line.begin for line in lines[1:]] or [near()])
        assert isinstance(begin, date)
        end = None if draw.random() < 0.4 else begin + timedelta(days=draw.randint(1, 60))
        begin += timedelta(days=draw.choice((-1, 0, 0, 1, 20)))
        lines.append(Line(person, draw.choice(VALID), insurer, begin, end))
    draw.shuffle(lines)
    return lines


@pytest.mark.parametrize("seed", range(5))
def test_persons_drawn_at_the_borders_are_told_what_plain_python_tells(seed: int) -> None:
    draw = random.Random(seed)
    lines = [line for person in range(400) for line in drawn_person(draw, person)]
    if seed % 2:  # nobody's lines stand together
        draw.shuffle(lines)
    told = slow(lines)
    assert {code for _, _, code in told} == {"W413", "W421", "W422"}
    assert found(lines) == told


def test_the_years_before_1970_count_like_any() -> None:
    old = Line(1, "basic", 1, "18800301")
    spell = Line(1, "qualification", 1, date(1955, 3, 1))
    assert found([old, spell]) == {(1, "qualification_date", "W422")}
    assert found([old, Line(1, "qualification", 1, date(1955, 2, 28))]) == set()
    union = [Line(1, "basic", 2, "18800301"), Line(1, "qualification", 2, date(1955, 2, 28))]
    assert found(union) == {(1, "qualification_date", "W422")}


def test_nobody_is_told_anything_of_no_lines() -> None:
    assert found([]) == set()


def columns_of(section: str, **values: list[object]) -> list[tuple[object, ...]]:
    frame = pl.DataFrame(values)
    record = FORM.section(section)
    told = frame.select(span_columns(record, frame.columns))
    assert told.schema == SPAN or not told.height
    return told.rows()


def test_the_days_of_a_line_are_two_numbers() -> None:
    first, last = date(1970, 1, 2), date(1970, 1, 11)
    assert columns_of("basic", birth_date=["19560229", "19560000", None]) == [
        (19560229, NONE),
        (19560000, NONE),
        (NONE, NONE),
    ]
    assert columns_of("basic", name=["架空"]) == [(NONE, NONE)]
    assert columns_of(
        "qualification", qualification_date=[first, first], disqualification_date=[last, None]
    ) == [(1, 10), (1, NONE)]
    days = {"valid_from_date": [first, first, None], "valid_to_date": [last, None, last]}
    assert columns_of("certificate", **days) == [(1, 11), (1, NONE), (NONE, 11)]
    returned = pl.Series([last, None, None], dtype=pl.Date).to_list()
    assert columns_of("certificate", **days, return_date=returned)[0] == (1, NONE)
    assert columns_of("information_control", opt_out=["0"]) == [(NONE, NONE)]
