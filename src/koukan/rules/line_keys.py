"""Line keys: what rules over lines need of every record, as numbers."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from koukan.formats.model import Field, Format, Record
from koukan.rules.checks import as_date

NONE = -1  # an absent or unreadable number
DAYS = 40_000  # between the first day that a key may have, in 1860, and 1970
KEYS = pl.Schema(
    {
        "record_number": pl.Int64,
        "type": pl.Int8,
        "process": pl.Int8,
        "insurer": pl.Int32,
        "my_number": pl.Int64,
        "member_id": pl.Int64,
        "target": pl.Int64,
        "key": pl.Int64,
        "bad": pl.Boolean,
    }
)
# A change names one of three targets, in one column: 更新後個人番号 as it is, or one of these and
# 被保険者枝番（変更後）, 保険者コード（変更後）.
AS_MEMBER, AS_INSURER = 10**12, 2 * 10**12


def room_for(schema: pl.Schema, rows: int) -> dict[str, npt.NDArray[Any]]:
    """Columns of numbers and flags to be filled, by name; zeros."""
    return {
        name: np.zeros(rows, pl.Series(dtype=dtype).to_numpy().dtype)
        for name, dtype in schema.items()
    }


def _number(name: str, known: Collection[str], dtype: type[pl.DataType] = pl.Int64) -> pl.Expr:
    """A field of digits as an integer; `NONE` where it is empty, unreadable or no field at all."""
    if name not in known:
        return pl.lit(NONE, dtype).alias(name)
    return pl.col(name).cast(dtype, strict=False).fill_null(NONE).alias(name)


def _target(known: Collection[str]) -> pl.Expr:
    """What a change leads to; a line that names several is wrong, whichever is taken here."""
    shifted = (("new_my_number", 0), ("new_member_id", AS_MEMBER), ("new_insurer_code", AS_INSURER))
    given = [
        pl.col(name).cast(pl.Int64, strict=False) + base for name, base in shifted if name in known
    ]
    return pl.coalesce(*given, pl.lit(NONE, pl.Int64)).alias("target")


def _key_part(item: Field, *, typed: bool) -> tuple[pl.Expr, int]:
    """A key field as a small integer and the number of values it may have."""
    if item.type == "date":
        day = pl.col(item.name) if typed else as_date(item.name)
        return day.to_physical().cast(pl.Int64) + DAYS, 2**22
    return pl.col(item.name).cast(pl.Int64, strict=False), 10**item.length


def key_columns(
    form: Format, record: Record, bad: str, typed: Collection[str] = ()
) -> list[pl.Expr]:
    """What later rules need of a decoded record, as integers; the columns of `KEYS`.

    Args:
        bad: the column that tells whether the row breaks a rule.
        typed: dates that come as days already; everything else comes as strings.
    """
    own = {item.name: item for item in record.own}
    known = {item.name for item in form.common}
    key = pl.lit(0, pl.Int64)
    for name in record.key:
        part, size = _key_part(own[name], typed=name in typed)
        key = key * size + part
    return [
        _number("record_number", known),
        pl.lit(int(record.code), pl.Int8).alias("type"),
        _number("process_type_code", known, pl.Int8).alias("process"),
        _number("insurer_code", known, pl.Int32).alias("insurer"),
        _number("my_number", known),
        _number("member_id", known),
        _target(known),
        key.fill_null(NONE).alias("key"),
        pl.col(bad).alias("bad"),
    ]
