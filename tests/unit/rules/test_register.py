"""Rules over lines, against a plain Python that groups them with dictionaries."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from dataclasses import dataclass, fields, replace
from itertools import combinations

import numpy as np
import polars as pl
import pytest
from plain_files import samples, shipped_format

from koukan.rules.checks import FINDINGS, as_date
from koukan.rules.line_keys import AS_INSURER, AS_MEMBER, KEYS, NONE, key_columns, room_for
from koukan.rules.register import (
    Judgement,
    Lines,
    barred_types,
    companions,
    duplicate_candidates,
    duplicates,
    judge,
    persons_of,
)

FORM = shipped_format("csv")
TYPES = [int(record.code) for record in FORM.required]
TICKET = int(FORM.section("medical_ticket").code)
BARRED = {6990014: 1 << TICKET, 1130012: 0}  # the second one may register anything
Found = set[tuple[int, str, str]]


@dataclass(frozen=True)
class Line:
    """One line; `content` stands for its bytes behind the record number."""

    reception: int
    record_number: int
    type: int
    process: int
    insurer: int
    my_number: int
    member_id: int
    target: int
    key: int
    bad: bool
    content: int


def columns(lines: list[Line]) -> Lines:
    values = {}
    for field in fields(Lines):
        kind = np.bool_ if field.name == "bad" else np.int64
        values[field.name] = np.array([getattr(line, field.name) for line in lines], kind)
    return Lines(**values)


def judged(lines: list[Line]) -> tuple[Judgement, Found]:
    whole = columns(lines)
    rows = duplicate_candidates(whole)
    digests = [np.array([lines[row].content for row in rows], np.uint64)] * 2
    judgement = judge(FORM, whole, *duplicates(whole, rows, digests), barred=BARRED)
    return judgement, set(judgement.findings.rows())


def test_what_judges_lines_is_let_go_when_they_are_judged() -> None:
    whole = columns([Line(0, 7, TYPES[0], 1, 6990014, 5, NONE, NONE, 3, False, 1)] * 2)
    left = whole.judged()
    gone = {item.name for item in fields(Lines) if not len(getattr(left, item.name))}
    assert gone == {"process", "my_number", "member_id", "target", "key"}
    for name in {item.name for item in fields(Lines)} - gone:
        assert getattr(left, name) is getattr(whole, name)


def repetitions(lines: list[Line]) -> list[int]:
    """Lines that repeat another, whatever becomes of their persons."""
    whole = columns(lines)
    rows = duplicate_candidates(whole)
    digests = [np.array([lines[row].content for row in rows], np.uint64)] * 2
    repeated: list[int] = duplicates(whole, rows, digests)[0].tolist()
    return repeated


@dataclass
class Slow:
    findings: Found
    duplicate: list[bool]
    rejected: dict[tuple[int, int], bool]  # by (reception, record number)


def who(line: Line) -> tuple[int, int]:
    """Whose line it is: a waiting person has nothing but its record number."""
    return line.my_number, line.record_number if line.my_number == NONE else NONE


def slow(lines: list[Line]) -> Slow:
    findings: Found = set()
    duplicate = [False] * len(lines)
    same: dict[tuple[int, ...], list[int]] = defaultdict(list)
    people: dict[tuple[int, int], list[int]] = defaultdict(list)
    for row, line in enumerate(lines):
        people[line.reception, line.record_number].append(row)
        if not line.bad and line.key != NONE:
            identity = (line.reception, line.type, line.insurer, *who(line), line.key)
            same[identity].append(row)
    contradicting = set()
    for rows in same.values():
        if len({lines[row].content for row in rows}) > 1:
            contradicting |= set(rows)
        else:
            for row in rows[1:]:
                duplicate[row] = True
    findings |= {(row, "my_number", "R301") for row in contradicting}
    rejected = {}
    for person, rows in people.items():
        good = [lines[row] for row in rows if not lines[row].bad]
        stranger = len({lines[row].insurer for row in rows}) > 1 or any(
            len({getattr(line, name) for line in good}) > 1
            for name in ("my_number", "member_id", "target")
        )
        mixed = len({line.process for line in good}) > 1
        missing = not set(TYPES) <= {lines[row].type for row in rows}
        foreign = [
            row for row in rows if (lines[row].type, lines[row].insurer) == (TICKET, 6990014)
        ]
        findings |= {(row, "record_type_code", "R222") for row in foreign}
        if stranger:
            findings |= {(row, "record_number", "R303") for row in rows}
        if mixed:
            findings |= {(row, "process_type_code", "R305") for row in rows}
        if missing:
            findings.add((rows[0], "record_type_code", "R304"))
        broken = any(lines[row].bad or row in contradicting for row in rows)
        rejected[person] = stranger or mixed or missing or broken or bool(foreign)
    fall_together(lines, same, duplicate, rejected)
    return Slow(findings, duplicate, rejected)


def fall_together(
    lines: list[Line],
    same: dict[tuple[int, ...], list[int]],
    duplicate: list[bool],
    rejected: dict[tuple[int, int], bool],
) -> None:
    """One person under several record numbers, some of whose lines repeat each other."""
    groups: dict[tuple[int, ...], set[tuple[int, int]]] = defaultdict(set)
    crossing = []
    for rows in same.values():
        for row in rows[1:]:
            pair = [(lines[at].reception, lines[at].record_number) for at in (rows[0], row)]
            if duplicate[row] and pair[0] != pair[1]:
                line = lines[row]
                groups[line.reception, line.insurer, *who(line)] |= set(pair)
                crossing.append((row, pair[1]))
    for group in groups.values():
        if any(rejected[person] for person in group):
            rejected.update(dict.fromkeys(group, True))
    for row, person in crossing:
        if rejected[person]:
            duplicate[row] = False


def random_lines(draws: random.Random) -> list[Line]:
    """A small group: mostly whole persons, with everything that can go wrong now and then."""
    lines = []
    for reception in range(draws.randint(1, 3)):
        own = []
        for number in range(1, draws.randint(1, 5)):
            record_number = number * draws.choice([1, 1, 1_000_000_000])
            shared = {
                "process": draws.choice([1, 1, 3]),
                "insurer": draws.choice([6990014, 1130012]),
                "my_number": draws.choice([111, 222, 333, NONE]),
                "member_id": draws.choice([NONE, 7]),
                "target": draws.choice([NONE, NONE, 555, AS_MEMBER + 8]),
            }
            for kind in (*TYPES, TICKET):
                often = [0, 0, 0, 1] if kind == TICKET else [1, 1, 1, 1, 0, 2]
                for _ in range(draws.choice(often)):
                    line = Line(
                        reception=reception,
                        record_number=record_number,
                        type=kind,
                        key=draws.choice([0, 0, 1, NONE]),
                        bad=draws.random() < 0.1,
                        content=draws.choice([1, 1, 1, 2]),
                        **shared,
                    )
                    if draws.random() < 0.08:
                        name = draws.choice([*shared, "record_number"])
                        line = replace(line, **{name: draws.choice([1, 2, 5, 444])})
                    own.append(line)
        if draws.random() < 0.3:
            draws.shuffle(own)
        lines += own
    return lines


def test_the_rules_over_lines_agree_with_plain_python(long: bool) -> None:
    draws = random.Random(303)
    codes: Counter[str] = Counter()
    for _ in range(6_000 if long else 500):
        lines = random_lines(draws)
        if not lines:
            continue
        judgement, findings = judged(lines)
        expected = slow(lines)
        assert findings == expected.findings
        assert judgement.duplicate.tolist() == expected.duplicate
        persons = judgement.persons
        for row, line in enumerate(lines):
            person = persons.of_line[row]
            assert (
                judgement.rejected[person] == expected.rejected[line.reception, line.record_number]
            )
            first = lines[persons.first[person]]
            assert (first.reception, first.record_number) == (line.reception, line.record_number)
            assert persons.reception[person] == line.reception
        assert len(persons.first) == len(expected.rejected)
        assert (np.diff(persons.reception) >= 0).all()  # the order in which numbers are issued
        for name in ("process", "insurer", "my_number", "member_id", "target"):
            values = [getattr(lines[row], name) for row in persons.first]
            assert getattr(persons, name).tolist() == values
        codes.update(code for _, _, code in findings)
    assert set(codes) == {"R222", "R301", "R303", "R304", "R305"}


def test_companions_fall_with_the_lines_of_their_person(long: bool) -> None:
    draws = random.Random(302)
    for _ in range(1_000 if long else 150):
        lines = random_lines(draws)
        if not lines:
            continue
        judgement, _ = judged(lines)
        single = [(row, "name", "R102") for row, line in enumerate(lines) if line.bad]
        single += [(row, "member_id", "W401") for row in range(0, len(lines), 5)]
        more = pl.DataFrame(single, schema=FINDINGS, orient="row")
        found = companions(judgement, pl.concat([judgement.findings, more]), judgement.rejected)
        assert found.columns == FINDINGS.names()
        assert found.equals(found.sort("row", "field", "code"))
        fallen = {row for row, _, code in found.rows() if code.startswith("R")}
        rejected = judgement.rejected[judgement.persons.of_line]
        for row, line in enumerate(lines):
            own = {code for at, _, code in found.rows() if at == row}
            if judgement.duplicate[row]:
                assert "R302" not in own
            elif rejected[row]:
                assert row in fallen  # each line that is not registered says why
                assert ("R302" in own) == (own <= {"R302", "W401"})
            else:
                assert not line.bad and row not in fallen


def test_the_order_of_a_files_lines_does_not_matter() -> None:
    draws = random.Random(12)
    for _ in range(100):
        lines = [line for line in random_lines(draws) if line.reception == 0]
        if not lines:
            continue
        order = draws.sample(range(len(lines)), len(lines))
        shuffled = [lines[place] for place in order]
        here, there = judged(lines)[0], judged(shuffled)[0]
        assert here.duplicate.sum() == there.duplicate.sum()
        rejected = {
            lines[row].record_number: here.rejected[here.persons.of_line[row]]
            for row in range(len(lines))
        }
        for row, line in enumerate(shuffled):
            assert there.rejected[there.persons.of_line[row]] == rejected[line.record_number]


def test_files_of_a_group_do_not_touch_each_other() -> None:
    draws = random.Random(13)
    for _ in range(100):
        lines = random_lines(draws)
        together, _ = judged(lines) if lines else (None, None)
        position = 0
        for reception in range(3):
            own = [line for line in lines if line.reception == reception]
            if not own or together is None:
                continue
            alone, found = judged(own)
            assert together.duplicate[position : position + len(own)].tolist() == (
                alone.duplicate.tolist()
            )
            shifted = {(row + position, field, code) for row, field, code in found}
            assert shifted <= set(together.findings.rows())
            position += len(own)


def good_person(reception: int, record_number: int, my_number: int, **more: object) -> list[Line]:
    values = {
        "process": 1,
        "insurer": 6990014,
        "member_id": NONE,
        "target": NONE,
        "key": 0,
        "bad": False,
        "content": 1,
        **more,
    }
    return [Line(reception, record_number, kind, my_number=my_number, **values) for kind in TYPES]  # type: ignore[arg-type]


def test_a_whole_person_is_not_rejected() -> None:
    judgement, found = judged(good_person(0, 1, 111))
    assert not found
    assert not judgement.rejected.any()
    assert not judgement.duplicate.any()


@pytest.mark.requirement("R018")
def test_a_new_registration_needs_all_three_kinds_of_information() -> None:
    for missing in range(3):
        lines = good_person(0, 1, 111)
        del lines[missing]
        judgement, found = judged(lines)
        assert found == {(0, "record_type_code", "R304")}
        assert judgement.rejected.all()


def test_types_are_barred_by_the_kind_of_their_insurer() -> None:
    found = barred_types(FORM, {1: "welfare", 2: "health_society", 3: "elderly_union"})
    codes = {
        insurer: {record.section for record in FORM.records if mask >> int(record.code) & 1}
        for insurer, mask in found.items()
    }
    assert codes[2] == {"medical_ticket"}
    assert codes[3] == {"medical_ticket", "elderly_certificate"}
    assert codes[1] == {record.section for record in FORM.records if not record.required} - {
        "medical_ticket"
    }


def test_the_same_person_sent_twice_is_a_duplicate_once() -> None:
    lines = good_person(0, 1, 111) + good_person(0, 2, 111)
    judgement, found = judged(lines)
    assert not found
    assert judgement.duplicate.tolist() == [False] * 3 + [True] * 3


def test_lines_that_repeat_those_of_a_rejected_person_are_not_lost() -> None:
    # The sender mends one line of a person and leaves the wrong lines in the file.
    wrong, mended = good_person(0, 1, 111), good_person(0, 2, 111)
    wrong[1] = replace(wrong[1], bad=True)
    judgement, _ = judged(wrong + mended)
    first, second = judgement.rejected.tolist()
    assert first
    registered = [not judgement.duplicate[row] for row in (3, 4, 5)]
    assert second or all(registered)


def test_the_same_person_in_two_files_of_a_group_is_no_duplicate() -> None:
    judgement, found = judged(good_person(0, 1, 111) + good_person(1, 1, 111))
    assert not found
    assert not judgement.duplicate.any()


def test_two_insurers_may_register_the_same_person_in_one_file() -> None:
    lines = good_person(0, 1, 111) + good_person(0, 2, 111, insurer=1130012)
    judgement, found = judged(lines)
    assert not found
    assert not judgement.duplicate.any()
    assert not judgement.rejected.any()


def test_keys_that_only_look_alike_when_mixed_are_told_apart() -> None:
    # Both halves of the 64 bits that candidates are chosen by, shifted against each other.
    numbers = [1, 1 << 8, 1 << 16, (1 << 16) + 1, 999_999_999_999]
    keys = [0, 1, 1 << 8, 1 << 22, (1 << 29) - 1]
    lines = [
        Line(0, place, TYPES[0], 1, 6990014, number, NONE, NONE, key, False, place)
        for place, (number, key) in enumerate((n, k) for n in numbers for k in keys)
    ]
    assert not judged(lines)[0].duplicate.any()
    assert not {code for _, _, code in judged(lines)[1]} & {"R301"}
    twice = [*lines, *[replace(line, record_number=900) for line in lines]]
    assert len(repetitions(twice)) == len(lines)


def test_lines_that_cannot_be_used_make_nobody_a_stranger() -> None:
    lines = [
        replace(line, my_number=number, bad=True)
        for number, line in enumerate(good_person(0, 1, 111))
    ]
    assert "R303" not in {code for _, _, code in judged(lines)[1]}


def test_no_lines_are_no_persons() -> None:
    judgement, found = judged([])
    assert not found
    assert len(judgement.rejected) == len(judgement.persons.first) == 0
    persons, grouping = persons_of(columns([]))
    assert len(persons.first) == len(grouping.starts) == len(columns([])) == 0


def test_a_part_of_the_persons_is_those_persons() -> None:
    lines = good_person(0, 1, 111) + good_person(0, 2, 222) + good_person(1, 1, 333)
    persons, _ = persons_of(columns(lines))
    part = persons.part(1, 3)
    assert part.my_number.tolist() == [222, 333]
    assert part.first.tolist() == persons.first[1:3].tolist()
    assert part.of_line is persons.of_line


# --- keys


def keys(section: str, **values: str | None) -> dict[str, int]:
    record = FORM.section(section)
    row = {name: value or None for name, value in samples(FORM, section).items()} | values
    schema = {item.name: pl.String for item in FORM.fields(record)}
    frame = pl.DataFrame([row], schema=schema).with_columns(bad=pl.lit(False))
    found = frame.select(key_columns(FORM, record, "bad"))
    assert found.schema == KEYS
    days = [item.name for item in record.own if item.type == "date" and item.name in record.key]
    typed = frame.with_columns(as_date(name).alias(name) for name in days)
    assert typed.select(key_columns(FORM, record, "bad", days)).equals(found)
    (only,) = found.to_dicts()
    return only


def test_numbers_are_read_and_what_is_none_is_marked() -> None:
    found = keys("basic", my_number="01234567890１", member_id=None, new_my_number="123456789069")
    assert found["record_number"] == 1
    assert found["type"] == 1
    assert (found["my_number"], found["member_id"]) == (NONE, NONE)
    assert found["target"] == 123456789069
    assert found["key"] == 0  # a person has one record of this kind


def test_a_change_names_its_target_in_one_column() -> None:
    nothing = dict.fromkeys(("new_my_number", "new_member_id", "new_insurer_code"))
    assert keys("basic", **nothing)["target"] == NONE
    for name, value, target in (
        ("new_my_number", "123456789069", 123456789069),
        ("new_member_id", "0000000042", AS_MEMBER + 42),
        ("new_insurer_code", "06990014", AS_INSURER + 6990014),
    ):
        assert keys("basic", **{**nothing, name: value})["target"] == target
        assert keys("basic", **{**nothing, name: "４２"})["target"] == NONE


def test_a_layout_without_a_field_has_none_of_it() -> None:
    fewer = [item for item in FORM.common if item.name != "member_id"]
    form = FORM.model_copy(update={"common": fewer})
    record = form.section("basic")
    row = dict.fromkeys((item.name for item in FORM.fields(FORM.section("basic"))), "1")
    found = pl.DataFrame([{**row, "bad": False}]).select(key_columns(form, record, "bad"))
    assert found["member_id"].to_list() == [NONE]


def test_there_is_room_for_every_column() -> None:
    room = room_for(KEYS, 3)
    assert {name: len(column) for name, column in room.items()} == dict.fromkeys(KEYS, 3)
    assert pl.DataFrame(room).schema == KEYS


def test_lines_whose_findings_are_still_worked_out_do_not_fall_for_others() -> None:
    lines = good_person(0, 1, 111)
    lines[0] = replace(lines[0], bad=True)
    judgement, _ = judged(lines)
    pending = np.array([True, False, False])
    found = companions(judgement, judgement.findings, judgement.rejected, pending)
    assert found.rows() == [(row, "record_number", "R302") for row in (1, 2)]


def test_persons_without_a_number_are_told_apart_by_their_record_number() -> None:
    waiting = good_person(0, 1, NONE) + good_person(0, 2, NONE)
    assert not judged(waiting)[0].duplicate.any()
    twice = waiting + [replace(line, key=0) for line in waiting[:1]]
    assert judged(twice)[0].duplicate.tolist() == [False] * 6 + [True]


@pytest.mark.parametrize("day", ["20260231", "18671231", "2026040", None])
def test_a_key_that_cannot_be_read_is_marked(day: str | None) -> None:
    assert keys("qualification", qualification_date=day)["key"] == NONE
    assert keys("certificate", valid_from_date=day)["key"] == NONE
    assert keys("certificate", certificate_class="Ａ１")["key"] == NONE


def test_different_keys_are_different_numbers() -> None:
    days = ["18680101", "18991231", "20260401", "20260402", "99991231"]
    found = [
        keys("certificate", certificate_class=kind, valid_from_date=day)["key"]
        for kind in ("01", "02", "07", "99")
        for day in days
    ]
    assert all(one != other and one >= 0 for one, other in combinations(found, 2))
    found = [keys("qualification", qualification_date=day)["key"] for day in days]
    assert found == sorted(set(found))
