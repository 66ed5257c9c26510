"""Edit: answered questions as lines of the insurer's result file (flow 3, before step 7).

Nothing is cut and nothing silently replaced. A character that the file's encoding lacks (外字) is
written 〓, and the line says so. 住所（大字以降） that the register left empty is taken from 住所
where that begins with 市町村名 and the rest fits; else it stays empty.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from koukan.codecs.text import encode

MATCH = "_match"
GETA = "〓"
TEXTS = (  # what may hold any character
    *("resident_name", "resident_name_kana", "address", "address_detail", "municipality_name"),
)
REPLACED, WHOLE = "1", "0"  # 外字有無


def result_lines(
    answered: pl.DataFrame, *, encoding: str | None = None, detail_length: int = 0
) -> pl.DataFrame:
    """Strings by the field names of the result formats, row for row.

    Args:
        answered: as `koukan.rules.reconcile` gives it: place, result, returned items, evidence.
        encoding: of the result file; None where it has every character that an answer can have.
        detail_length: characters that 住所（大字以降） takes; 0 to leave it as it came.
    """
    evidence = [name for name in answered.columns if name.endswith(MATCH)]
    others = [
        name
        for name in answered.columns
        if name not in (*evidence, "request_record_number", "line_number", "record_number")
    ]
    lines = answered.select(
        *others,
        *(pl.col(name).alias(f"{name}_class") for name in evidence),
        line_number=pl.col("line_number").cast(pl.String),
        record_number=pl.col("record_number").cast(pl.String).str.zfill(10),
    )
    if detail_length:
        lines = lines.with_columns(_detail(detail_length))
    lacking = [] if encoding is None else unwritable(lines, encoding)
    return lines.with_columns(*_marked(lines, lacking))


def _detail(length: int) -> pl.Expr:
    """住所（大字以降）, from the address where it is missing."""
    address, detail = pl.col("address"), pl.col("address_detail")
    place = pl.col("municipality_name")
    rest = address.str.strip_prefix(place)
    known = (place != "") & address.str.starts_with(place)
    fits = known & (rest != "") & (rest.str.len_chars() <= length)
    return pl.when(detail.is_null() & fits).then(rest).otherwise(detail).alias("address_detail")


def unwritable(lines: pl.DataFrame, encoding: str) -> list[str]:
    """Characters in the texts of the lines that the encoding has not, ascending."""
    there: set[str] = set()
    for name in TEXTS:
        if name in lines.columns:
            there.update(lines[name].str.join("").item())
    return sorted(character for character in there if not _writable(character, encoding))


def _writable(character: str, encoding: str) -> bool:
    try:
        encode(character, encoding)
    except UnicodeEncodeError:
        return False
    return True


def _marked(lines: pl.DataFrame, lacking: Sequence[str]) -> list[pl.Expr]:
    """The texts with 〓 for these characters, and 外字有無 of lines that tell of somebody."""
    texts = [name for name in TEXTS if name in lines.columns]
    if not texts:
        return []
    some = pl.lit(value=False)
    if lacking:
        columns = (pl.col(name).str.contains_any(list(lacking)) for name in texts)
        some = pl.any_horizontal(columns).fill_null(value=False)
    flag = pl.when(some).then(pl.lit(REPLACED)).otherwise(pl.lit(WHOLE))
    told = pl.when(pl.col("resident_name").is_not_null()).then(flag)
    many = dict.fromkeys(lacking, GETA)
    replaced = [pl.col(name).str.replace_many(many) for name in texts] if lacking else []
    return [*replaced, told.alias("external_character")]
