"""Causes: every error is counted once, and no cell of a list is more than text."""

from __future__ import annotations

import csv
import io
import random
from collections import Counter

import polars as pl
import pytest

from koukan.formats import Catalogue, Format
from koukan.rules.acknowledge import explanations, result_file, result_records, worded_records
from koukan.rules.causes import (
    CONSEQUENCE,
    ERRORS,
    WORDS,
    Causes,
    errors_in,
    listing_head,
    listing_lines,
)

RESULT = "registration_result"
LINES = pl.Schema(
    {
        "row": pl.Int64,
        "line_number": pl.Int32,
        "record_number": pl.Int64,
        "class": pl.Int8,
        "member_id": pl.Int64,
    }
)
CONTROL = {
    "reception_number": "0000000001",
    "received_file_name": "MR_kenpo-a_000001.csv",
    "received_at": "20260401013000",
}


def errors(*rows: tuple[int, str]) -> pl.DataFrame:
    """(line, code) as errors; the words are made from the code."""
    return pl.DataFrame(
        [
            [line, f"{line:010d}", f"item of {code}", code, f"why {code}", f"do {code}"]
            for line, code in rows
        ],
        schema=ERRORS,
        orient="row",
    )


def result(catalogue: Catalogue, findings: list[tuple[int, str, str]], classes: list[int]) -> bytes:
    """A result file: a class for each line, findings by row."""
    lines = pl.DataFrame(
        [[row, row + 2, row + 1, kind, None] for row, kind in enumerate(classes)],
        schema=LINES,
        orient="row",
    )
    found = pl.DataFrame(
        findings, schema={"row": pl.Int64, "field": pl.String, "code": pl.String}, orient="row"
    )
    told = explanations(catalogue.formats["member_registration"], catalogue.reasons)
    form = catalogue.formats[RESULT]
    worded = worded_records(form, lines, found, told)
    shares = [result_records(form, lines, worded)] if classes else []
    return b"".join(content for content, _ in result_file(form, CONTROL, shares))


@pytest.fixture
def form(catalogue: Catalogue) -> Format:
    return catalogue.formats[RESULT]


def test_the_errors_of_rejected_lines_are_read_in_the_words_of_the_result(
    catalogue: Catalogue, form: Format
) -> None:
    findings = [
        *((0, "birth_date", "R102"), (0, "sex_1", "R103")),
        *((1, "process_type_code", "W401"), (2, "record_number", "D301")),
        (4, "record_number", "R302"),
    ]
    content = result(catalogue, findings, [2, 1, 3, 1, 2])

    found = errors_in(form, content)

    assert found.schema == ERRORS
    assert found.select("line_number", "record_number", "processing_result_code").rows() == [
        *((2, "0000000001", "R102"), (2, "0000000001", "R103")),
        (6, "0000000005", "R302"),
    ]
    assert found["field_label"].to_list() == ["生年月日", "性別1", "レコード識別番号"]
    assert found["action_text"][2] == catalogue.reasons["R302"].action


def test_control_and_end_record_alone_tell_of_no_error(catalogue: Catalogue, form: Format) -> None:
    content = result(catalogue, [], [])
    assert content.count(b"\r\n") == 2
    assert errors_in(form, content).equals(ERRORS.to_frame())


def test_causes_are_counted_over_parts_as_plain_python_counts_them(long: bool) -> None:
    draw = random.Random(20_260_401)
    codes = ["R101", "R102", "R103", CONSEQUENCE]
    for _ in range(300 if long else 40):
        rows = sorted(
            {(draw.randrange(2, 30), draw.choice(codes)) for _ in range(draw.randrange(1, 60))}
        )
        kept = draw.randrange(1, 8)
        causes = Causes(kept)
        cuts = sorted(draw.randrange(len(rows) + 1) for _ in range(3))
        for start, stop in zip([0, *cuts], [*cuts, len(rows)], strict=True):
            causes.add(errors(*rows[start:stop]))

        assert (causes.errors, causes.lines) == (len(rows), len({line for line, _ in rows}))
        wanted = Counter(code for _, code in rows)
        ranked = causes.ranked()
        assert {cause.code: cause.total for cause in ranked} == wanted
        for cause in ranked:
            lines = [line for line, code in rows if code == cause.code][:kept]
            assert cause.first.rows() == [(line, f"{line:010d}") for line in lines]
        own = [cause.total for cause in ranked if cause.code != CONSEQUENCE]
        assert own == sorted(own, reverse=True)
        assert CONSEQUENCE not in [cause.code for cause in ranked[:-1]]


def test_equally_frequent_causes_stand_in_the_order_of_their_words() -> None:
    causes = Causes(5)
    causes.add(errors((2, "R103"), (3, "R101"), (4, "R102")))
    assert [cause.code for cause in causes.ranked()] == ["R101", "R102", "R103"]


def read(content: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode(), newline="")))


RISKY = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1", "＋1", "－1", "＠1", "'1"]


@pytest.mark.parametrize("text", RISKY)
@pytest.mark.parametrize("column", WORDS)
def test_nothing_in_the_list_is_a_formula(text: str, column: str) -> None:
    found = errors((2, "R101")).with_columns(pl.lit(text).alias(column))

    [cells] = read(listing_lines(found))

    assert cells[ERRORS.names().index(column)] == "'" + text
    assert not [cell for cell in cells if cell[0] in "=+-@\t\r\n＝＋－＠"]


def test_the_list_is_whole_lines_with_every_field_in_quotes() -> None:
    found = errors((2, "R101")).with_columns(action_text=pl.lit('a "b", c'))

    content = listing_lines(found)

    assert content == (b'"2","\'0000000002","item of R101","R101","why R101","a ""b"", c"\r\n')
    head = listing_head({name: f"label of {name}" for name in ERRORS.names()})
    assert read(head) == [[f"label of {name}" for name in ERRORS.names()]]
    assert head.endswith(b'"\r\n')
