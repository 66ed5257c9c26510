"""Acknowledge: what a sender is told is whole, fits its layout and repeats no value."""

from __future__ import annotations

import json
import random
from itertools import pairwise

import polars as pl
import pytest

from koukan.codecs import render
from koukan.codecs.records import joined
from koukan.formats import Catalogue, Format, Reason
from koukan.rules.acknowledge import (
    COUNTS,
    OUTCOME_CLASS,
    WORDS,
    Receipt,
    acknowledgement,
    explanations,
    result_file,
    result_records,
    sentence,
    worded_records,
)
from koukan.rules.checks import FINDINGS

Answer = dict[str, str | None]


def read(content: bytes, form: Format) -> list[dict[str, str]]:
    """The lines by field name; every value holds to its field's length and kind."""
    text = content.decode("cp932")
    assert text.endswith("\r\n")
    lines = [line.split(",") for line in text.split("\r\n")[:-1]]
    found = []
    for place, line in enumerate(lines):
        if place == 0:
            fields = form.control
        elif place == len(lines) - 1:
            fields = form.end
        else:
            fields = form.fields(form.record(line[0]))
        for item, value in zip(fields, line, strict=True):
            assert len(value) <= item.length, (item.name, value)
            assert value or not item.required, item.name
            if value and item.type == "digits":
                assert value.isdigit() and len(value) >= item.shortest
        found.append({item.name: value for item, value in zip(fields, line, strict=True)})
    return found


def receipt(**parts: object) -> Receipt:
    values = {
        "number": 12,
        "file_name": "MR_kenpo-a_000001.csv",
        "received_at": "20260401013000",
        "outcome": "accepted",
        "code": None,
        "line": 0,
        "counts": (),
        "findings": (),
    }
    return Receipt(**{**values, **parts})  # type: ignore[arg-type]


def counts(*numbers: int) -> dict[str, int]:
    return dict(zip(COUNTS, numbers, strict=True))


@pytest.fixture(scope="module")
def form(catalogue: Catalogue) -> Format:
    return catalogue.formats["acknowledgement"]


@pytest.fixture(scope="module")
def result(catalogue: Catalogue) -> Format:
    return catalogue.formats["registration_result"]


def test_a_correction_tells_the_lines_of_the_reception_that_it_mends(catalogue: Catalogue) -> None:
    form = catalogue.formats["acknowledgement"]
    counts = {"received": 60, "accepted": 40, "rejected": 20, "corrected": 12}
    receipt = Receipt(
        number=7,
        file_name="MR_kenpo-a_000002.csv",
        received_at="20260401000000",
        outcome="accepted",
        code=None,
        line=0,
        counts=(),
        findings=(),
        original=(3, counts),
    )
    lines = acknowledgement(form, catalogue.reasons, receipt).split(b"\r\n")
    assert b"16,0000000003,00000060,00000040,00000020,00000012" in lines


def test_an_accepted_file_is_acknowledged_with_counts_and_findings(
    catalogue: Catalogue, form: Format
) -> None:
    given = receipt(
        counts=(("06990014", counts(9, 5, 3, 1, 0)), ("01130012", counts(3, 3, 0, 0, 0))),
        findings=(("06990014", "R201", 2), ("06990014", "W401", 1)),
    )
    head, outcome, first, second, one, two, end = read(
        acknowledgement(form, catalogue.reasons, given), form
    )
    assert head["reception_number"] == "0000000012"
    assert head["received_file_name"] == "MR_kenpo-a_000001.csv"
    assert head["received_at"] == "20260401013000"
    assert outcome["outcome_class"] == "1"
    assert outcome["processing_result_code"] == outcome["processing_result_text"] == ""
    assert first["insurer_code"] == "06990014"
    assert [first[f"{name}_count"] for name in COUNTS] == [
        "00000009",
        "00000005",
        "00000003",
        "00000001",
        "00000000",
    ]
    assert second["received_count"] == second["accepted_count"] == "00000003"
    assert (one["processing_result_code"], one["finding_count"]) == ("R201", "00000002")
    assert one["processing_result_name"] == catalogue.reasons["R201"].title
    assert two["processing_result_code"] == "W401"
    assert end["record_count"] == "00000005"


@pytest.mark.parametrize("line", [0, 1, 2_000_000_000])
def test_every_code_of_a_file_fits_the_acknowledgement(
    catalogue: Catalogue, form: Format, line: int
) -> None:
    outcomes = {"F": "refused", "H": "held", "D": "duplicate"}
    tried = 0
    for code, reason in catalogue.reasons.items():
        if code[0] not in outcomes:
            continue
        given = receipt(outcome=outcomes[code[0]], code=code, line=line)
        _, outcome, end = read(acknowledgement(form, catalogue.reasons, given), form)
        assert outcome["outcome_class"] == OUTCOME_CLASS[outcomes[code[0]]]
        assert outcome["processing_result_code"] == code
        assert outcome["processing_result_name"] == reason.title
        assert outcome["action_text"] == reason.action
        assert "{" not in outcome["processing_result_text"]
        assert outcome["first_line_number"] == (str(line) if line else "")
        assert (f"{line}行目" in outcome["processing_result_text"]) == (
            "{line}" in reason.text and line > 0
        )
        assert end["record_count"] == "00000001"
        tried += 1
    assert tried > 25


