"""Levels of evidence, every combination of codes against a plain reading of the definition."""

from __future__ import annotations

from itertools import product

import polars as pl
import pytest

from koukan.rules.compare import LADDERS, evidence
from koukan.rules.levels import LEVEL, LEVELS, level, too_weak_at_once, weakened, worse_than

CODES = "0123456789"
ITEMS = ("resident_name", "resident_name_kana", "birth_date", "sex", "address")
WRITTEN = {  # an insurer's writing of what the register has
    "resident_name": "架空　太郎",
    "resident_name_kana": "カクウ　タロウ",
    "birth_date": "19800115",
    "sex": "1",
    "address": "架空県見本市本町１丁目２番３号",
}


def plainly(name: str, kana: str, birth: str, sex: str, address: str) -> str:
    three = [name, birth, address]
    if any(code in "089" for code in three) or sex == "8":
        return "D"
    if sex in "09" or kana == "8":
        return "C"
    return "A" if {*three, sex} == {"1"} and kana in "01" else "B"


@pytest.mark.requirement("R138")
def test_every_combination_of_evidence_has_its_level() -> None:
    codes = list(product(CODES, CODES, "189", "0189", CODES))  # a date and a sex have one rung
    frame = pl.DataFrame(
        {f"{item}_match": [each[at] for each in codes] for at, item in enumerate(ITEMS)}
    )
    found = frame.select(level("my_number"))[LEVEL].to_list()
    assert found == [plainly(*each) for each in codes]
    assert set(found) == set(LEVELS)


def test_a_number_is_the_same_or_was_replaced() -> None:
    frame = pl.DataFrame({"my_number_match": ["1", "8", "9", None]})
    assert frame.select(level("basic_four"))[LEVEL].to_list() == ["A", "B", "D", None]


def test_who_is_not_told_of_has_no_level() -> None:
    nothing = pl.DataFrame({f"{item}_match": pl.Series([None], dtype=pl.String) for item in ITEMS})
    assert nothing.select(level("my_number"))[LEVEL].to_list() == [None]


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, "A"),
        ({"resident_name_kana": None}, "A"),
        ({"resident_name": "架空 太郎"}, "B"),
        ({"resident_name_kana": "ｶｸｳ ﾀﾛｳ"}, "B"),
        ({"address": "架空県見本市本町一丁目２－３"}, "B"),
        ({"sex": None}, "C"),
        ({"sex": None, "resident_name": "架空太郎"}, "C"),
        ({"resident_name_kana": "カクウ　ジロウ"}, "C"),
        ({"sex": "2"}, "D"),
        ({"address": "架空県別市１"}, "D"),
        ({"birth_date": "19800116"}, "D"),
        ({"resident_name": "架空　次郎"}, "D"),
    ],
)
def test_what_insurers_write_comes_to_the_level_that_the_definition_names(
    changed: dict[str, str | None], expected: str
) -> None:
    asked = pl.DataFrame(
        [{**WRITTEN, **changed}], schema=dict.fromkeys(LADDERS["my_number"], pl.String)
    )
    found = evidence("my_number", asked, pl.DataFrame([WRITTEN]), {})
    assert found.select(level("my_number"))[LEVEL].to_list() == [expected]


def test_at_once_it_is_weak_by_default_only_if_the_register_does_not_say_why() -> None:
    rows = pl.DataFrame(
        {
            "query_result_class": ["1", "1", "6", "5", "2"],
            "match_level": ["D", "C", "D", "D", None],
        }
    )
    found = {
        below: rows.select(too_weak_at_once(below).alias("weak"))["weak"].to_list()
        for below in (None, "B")
    }
    assert found[None] == [True, False, False, False, False]
    assert found["B"] == [True, True, True, True, False]


def test_without_a_level_nothing_is_worse_than_it() -> None:
    rows = pl.DataFrame({"match_level": ["A", "D", None]})
    assert rows.select(rows["match_level"], weak=worse_than(None))["weak"].to_list() == [False] * 3


def test_who_is_too_weak_is_told_nothing_of_anybody() -> None:
    answered = pl.DataFrame(
        {"line_number": [2, 3], "query_result_class": ["1", "1"], "resident_name": ["一", "二"]}
    )
    found = weakened(answered, pl.col("line_number") == 3)
    assert found.rows() == [(2, "1", "一"), (3, "7", None)]
