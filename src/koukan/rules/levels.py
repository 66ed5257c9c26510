"""Levels: what the evidence of one answer comes to, from A (all equal) to D (less than needed).

Of `koukan.rules.compare`'s codes and nothing else; a level is no likeness, and nothing is excused:
who moved differs in the address, and that is D, whatever else the answer says.

| level | a question for a 個人番号 | a question with one |
|---|---|---|
| A | every item that was asked is equal byte for byte, all of 基本4情報 were | the same number |
| B | 基本4情報 are equal on some rung of their ladders | the number that replaced it |
| C | 氏名, 生年月日 and 住所 are; the sex is missing on one side, or the readings differ | – |
| D | anything less: one of the three differs, or the sex does | anything less |

氏名かな belongs to no set of search items (R221). Where one side lacks it, it takes away A only;
where both sides have it and it differs, the answer is no better than one without the sex.
"""

from __future__ import annotations

from typing import Literal

import polars as pl

from koukan.rules.compare import DIFFERENT, NOT_ASKED, NOT_RETURNED, SAME, Kind
from koukan.rules.reconcile import QUESTION, RESULT_FOUND, RESULT_WEAK

Level = Literal["A", "B", "C", "D"]
LEVELS: tuple[Level, ...] = ("A", "B", "C", "D")  # the best first
LEVEL = "match_level"
NEEDED = ("resident_name", "birth_date", "address")  # of 基本4情報, besides the sex
_MISSING = (NOT_ASKED, NOT_RETURNED)


def level(kind: Kind) -> pl.Expr:
    """The level of a row of evidence (`<item>_match` columns); null where nobody is given."""
    return _of_basic_four() if kind == "basic_four" else _of_my_number()


def _of_my_number() -> pl.Expr:
    codes = {name: pl.col(f"{name}_match") for name in (*NEEDED, "sex")}
    kana = pl.col("resident_name_kana_match")
    unequal = (DIFFERENT, *_MISSING)
    equal = pl.all_horizontal(~codes[name].is_in(unequal) for name in NEEDED)
    exact = pl.all_horizontal(code == SAME for code in codes.values())
    return (
        pl.when(exact & kana.is_in((SAME, NOT_ASKED)))
        .then(pl.lit("A"))
        .when(equal & (codes["sex"] == SAME) & (kana != DIFFERENT))
        .then(pl.lit("B"))
        .when(equal & (codes["sex"] != DIFFERENT))
        .then(pl.lit("C"))
        .when(kana.is_not_null())
        .then(pl.lit("D"))
        .alias(LEVEL)
    )


def _of_basic_four() -> pl.Expr:
    code = pl.col("my_number_match")
    return (
        pl.when(code == SAME)
        .then(pl.lit("A"))
        .when(code == DIFFERENT)  # it is held unless the register says that it was replaced
        .then(pl.lit("B"))
        .when(code.is_not_null())
        .then(pl.lit("D"))
        .alias(LEVEL)
    )


def worse_than(below: str | None) -> pl.Expr:
    """Rows whose level is worse than this one; none where it is None."""
    if below is None:
        return pl.lit(value=False)
    return (pl.col(LEVEL) > below).fill_null(value=False)  # A to D ascend


def too_weak_at_once(below: str | None) -> pl.Expr:
    """Rows that an immediate answer tells as 照合不足: those worse than a site's level.

    Where the site has none, D of 該当あり: somebody who differs, and the register does not say why.
    Who moved, or has another number, is told as such.
    """
    if below is not None:
        return worse_than(below)
    unexplained = pl.col("query_result_class") == RESULT_FOUND
    return ((pl.col(LEVEL) == "D") & unexplained).fill_null(value=False)


def weakened(answered: pl.DataFrame, which: pl.Expr) -> pl.DataFrame:
    """照合不足 in these rows, and nothing of anybody; the others as they are.

    Args:
        answered: as `koukan.rules.reconcile` gives it, and the level.
    """
    kept = set(QUESTION)
    return answered.with_columns(
        pl.when(which)
        .then(pl.lit(RESULT_WEAK) if name == "query_result_class" else pl.lit(None, pl.String))
        .otherwise(pl.col(name))
        .alias(name)
        for name in answered.columns
        if name not in kept
    )
