"""Flow 1-(2): what of the 資格履歴 goes to オンライン資格確認等システム (OQS), and how it is named.

The items are those of `formats/online_export.toml` and no others: a section's columns are looked up
by their names in the 資格履歴, which has none for a 個人番号, a token or a 機関別符号.
"""

from __future__ import annotations

import hashlib
from datetime import date
from functools import cache

import polars as pl

from koukan.formats.model import Format
from koukan.rules.restating import MAIN

SYSTEM = "oqs"
EPOCH, FIRST_DAY, LAST_DAY = date(1970, 1, 1), date(1868, 1, 1), date(2130, 12, 31)
EXPORT, RESPONSE = "online_export", "online_response"
TAKEN, REFUSED = "taken_person", "refused_person"  # sections of a response
PROCESSED, REFUSED_WHOLE = "1", "2"  # 連携結果区分
NO_PUSH, OTHER_BYTES, OTHER_COUNT, CONTRADICTION = "F181", "F182", "F183", "F184"
CODE = "push_result_code"
PERSON = "person"  # section of the line that says what to do with a 紐付番号
REPLACE, DELETE = "1", "2"  # 登録区分
DELTA, FULL = "1", "2"  # 連携区分
PMH_ID = "pmh_id"
INNER = ("record_number", "record_type_code")


def push_name(sequence: int) -> str:
    """A push by its number."""
    return f"OQ_koukan_{sequence:06d}.csv"


def sections(form: Format) -> list[str]:
    """Sections of the 資格履歴 that are sent; spells first."""
    names = [record.section for record in form.records if record.section != PERSON]
    return sorted(names, key=lambda name: name != MAIN)


def items(form: Format, section: str) -> list[str]:
    """The items of a section that are sent, beside the 紐付番号."""
    return [field.name for field in form.section(section).own]


def layout(form: Format) -> int:
    """A number for which items of which length are sent: with another layout everybody differs."""
    told = [(field.name, field.type, field.length) for field in form.all_fields]
    return int.from_bytes(hashlib.sha256(repr(told).encode()).digest()[:8], "big")


def shown(frame: pl.DataFrame) -> pl.DataFrame:
    """Days as eight digits, as the file has them."""
    days = [name for name, kind in frame.schema.items() if kind == pl.Date]
    return frame.with_columns(digits_of(frame[name]) for name in days)


@cache
def _days() -> pl.Series:
    """Every day that is looked up rather than written: to write each takes ten times as long."""
    return pl.date_range(FIRST_DAY, LAST_DAY, eager=True).dt.strftime("%Y%m%d")


def digits_of(days: pl.Series) -> pl.Series:
    """Days as eight digits; null stays."""
    place = days.to_physical().cast(pl.Int64) - (FIRST_DAY - EPOCH).days
    low, high = place.min(), place.max()
    if isinstance(low, int) and isinstance(high, int) and (low < 0 or high >= len(_days())):
        return days.dt.strftime("%Y%m%d")
    return _days().gather(place).alias(days.name)


def padded(numbers: pl.Series, length: int) -> pl.Series:
    """Numbers as so many digits; null stays."""
    return numbers.cast(pl.String).str.zfill(length)