def test_every_code_of_a_line_fits_the_acknowledgement(catalogue: Catalogue, form: Format) -> None:
    codes = [code for code in catalogue.reasons if code[0] in "RDW"]
    given = receipt(findings=tuple(("06990014", code, 99_999_999) for code in codes))
    found = read(acknowledgement(form, catalogue.reasons, given), form)
    assert [row["processing_result_code"] for row in found[2:-1]] == codes


def test_a_sentence_has_its_numbers_filled_in(catalogue: Catalogue) -> None:
    reason = catalogue.reasons["F108"]
    assert sentence(reason, line=17) == "17行目：使用できない引用符（＂）があります。"
    assert sentence(reason) == "使用できない引用符（＂）があります。"
    assert "（定め：12桁）" in sentence(catalogue.reasons["R102"], length=12)


def test_every_line_code_is_explained_for_every_field(catalogue: Catalogue, result: Format) -> None:
    form = catalogue.formats["member_registration"]
    told = explanations(form, catalogue.reasons)
    names = {item.name for item in form.all_fields}
    codes = {code for code in catalogue.reasons if code[0] in "RDW"}
    assert told.height == len(names) * len(codes)
    limits = {item.name: item.length for item in result.section("line_result").own}
    for name in ("field_label", "processing_result_text", "action_text"):
        assert told[name].str.len_chars().max() <= limits[name]  # type: ignore[operator]
        assert not told[name].str.contains(r'[,"\r\n{}]').any()
        told[name].str.join("").item().encode("cp932")
    found = {("my_number", "R201"), ("name", "R102"), ("no_field", "R201"), ("name", "R999")}
    some = told.filter(
        pl.struct("field", "code").is_in([{"field": f, "code": c} for f, c in found])
    )
    assert some.height == 2
    assert explanations(form, catalogue.reasons, found).equals(some)
    assert explanations(form, catalogue.reasons, set()).equals(told.clear())


def lines_frame(*rows: tuple[int, int, int, int | None]) -> pl.DataFrame:
    names = ["row", "record_number", "class", "member_id"]
    frame = pl.DataFrame(rows, schema=dict.fromkeys(names, pl.Int64), orient="row")
    return frame.with_columns(line_number=pl.col("row") + 2)


def told_of(lines: pl.DataFrame, findings: pl.DataFrame, told: pl.DataFrame) -> list[Answer]:
    """What the file has to say, line by line, slowly: its fields but the first, empty as None."""
    words = {(row["field"], row["code"]): row for row in told.to_dicts()}
    found = []
    for line in lines.to_dicts():
        own = [row for row in findings.to_dicts() if row["row"] == line["row"]]
        for finding in own or [{"field": None, "code": None}]:
            phrase = words.get((finding["field"], finding["code"]), {})
            accepted = line["class"] == 1 and line["member_id"] is not None
            found.append(
                {
                    "line_number": str(line["line_number"]),
                    "record_number": f"{line['record_number']:010d}",
                    "processing_result_class": str(line["class"]),
                    "member_id": f"{line['member_id']:010d}" if accepted else None,
                    "processing_result_code": finding["code"],
                    **{name: phrase.get(name) for name in WORDS},
                }
            )
    return found


def test_every_line_is_told_what_became_of_it(catalogue: Catalogue, result: Format) -> None:
    told = explanations(catalogue.formats["member_registration"], catalogue.reasons)
    lines = lines_frame((0, 1, 1, 42), (1, 2, 2, 77), (2, 3, 3, None), (3, 4, 1, 9_999_999_999))
    findings = pl.DataFrame(
        [
            (1, "my_number", "R201"),
            (1, "name", "R102"),
            (2, "record_number", "D301"),
            (3, "member_id", "W401"),
        ],
        schema=FINDINGS,
        orient="row",
    )
    worded = worded_records(result, lines, findings, told)
    content, count = result_records(result, lines, worded)
    assert worded.rows.tolist() == [1, 1, 2, 3]
    assert count == 5
    names = [item.name for item in result.fields(result.section("line_result"))]
    rows = [
        dict(zip(names, line.split(","), strict=True))
        for line in bytes(content).decode("cp932").splitlines()
    ]
    assert [row["line_number"] for row in rows] == ["2", "3", "3", "4", "5"]
    assert rows[0]["member_id"] == "0000000042"
    assert not rows[0]["processing_result_code"]
    assert {row["processing_result_code"] for row in rows[1:3]} == {"R201", "R102"}
    assert {row["field_label"] for row in rows[1:3]} == {"個人番号", "氏名（券面記載）"}
    assert not any(row["member_id"] for row in rows[1:4])  # only accepted lines tell it
    assert [row["record_number"] for row in rows] == [
        "0000000001",
        "0000000002",
        "0000000002",
        "0000000003",
        "0000000004",
    ]
    text = next(row for row in rows if row["processing_result_code"] == "R102")
    assert "50桁" in text["processing_result_text"]
    assert rows[4]["processing_result_code"] == "W401"
    assert rows[4]["member_id"] == "9999999999"


