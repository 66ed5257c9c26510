"""Faults in lines: one for every code, and each brings about that code and the counts it says."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import date
from typing import Any

import polars as pl
import pytest

from koukan.errors import UsageError
from koukan.formats.model import Catalogue, Format
from koukan.samples.events import ACTS
from koukan.samples.faults import ROW_FAULTS, Expectation, History, inject, inject_all
from koukan.samples.line_faults import LINE_FAULTS
from koukan.samples.population import Population
from koukan.samples.registration import Frames, registration_frames, write_file
from koukan.samples.scenario import SCENARIO

DAY = date(2026, 4, 2)
PEOPLE = Population(5).people(0, 60)
TYPES = {"change": "3", "loss": "4"}
CHOSEN = [3, 17, 18, 41]

# Nothing is rejected for them: unit/rules/test_fitting.py, unit/rules/test_overlaps.py
REMARKS = {"W411", "W412", "W413", "W421", "W422"}


def _insurer(code: str) -> Any:
    return SCENARIO.insurers[-1 if ROW_FAULTS[code].needs == "welfare" else 1]


def _history() -> History:
    unnamed = Population(5).people(100, 110)
    ids = pl.Series("member_id", [f"{number:010d}" for number in range(100, 110)])
    members = unnamed.select("my_number").with_columns(ids)
    return History(members, pl.Series([f"{number:010d}" for number in range(500, 505)]))


def _members(code: str) -> dict[tuple[str, str], str]:
    """What the insurer has registered: the changing and losing persons, and those of no file."""
    insurer, found = _insurer(code).code, {}
    if ROW_FAULTS[code].needs in TYPES:
        for number, my_number in enumerate(PEOPLE["my_number"]):
            found[insurer, my_number] = f"{number:010d}"
    for my_number, member_id in _history().members.iter_rows():
        found[insurer, my_number] = member_id
    return found


def _good(form: Format, code: str) -> Frames:
    kind = TYPES.get(ROW_FAULTS[code].needs, "1")
    ids = pl.Series([f"{number:010d}" for number in range(60)])
    return registration_frames(
        form,
        PEOPLE,
        insurer=_insurer(code),
        as_of=DAY,
        process_type=kind,
        member_ids=None if kind == "1" else ids,
    )


def test_every_code_of_a_registration_has_an_injector(catalogue: Catalogue) -> None:
    of_lines = {code for code in catalogue.reasons if code[0] in "RW" and code[1] in "1234"}
    codes = of_lines | {"D301"}  # W5 is about whole files, what follows about other flows
    codes -= {"R227", "W431", "W432"}  # so are these
    elsewhere = {code for faults in LINE_FAULTS.values() for code in faults}

    assert set(ROW_FAULTS) <= codes
    # These need several files.
    beyond = {"R307", "R406", "R408", "R411", "R412", "R413"}
    assert codes - set(ROW_FAULTS) - REMARKS - elsewhere == beyond
    assert {act.code for act in ACTS if act.code} == beyond - {"R307", "R408"}


@pytest.mark.parametrize("code", ROW_FAULTS)
def test_a_fault_brings_about_its_code_and_counts(
    form: Format, judge: Any, read: Callable[..., Any], code: str
) -> None:
    frames, expected = inject(_good(form, code), code, CHOSEN, history=_history())
    content = io.BytesIO()
    write_file(content, form, frames, sender="kenpo-a", sequence=1, creation_date=DAY)
    judge.members = _members(code)
    judged = judge.judge(form, read(content.getvalue(), form).rows)

    known = "R101" if code == "R302" else code  # the others' companions have no code of their own
    carriers = 2 if code == "R303" else 4
    assert judged.codes == {known: carriers}
    assert expected.code == code
    assert expected.persons == 4
    assert judged.received.total() == 180 + expected.added
    assert judged.rejected.total() == expected.rejected
    assert judged.duplicate.total() == expected.duplicate


def test_a_private_character_is_written_as_a_gaiji(csv_form: Format) -> None:
    frames, _ = inject(_good(csv_form, "R106"), "R106", [0])
    content = io.BytesIO()
    write_file(content, csv_form, frames, sender="kenpo-a", sequence=1, creation_date=DAY)

    assert content.getvalue().count(b"\xf0\x40") == 1


def test_several_faults_keep_to_their_own_persons(csv_form: Format, judge: Any) -> None:
    plan = {"R303": [0, 1, 8, 9], "R304": [2], "R301": [3], "D301": [4, 5], "R203": [59]}
    frames, expected = inject_all(_good(csv_form, "R101"), plan)
    rows = [
        (section, {name: value or "" for name, value in row.items()})
        for section, frame in frames.items()
        for row in frame.iter_rows(named=True)
    ]
    judged = judge.judge(csv_form, rows)

    assert judged.codes == {"R303": 2, "R304": 1, "R301": 1, "D301": 2, "R203": 1}
    assert judged.rejected.total() == sum(item.rejected for item in expected) == 21
    assert expected[1] == Expectation("R304", 1, -1, 2, 0)


def test_what_does_not_fit_is_said(csv_form: Format) -> None:
    good = _good(csv_form, "R101")
    for code, persons, key in (
        ("R999", [0], "samples.fault"),
        ("R204", [0], "samples.unfit"),
        ("R213", [0], "samples.unfit"),
        ("R303", [0, 1, 2], "samples.unfit"),
        ("R402", [0], "samples.history"),
    ):
        with pytest.raises(UsageError) as caught:
            inject(good, code, persons)
        assert caught.value.key == key
