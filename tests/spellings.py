"""Ways of writing the same name or address, and the folds of a ladder as one expression."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl
from hypothesis import strategies as st

from koukan.formats import require_catalogue
from koukan.rules.compare import Ladder
from koukan.shipped import formats_folder

TABLE = require_catalogue(formats_folder()).variants  # a fixture would stand in every failure

# Each slot may be written in any of its ways; no two slots mean the same.
SLOTS: Sequence[Sequence[str]] = (
    ("ア", "ｱ", "あ"),
    ("ガ", "ｶﾞ", "が", "カ゛", "か\u3099", "ｶ゛"),
    ("パ", "ﾊﾟ", "ハ゜", "ぱ"),
    ("ヴ", "ｳﾞ", "ゔ", "う゛"),
    ("わ゛", "ヷ", "ﾜﾞ"),
    ("カ", "ｶ", "か"),
    ("ー", "ｰ", "-", "－", "‐", "―", "−"),
    ("", " ", "　", "\u00a0"),
    ("高", "髙"),
    ("辺", "邊", "邉"),
    ("神", "\ufa19", "神\ufe00"),
    ("1", "１", "一"),
    ("二", "２"),
    ("十", "一十", "10"),
    ("百", "〇"),
    ("丁目", "番地", "番", "号", "号室"),
    ("の", "ノ", "ﾉ"),
    ("町", "館", "条", "線"),
    ("三番町", "3番町"),
    ("三丁目", "３"),
    ("ヶ", "ケ", "ヵ"),
    ("A", "Ａ"),
    ("田", "架"),
)


def spellings() -> st.SearchStrategy[tuple[str, str]]:
    """Two texts of the same slots: often equal on some rung, sometimes on none."""
    slot = st.sampled_from(SLOTS).flatmap(
        lambda ways: st.tuples(st.sampled_from(ways), st.sampled_from(ways))
    )
    return st.lists(slot, max_size=8).map(
        lambda slots: ("".join(one for one, _ in slots), "".join(other for _, other in slots))
    )


def texts() -> st.SearchStrategy[str]:
    """Anything that can be written with the characters of the slots, and some that cannot."""
    characters = sorted({one for ways in SLOTS for way in ways for one in way})
    return st.text(
        st.one_of(st.sampled_from(characters), st.characters(codec="utf-8")), max_size=12
    )


def folded(
    values: Sequence[str], ladder: Ladder, table: Mapping[str, str], up_to: str
) -> list[str]:
    """The values as the rung `up_to` of a ladder sees them."""
    column = pl.col("value")
    for code, fold in ladder.items():
        if code <= up_to:
            column = fold(column, table)
    frame = pl.DataFrame({"value": values}, schema={"value": pl.String})
    return frame.select(column).to_series().to_list()
