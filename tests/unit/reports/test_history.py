"""A history as a text file: what a spreadsheet would alter stands as text."""

from __future__ import annotations

from datetime import date

import polars as pl

from koukan.reports.history import as_csv


def test_sections_stand_under_each_other_and_nothing_is_taken_for_a_number_or_formula() -> None:
    one = pl.DataFrame(
        {"member_id": ["0000000012"], "day": [date(2026, 4, 1)], "name": ["=cmd"], "none": [None]}
    )
    other = pl.DataFrame({"member_id": ["1234567890"], "long": ["123456789012"], "line": [5]})
    found = as_csv({"A": one, "B": other, "C": one.head(0)}, {"name": "氏名"}, "区分")
    assert found.decode("utf-8-sig").split("\r\n") == [
        '"区分","member_id","day","氏名","long","line"',
        '"A","\'0000000012","2026-04-01","\'=cmd","",""',
        '"B","1234567890","","","\'123456789012","5"',
        "",
    ]
    assert found.startswith(b"\xef\xbb\xbf")


def test_nothing_gives_a_heading() -> None:
    assert as_csv({}, {}, "区分").decode("utf-8-sig") == '"区分"\r\n'
