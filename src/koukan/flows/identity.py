"""Flows 3-(1) to 3-(4) 本人確認: what is asked, by whom, under which name, and what is counted.

An insurer's questions (照会要求ファイル) are merged with those of others into one request to
住基ネット under 要求レコード番号, its answers are split by them again, compared with what was
asked, edited into the insurer's layout and handed over in a sealed package; at that moment they
erase themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import polars as pl

from koukan.rules.compare import Kind

SYSTEM = "juki_net"
REQUEST, ANSWER, RECEIPT = "juki_net_request", "juki_net_answer", "package_receipt"
MY_NUMBER: Kind = "my_number"  # 照会種別: 個人番号取得
BASIC_FOUR: Kind = "basic_four"  # 基本4情報取得
QUESTIONS: Mapping[str, Kind] = MappingProxyType(
    {"my_number_query": MY_NUMBER, "basic_four_query": BASIC_FOUR}
)
RESULTS: Mapping[str, str] = MappingProxyType(
    {MY_NUMBER: "my_number_result", BASIC_FOUR: "basic_four_result"}
)
TYPES: Mapping[str, str] = MappingProxyType({MY_NUMBER: "1", BASIC_FOUR: "2"})  # query_type
PREFIXES: Mapping[str, str] = MappingProxyType({MY_NUMBER: "NR", BASIC_FOUR: "BR"})
IMMEDIATE, BULK = "1", "2"  # 照会方式
AT_ONCE = 10  # questions of an immediate file
REQUEST_DIGITS = 16
SEARCH_ITEMS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        MY_NUMBER: ("resident_name", "resident_name_kana", "birth_date", "sex", "address"),
        BASIC_FOUR: ("my_number",),
    }
)
# What is kept of each question until it is answered, beside its search items.
PLACE: Mapping[str, pl.DataType] = MappingProxyType(
    {
        "request_record_number": pl.Int64(),
        "line_number": pl.Int64(),
        "record_number": pl.Int64(),
        "position": pl.Int64(),  # among the file's questions, from 0; requests hold ranges of it
    }
)


def kind_of(name: str) -> Kind:
    """A kind as the ledger has it."""
    return MY_NUMBER if name == MY_NUMBER else BASIC_FOUR


def question_schema(kind: str) -> dict[str, pl.DataType]:
    """Columns of a frame of questions."""
    return {**PLACE, **dict.fromkeys(SEARCH_ITEMS[kind], pl.String())}


def search_condition(kind: str) -> pl.Expr:
    """主たる照会条件: by which items the register is to be searched."""
    if kind == BASIC_FOUR:
        return pl.lit("1")
    return pl.when(pl.col("sex").is_null()).then(pl.lit("3")).otherwise(pl.lit("2"))
