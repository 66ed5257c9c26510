"""資格確認実績ログ: whose a line is, which version counts, and what a line fits."""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl
import pytest

from koukan.rules.checks import CHECKS
from koukan.rules.line_keys import NONE
from koukan.rules.usage import joined, newest, offices_of, visits


@pytest.mark.requirement("R159")
def test_a_line_is_of_the_office_with_its_payer_and_of_no_other() -> None:
    numbers = pl.Series(["12000012", "12000020", "00000000", "99999999", None, "x"])
    payers = np.array([12000012, 12000020, 25000001], np.int64)
    assert offices_of(numbers, payers).tolist() == [0, 1, NONE, NONE, NONE, NONE]
    assert offices_of(numbers, payers[:0]).tolist() == [NONE] * 6


def test_of_each_log_the_last_version_counts_with_all_its_parts() -> None:
    rows = [("1", 1, 1), ("1", 2, 1), ("1", 2, 4), ("2", 1, 1)]
    extracts = pl.DataFrame(rows, schema=["log_number", "log_version", "part_number"], orient="row")
    assert newest(extracts).to_list() == [False, True, True, True]


USAGE = pl.DataFrame(
    {
        "public_payer_number": ["1"] * 4,
        "recipient_number": ["a", "a", "b", "a"],
        "medical_institution_code": ["X", "Y", "X", "X"],
        "qualification_check_date": [date(2026, 5, day) for day in (1, 2, 3, 1)],
    }
)
TICKETS = pl.DataFrame(
    {
        "public_payer_number": ["1", "1", "2", "1"],
        "recipient_number": ["a", "a", "b", "a"],
        "ticket_number": ["t1", "t2", "t3", "t4"],
        "ticket_type": ["1", "2", "1", "1"],
        "start_date": [date(2026, 5, 1)] * 3 + [date(2026, 6, 1)],
        "end_date": [date(2026, 5, 31)] * 3 + [date(2026, 6, 30)],
        "institution_code": ["X", None, "X", "X"],
    }
)


@pytest.mark.requirement("R160")
def test_a_line_fits_the_tickets_of_its_person_and_day_those_of_its_institution_first() -> None:
    """Another payer's recipient of that number is somebody else; no line is lost."""
    found = joined(USAGE, TICKETS)
    told = found.select("recipient_number", "match_class", "ticket_number").rows()
    assert told == [
        ("a", "1", "t1"),
        ("a", "2", "t1"),
        ("a", "2", "t2"),
        ("b", "3", None),
        ("a", "1", "t1"),
    ]


@pytest.mark.requirement("R160")
def test_a_day_counts_once_for_person_month_and_institution() -> None:
    assert visits(USAGE).rows() == [
        ("1", "a", "202605", "X", 1),
        ("1", "a", "202605", "Y", 1),
        ("1", "b", "202605", "X", 1),
    ]


def test_a_moment_is_a_second_of_a_day_of_the_calendar() -> None:
    code, passes = CHECKS["moment"]
    texts = [
        "20260531235959",
        "20260231000000",
        "20260531240000",
        "20260531006000",
        "2026053100000",
    ]
    found = pl.DataFrame({"x": texts}).select(passes(pl.col("x")))["x"]
    assert (code, found.to_list()) == ("R105", [True, False, False, False, False])
