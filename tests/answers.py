"""Questions and answers of JJK-net as plain rows, and the frames that the rules take."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from koukan.rules.compare import LADDERS, Kind
from koukan.rules.reconcile import ANSWER, NUMBER, QUESTION

Row = dict[str, str | int | None]

PERSON: Row = {
    "resident_name": "架空　太郎",
    "resident_name_kana": "カクウ　タロウ",
    "birth_date": "19800401",
    "sex": "1",
    "address": "架空県見本市栄町１－２",
}
MY_NUMBER, NEW_NUMBER = "123456789018", "123456789026"


def question(kind: Kind, number: int, line: int | None = None, **values: str | None) -> Row:
    """An open question; the record number is told from the line."""
    line = number if line is None else line
    asked: Row = dict(PERSON) if kind == "my_number" else {"my_number": MY_NUMBER}
    places: Row = {NUMBER: number, "line_number": line, "record_number": line + 500}
    return {**places, **asked, **values}


def answer(number: int | None, **values: str | None) -> Row:
    """An answer that found the person, unchanged and alive."""
    found: Row = {
        "answer_class": "1",
        "alive_status": "1",
        "update_status": "0",
        "change_presence": "0",
        "my_number": MY_NUMBER,
        **PERSON,
        "address_detail": "栄町１－２",
        "municipality_code": "990019",
        "municipality_name": "見本市",
    }
    return {NUMBER: number, **found, **values}


def questions_frame(kind: Kind, rows: Sequence[Row]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema={**QUESTION, **dict.fromkeys(LADDERS[kind], pl.String)})


def answers_frame(rows: Sequence[Row]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema={NUMBER: pl.Int64, **dict.fromkeys(ANSWER, pl.String)})


def asked_frame(numbers: Sequence[int]) -> pl.DataFrame:
    return pl.DataFrame({NUMBER: numbers}, schema={NUMBER: pl.Int64})
