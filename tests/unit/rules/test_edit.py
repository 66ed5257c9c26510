"""Answered questions as the insurer's own lines."""

from __future__ import annotations

import polars as pl
import pytest

from koukan.rules.edit import GETA, result_lines, unwritable


def test_numbers_are_digits_and_evidence_has_its_fields_names() -> None:
    answered = pl.DataFrame(
        {
            "request_record_number": [7],
            "line_number": [2],
            "record_number": [15],
            "query_result_class": ["1"],
            "my_number": ["123456789018"],
            "sex_match": ["8"],
        }
    )
    assert result_lines(answered).to_dicts() == [
        {
            "query_result_class": "1",
            "my_number": "123456789018",
            "sex_match_class": "8",
            "line_number": "2",
            "record_number": "0000000015",
        }
    ]


def answered(**values: str | None) -> pl.DataFrame:
    person = {
        "resident_name": "架空　太郎",
        "resident_name_kana": "カクウ　タロウ",
        "address": "架空県見本市本町１丁目２番３号",
        "address_detail": None,
        "municipality_name": "架空県見本市",
    }
    row = {"request_record_number": 7, "line_number": 2, "record_number": 15}
    texts = {"query_result_class": "1", **person, **values}
    schema = {**dict.fromkeys(row, pl.Int64), **dict.fromkeys(texts, pl.String)}
    return pl.DataFrame([{**row, **texts}], schema=schema)


@pytest.mark.requirement("R139")
@pytest.mark.parametrize(
    ("values", "detail"),
    [
        ({}, "本町１丁目２番３号"),
        ({"address_detail": "本町一丁目"}, "本町一丁目"),
        ({"municipality_name": None}, None),
        ({"municipality_name": "架空県試験市"}, None),
        ({"municipality_name": "架空県見本市本町１丁目２番３号"}, None),  # nothing would be left
        ({"address": "架空県見本市" + "町" * 11}, None),  # it does not fit, and is not cut
    ],
)
def test_an_address_is_split_where_the_register_did_not(
    values: dict[str, str | None], detail: str | None
) -> None:
    lines = result_lines(answered(**values), detail_length=10)
    assert lines["address_detail"].to_list() == [detail]


@pytest.mark.requirement("R139")
def test_a_character_that_the_file_cannot_hold_is_a_mark_and_the_line_says_so() -> None:
    written = result_lines(answered(resident_name="𠮷田　太郎"), encoding="cp932")
    assert written["resident_name"].to_list() == [GETA + "田　太郎"]
    assert written["external_character"].to_list() == ["1"]
    assert result_lines(answered(), encoding="cp932").equals(result_lines(answered()))
    assert result_lines(answered())["external_character"].to_list() == ["0"]
    wide = result_lines(answered(resident_name="𠮷田　太郎"), encoding="utf-8")
    assert wide["resident_name"].to_list() == ["𠮷田　太郎"]
    nobody = result_lines(answered(resident_name=None, address=None), encoding="cp932")
    assert nobody["external_character"].to_list() == [None]


def test_characters_are_looked_for_in_the_texts_that_are_there() -> None:
    assert unwritable(pl.DataFrame({"resident_name": ["架空　𠮟", "見本"]}), "cp932") == ["𠮟"]
    assert unwritable(pl.DataFrame({"sex": ["1"]}), "cp932") == []
