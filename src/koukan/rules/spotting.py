"""Values that look like a 個人番号 where none may be: in the content of copies (副本). Pure.

A person writes one in several ways, so width, spaces and hyphens do not count. Of numbers of twelve
digits that are none, one in eleven looks like one: the layout says that such numbers are written
otherwise.
"""

from __future__ import annotations

import polars as pl

from koukan.rules.checkdigits import valid
from koukan.rules.folds import HYPHENS, WIDTHS

BETWEEN = rf"[\s\-－{HYPHENS}]"
MANY_DIGITS = rf"^({BETWEEN}*[0-9０-９]){{12}}{BETWEEN}*$"


def free_of_my_numbers(value: pl.Expr) -> pl.Expr:
    """False where the whole value is twelve digits with the check digit of a 個人番号."""
    return value.map_batches(_free, return_dtype=pl.Boolean, is_elementwise=True)


def _free(column: pl.Series) -> pl.Series:
    """Only the few values that are twelve digits are looked at closely."""
    many = column.str.contains(MANY_DIGITS)
    if not many.any():
        return many.not_()
    plain = pl.col(column.name).str.replace_many(WIDTHS).str.replace_all(BETWEEN, "")
    found = column.to_frame().filter(many.fill_null(value=False)).select(~valid("my_number", plain))
    return many.not_().scatter(many.fill_null(value=False).arg_true(), found.to_series())