@pytest.mark.parametrize("assigned", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.9, 1.0])
def test_records_are_those_of_the_worded_lines(
    catalogue: Catalogue, result: Format, share: float, assigned: float
) -> None:
    draws = random.Random(share)
    told = explanations(catalogue.formats["member_registration"], catalogue.reasons)
    rows, findings = [], []
    for row in range(95, 1_150):  # lines of two, three and four digits
        kind = draws.choice([1, 2, 3]) if draws.random() < share else 1
        member = draws.randrange(10**10) if kind == 1 and draws.random() < assigned else None
        rows.append((row, row // 3, kind, member))
        codes = {1: ["W401"], 2: ["R101", "R201"], 3: ["D301"]}[kind]
        if kind > 1 or draws.random() < share:
            found = draws.sample(codes, draws.randint(1, len(codes)))
            findings += [(row, "my_number", code) for code in found]
    lines = lines_frame(*rows)
    elsewhere = [(5, "name", "R101")], [(2_000, "name", "R101")]
    frame = pl.DataFrame([*elsewhere[0], *findings, *elsewhere[1]], schema=FINDINGS, orient="row")
    whole = told_of(lines, frame, told)
    worded = worded_records(result, lines, frame, told)
    content, count = result_records(result, lines, worded)
    assert content == render.records(
        result, "line_result", pl.DataFrame(whole, dict.fromkeys(whole[0], pl.String))
    )
    assert count == len(whole)
    parts = [result_records(result, lines[at : at + 100], worded) for at in range(0, 1_055, 100)]
    assert b"".join(part for part, _ in parts) == content
    assert sum(count for _, count in parts) == len(whole)


@pytest.mark.parametrize("known", [{("name", "R101")}, {("name_kana", "R102")}, set()])
def test_a_code_without_words_is_told_without_any(
    catalogue: Catalogue, result: Format, known: set[tuple[str, str]]
) -> None:
    told = explanations(catalogue.formats["member_registration"], catalogue.reasons, known)
    lines = lines_frame((0, 1, 2, None), (1, 2, 2, None), (2, 3, 2, None))
    findings = [(0, "name", "R102"), (2, "elsewhere", "R102")]
    found = pl.DataFrame(findings, FINDINGS, orient="row")
    content = joined(worded_records(result, lines, found, told).records)
    assert bytes(content).splitlines() == [
        b"21,2,0000000001,2,,R102,,,",
        b"21,3,0000000002,2,,,,,",
        b"21,4,0000000003,2,,R102,,,",
    ]


def test_a_result_file_counts_its_lines_over_all_shares(
    catalogue: Catalogue, result: Format
) -> None:
    told = explanations(catalogue.formats["member_registration"], catalogue.reasons)
    none = FINDINGS.to_frame()
    frames = [lines_frame((0, 1, 1, 5), (1, 1, 1, 5)), lines_frame((2, 2, 1, 6))]
    shares = [
        result_records(result, lines, worded_records(result, lines, none, told)) for lines in frames
    ]
    pieces = list(result_file(result, receipt().control(), shares))
    assert [count for _, count in pieces] == [0, 2, 1, 0]
    found = read(b"".join(piece for piece, _ in pieces), result)
    assert found[-1]["record_count"] == "00000003"
    assert [row["member_id"] for row in found[1:-1]] == ["0000000005"] * 2 + ["0000000006"]
    assert all(
        int(one["line_number"]) < int(next_one["line_number"])
        for one, next_one in pairwise(found[1:-1])
    )


def test_a_held_file_says_so(catalogue: Catalogue, form: Format) -> None:
    given = receipt(outcome="held", code="H101", counts=(("06990014", counts(3, 0, 0, 0, 3)),))
    _, outcome, line, _ = read(acknowledgement(form, catalogue.reasons, given), form)
    assert (outcome["outcome_class"], outcome["processing_result_code"]) == ("4", "H101")
    assert line["held_count"] == "00000003"


def test_outcome_classes_are_those_of_the_code_list(catalogue: Catalogue) -> None:
    assert set(OUTCOME_CLASS.values()) == set(catalogue.codes["outcome"].values)


def test_no_sentence_has_a_place_for_a_value(catalogue: Catalogue) -> None:
    for reason in catalogue.reasons.values():
        words = json.dumps(reason.model_dump(), ensure_ascii=False)
        assert set(_placeholders(words)) <= {"line", "length"}, reason.code


def _placeholders(text: str) -> list[str]:
    found = []
    for part in text[1:-1].split("{")[1:]:
        found.append(part.partition("}")[0])
    return found


@pytest.mark.parametrize("code", ["R102", "W401"])
def test_a_reason_has_both_languages(catalogue: Catalogue, code: str) -> None:
    reason: Reason = catalogue.reasons[code]
    assert reason.title_en.isascii() and reason.text_en.isascii() and reason.action_en.isascii()
