"""Faults in lines that stand for themselves: each brings about its code and the counts it says."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable
from datetime import date
from typing import Any

import numpy as np
import polars as pl
import pytest

from koukan.codecs.gate import Gate
from koukan.codecs.records import decode_piece
from koukan.errors import UsageError
from koukan.formats import bundle
from koukan.formats.model import Catalogue, Format
from koukan.rules.validate import BAD, validators
from koukan.samples.answers import FOUND, answer_frames, invented_packages, receipt_frames
from koukan.samples.faults import ROW_FAULTS, Expectation
from koukan.samples.line_faults import LINE_FAULTS, UNKNOWN_PAYER, inject_lines
from koukan.samples.national import code_frames, disclosure_frames
from koukan.samples.offered import OWN
from koukan.samples.population import Population
from koukan.samples.questions import question_frames
from koukan.samples.registration import Frames
from koukan.samples.scenario import SCENARIO
from koukan.samples.usage import usage_frames
from koukan.samples.writing import write_file

DAY, LINES = date(2026, 4, 2), 60
INSURER = SCENARIO.insurers[1]
NUMBERS = np.arange(LINES, dtype=np.int64)
OFFICES = [one.number for one in SCENARIO.insurers if one.welfare]
PACKAGES = invented_packages("kenpo-a", 5, NUMBERS + 1)
CASES = [(name, code) for name, faults in LINE_FAULTS.items() for code in faults]
# What no rule over single lines knows: an archive, a number, an answer that the centre compares.
BEYOND_ONE_LINE = {"R306", "R308", "R501", "R502", "R503", "H201", "H203", "H205", "D301"}
# Nothing is rejected for them: unit/rules/test_fitting.py, unit/rules/test_overlaps.py
# What answers to requests for codes and to pushes come to: their golden cases show it.
CODES = {"R504", "R505", "W431", "W432", "D502", "H211", "H212", "H213", "H214", "H215"}
PUSHES = {"D601", "H301", "H302", "H303"}
BY_NUMBER = {"linkage_code_answer": code_frames, "self_disclosure_request": disclosure_frames}
# What lines about copies come to in a centre: tests/golden/test_copies.py
COPIES = {"R506", "R507", "R508"}
REMARKS = {"W411", "W412", "W413", "W421", "W422"}


def _good(form: Format) -> Frames:
    population = Population(5)
    if form.name in ("package_receipt", "pmh_receipt", "nws_receipt"):
        return receipt_frames(form, PACKAGES, insurer=INSURER)
    if form.name == "juki_net_answer":
        return answer_frames(form, population, NUMBERS)
    if form.name == "usage_log":
        return usage_frames(form, 5, NUMBERS, payers=OFFICES, as_of=DAY)
    if form.name in OWN:
        return OWN[form.name](form, 5, NUMBERS, insurer=INSURER)
    if form.name in BY_NUMBER:
        return BY_NUMBER[form.name](form, 5, NUMBERS)
    return question_frames(form, population, NUMBERS, insurer=INSURER)


def _chosen(frames: Frames, count: int = 4) -> list[int]:
    (frame,) = frames.values()
    if "answer_class" not in frame.columns:
        return [3, 17, 18, 41][:count]
    return (frame["answer_class"] == FOUND).arg_true().to_list()[3:][:count]


def _content(form: Format, frames: Frames) -> bytes:
    content = io.BytesIO()
    write_file(content, form, frames, sender="kenpo-a", sequence=1, creation_date=DAY)
    return content.getvalue()


class LineJudge:
    """What becomes of lines of which each stands alone, said again in plain Python."""

    def __init__(self) -> None:
        self.codes: Counter[str] = Counter()
        self.counts: Counter[str] = Counter()

    def judge(self, rows: list[dict[str, str]], single: list[set[str]]) -> LineJudge:
        numbers = Counter(row["record_number"] for row in rows)
        seen: set[tuple[str, ...]] = set()
        answers: dict[str, set[tuple[str, ...]]] = {}
        told = Counter(_key(row) for row in {_said(row): row for row in rows}.values())
        for row in rows:
            if number := row.get("request_record_number"):
                answers.setdefault(number, set()).add(_said(row))
        for row, found in zip(rows, single, strict=True):
            codes = found | self._beyond(row)
            if numbers[row["record_number"]] > 1:
                codes.add("R306")
            if "copy_class" in row and not codes and told[_key(row)] > 1:
                codes.add("R308")
            if not codes and len(answers.get(row.get("request_record_number", ""), ())) > 1:
                codes.add("H203")
            if not codes and _said(row) in seen:
                codes.add("D301")
            if not codes:
                seen.add(_said(row))
            self.codes.update(codes)
            self.counts[_outcome(codes)] += 1
        return self

    def _beyond(self, row: dict[str, str]) -> set[str]:
        codes = set()
        if row.get("answer_class") == "9":
            codes.add("R503")
        if row.get("request_record_number", "").startswith("9999"):
            codes.add("H201")
        if row.get("public_payer_number") == UNKNOWN_PAYER:
            codes.add("H205")
        known = dict(PACKAGES.iter_rows())
        name, digest = row.get("package_name"), row.get("archive_sha256")
        formed = name and name.isascii() and name.endswith(".age")
        if formed and digest and len(digest) == 64:
            if name not in known:
                codes.add("R501")
            elif known[name] != digest:
                codes.add("R502")
        return codes


def _key(row: dict[str, str]) -> tuple[str | None, ...]:
    """Which copy a line tells of."""
    key = ("member_id", "specific_information_code", "period_start_month", "period_end_month")
    return tuple(row.get(name) for name in key)


def _said(row: dict[str, str]) -> tuple[str, ...]:
    return tuple(value for name, value in row.items() if name != "record_number")


def _outcome(codes: set[str]) -> str:
    kinds = {code[0] for code in codes}
    for kind, outcome in (("R", "rejected"), ("H", "held"), ("D", "duplicate")):
        if kind in kinds:
            return outcome
    return "accepted"


def test_every_code_of_a_line_has_an_injector(catalogue: Catalogue) -> None:
    known = set(ROW_FAULTS).union(*LINE_FAULTS.values())

    # What only a second file or a policy can bring about is nobody's fault in this one.
    of_lines = {code for code in catalogue.reasons if code[0] != "F" and code[:2] != "W5"}
    left = of_lines - known - REMARKS  # W5 is about whole files
    beyond = {"H101", "H102", "H103", "H104", "H105", "H202", "H204", "D101", "D501"}
    beyond |= {"R701", "R702", "R703"}  # why PMH gets no PMH-ID
    beyond |= {"R711", "R712", "R713", "R714"}  # why a request for self-disclosure gets nothing
    beyond |= CODES | PUSHES | COPIES
    assert left == beyond | {"R307", "R406", "R408", "R411", "R412", "R413"}


@pytest.mark.parametrize("name", LINE_FAULTS)
def test_without_a_fault_every_line_is_good(
    catalogue: Catalogue, judge: Any, read: Callable[..., Any], name: str
) -> None:
    form = catalogue.formats[name]
    content = _content(form, _good(form))
    rows = read(content, form).rows

    assert Gate(form).read([content]).code is None
    judged = LineJudge().judge([row for _, row in rows], judge.single(form, rows))
    assert judged.counts == {"accepted": LINES}


@pytest.mark.parametrize(("name", "code"), CASES)
def test_a_fault_brings_about_its_code_and_counts(
    catalogue: Catalogue, judge: Any, read: Callable[..., Any], name: str, code: str
) -> None:
    form, fault = catalogue.formats[name], LINE_FAULTS[name][code]
    good = _good(form)
    frames, (expected,) = inject_lines(form, good, {code: _chosen(good)})
    content = _content(form, frames)
    rows = read(content, form).rows

    assert Gate(form).read([content]).code is None
    judged = LineJudge().judge([row for _, row in rows], judge.single(form, rows))
    carriers = 8 if code == "H203" else 4  # the good answer is held with the other one
    assert judged.codes == dict.fromkeys((code, *fault.also), carriers)
    assert (expected.code, expected.persons) == (code, 4)
    assert len(rows) == LINES + expected.added
    for outcome in ("rejected", "duplicate", "held"):
        assert judged.counts[outcome] == getattr(expected, outcome), outcome


@pytest.mark.parametrize(("name", "code"), CASES)
def test_gate_decoder_and_validators_find_it(catalogue: Catalogue, name: str, code: str) -> None:
    form, fault = catalogue.formats[name], LINE_FAULTS[name][code]
    good = _good(form)
    frames, (expected,) = inject_lines(form, good, {code: _chosen(good)})
    content = _content(form, frames)
    verdict = Gate(form).read([content])
    assert verdict.code is None
    data = content[verdict.cuts[0].offset : verdict.cuts[-1].offset]
    (decoded,) = decode_piece(form, data)
    (validator,) = validators(bundle(catalogue, name)).values()
    bad = validator.check(decoded.frame, suspicious=decoded.suspicious).columns[BAD]

    if code in BEYOND_ONE_LINE:
        assert not bad.any()
        return
    assert int(bad.sum()) == expected.rejected == 4
    found = validator.details(decoded.frame.filter(bad))
    assert set(found["code"]) == {code, *fault.also}


def test_several_faults_keep_to_their_own_lines(catalogue: Catalogue) -> None:
    form = catalogue.formats["my_number_query"]
    plan = {"R306": [0, 1, 8, 9], "R221": [2], "D301": [4, 5], "R106": [59]}
    frames, expected = inject_lines(form, _good(form), plan)

    assert expected == [
        Expectation("R306", 4, 0, 4, 0),
        Expectation("R221", 1, 0, 1, 0),
        Expectation("D301", 2, 2, 0, 2),
        Expectation("R106", 1, 0, 1, 0),
    ]
    (frame,) = frames.values()
    assert frame.height == LINES + 2
    assert frame["record_number"].n_unique() == LINES  # two lost theirs, two are new
    assert frame["resident_name"].str.starts_with("\ue000").arg_true().to_list() == [59]


def test_what_does_not_fit_is_said(catalogue: Catalogue) -> None:
    question, answer = catalogue.formats["my_number_query"], catalogue.formats["juki_net_answer"]
    answers = _good(answer)
    others = (next(iter(answers.values()))["answer_class"] != FOUND).arg_true().to_list()
    assert others
    for form, frames, plan, key in (
        (question, _good(question), {"R201": [0]}, "samples.fault"),
        (question, _good(question), {"R306": [0]}, "samples.unfit"),
        (answer, answers, {"R201": others[:1]}, "samples.unfit"),
    ):
        with pytest.raises(UsageError) as caught:
            inject_lines(form, frames, plan)
        assert caught.value.key == key


def test_the_good_answers_are_of_all_classes(catalogue: Catalogue) -> None:
    form = catalogue.formats["juki_net_answer"]
    numbers = pl.Series([f"{number:016d}" for number in range(7, 2_007)])
    persons = np.arange(2_000, dtype=np.int64)
    (frame,) = answer_frames(form, Population(5), persons, request_record_numbers=numbers).values()

    assert set(frame["answer_class"]) == {"1", "2", "3"}
    assert frame["request_record_number"].equals(numbers.alias("request_record_number"))
    others = frame.filter(pl.col("answer_class") != "1").drop(
        "record_number", "record_type_code", "request_record_number", "answer_class"
    )
    assert all(others[name].null_count() == others.height for name in others.columns)
    found = frame.filter(pl.col("answer_class") == "1")
    assert set(found["alive_status"]) == {"1", "2"}
    assert set(found["change_reason"].drop_nulls()) == {"21", "33", "41"}
    assert set(found["update_status"]) == {"0", "1"}
