"""Outbound files: frames of strings out as the bytes of a format, records in bulk."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from koukan.codecs.text import encode
from koukan.formats.model import Field, Format

BREAKING = r'[,"\r\n]'  # would shift fields: our own words must not hold them


def single(form: Format, fields: tuple[Field, ...], values: Mapping[str, str]) -> bytes:
    """The control or end record.

    Raises:
        ValueError: a value does not fit its field (a bug of ours, never a sender's).
    """
    row = {item.name: [values.get(item.name) or None] for item in fields}
    return _lines(form, fields, pl.DataFrame(row, schema=dict.fromkeys(row, pl.String)))


def control(form: Format, values: Mapping[str, str]) -> bytes:
    return single(form, form.control, {"record_type_code": "00", **values})


def end(form: Format, values: Mapping[str, str]) -> bytes:
    return single(form, form.end, {"record_type_code": "99", **values})


def records(form: Format, section: str, frame: pl.DataFrame) -> bytes:
    """Records of one type from a frame of strings; a missing column is empty throughout."""
    record = form.section(section)
    fields = form.fields(record)
    given = set(frame.columns)
    columns = [
        pl.col(item.name) if item.name in given else pl.lit(None, pl.String).alias(item.name)
        for item in fields
    ]
    filled = frame.with_columns(record_type_code=pl.lit(record.code))
    columns[0] = pl.col("record_type_code")
    return _lines(form, fields, filled.select(columns))


def _length(item: Field) -> pl.Expr:
    column = pl.col(item.name).str
    return column.len_bytes() if item.is_ascii else column.len_chars()


def _lines(form: Format, fields: tuple[Field, ...], frame: pl.DataFrame) -> bytes:
    wrong = frame.select(
        pl.any_horizontal(
            (_length(item) > item.length).any(),
            pl.col(item.name).is_null().any() if item.required else pl.lit(False),
            pl.col(item.name).str.contains(BREAKING).any()
            if item.type in ("text", "kana", "ascii")
            else pl.lit(False),
        ).alias(item.name)
        for item in fields
    ).row(0, named=True)
    for name, is_wrong in wrong.items():
        if is_wrong:
            raise ValueError(f"{form.name}.{name}: a value does not fit its field")
    text = frame.write_csv(
        include_header=False,
        quote_style="never",
        null_value="",
        line_terminator=form.file.line_end.decode(),
    )
    return encode(text, form.file.encoding)
