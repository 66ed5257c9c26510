"""Compare: how far what was asked and what was returned agree, item by item.

Evidence, no verdict: each item gets the code of the first rung of its ladder on which both sides
are equal. A rung is a fold on top of all folds below it, so rungs are cumulative, and being equal
on one means being equal on all above it. Nothing is guessed: there is no likeness, no distance.

| code | equal |
|---|---|
| 0 | not asked |
| 1 | byte for byte |
| 2 | but for full and half width |
| 3 | and spaces (in addresses not those between two numbers) |
| 4 | and hiragana or katakana |
| 5 | and 異体字, by table |
| 6 | and the form of long vowels and hyphens |
| 7 | and the notation of an address: units, の and kanji numerals between its numbers |
| 8 | different |
| 9 | nothing was returned |
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np
import polars as pl

from koukan.rules.addresses import notation
from koukan.rules.folds import Variants, hyphens, kana, spaces, spaces_of_address, variants, width

Kind = Literal["my_number", "basic_four"]
Fold = Callable[[pl.Expr, Variants], pl.Expr]
Ladder = Mapping[str, Fold]  # code of a rung -> what it folds; in ascending order

NOT_ASKED, SAME, DIFFERENT, NOT_RETURNED = "0", "1", "8", "9"

NAME: Ladder = {"2": width, "3": spaces, "4": kana, "5": variants, "6": hyphens}
NAME_KANA: Ladder = {"2": width, "3": spaces, "4": kana, "6": hyphens}
ADDRESS: Ladder = {
    "2": width,
    "3": spaces_of_address,
    "4": kana,
    "5": variants,
    "6": hyphens,
    "7": notation,
}
EXACT: Ladder = {}  # equal or different; an uncertain date (00, 0000) equals itself only

LADDERS: Mapping[Kind, Mapping[str, Ladder]] = {  # the items that a question of the kind gives
    "my_number": {
        "resident_name": NAME,
        "resident_name_kana": NAME_KANA,
        "birth_date": EXACT,
        "sex": EXACT,
        "address": ADDRESS,
    },
    "basic_four": {"my_number": EXACT},
}


def compare(asked: pl.Series, returned: pl.Series, ladder: Ladder, table: Variants) -> pl.Series:
    """Codes of the rungs, row by row.

    Args:
        asked, returned: strings of one length; absent ones are null.
        table: 異体字, character -> the one it stands for.
    """
    pairs = pl.DataFrame({"asked": asked, "returned": returned}).with_row_index("row")
    codes = np.full(pairs.height, int(DIFFERENT), np.uint8)
    codes[returned.is_null().to_numpy()] = int(NOT_RETURNED)
    codes[asked.is_null().to_numpy()] = int(NOT_ASKED)
    left = pairs.drop_nulls()
    for code, fold in {SAME: _as_it_is, **ladder}.items():
        left = left.with_columns(fold(pl.col("asked", "returned"), table))
        equal = left["asked"] == left["returned"]
        codes[left["row"].filter(equal).to_numpy()] = int(code)
        left = left.filter(~equal)  # each rung folds only what is unequal on those below
    return pl.Series(codes).cast(pl.String)


def _as_it_is(column: pl.Expr, _: Variants) -> pl.Expr:
    return column


def evidence(
    kind: Kind, asked: pl.DataFrame, returned: pl.DataFrame, table: Variants
) -> pl.DataFrame:
    """A column of codes, `<item>_match`, for each item that a question of the kind gives.

    Args:
        asked, returned: row by row, each with all these items.
    """
    return pl.DataFrame(
        {
            f"{item}_match": compare(asked[item], returned[item], ladder, table)
            for item, ladder in LADDERS[kind].items()
        }
    )
