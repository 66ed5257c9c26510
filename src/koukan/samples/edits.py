"""Changes to a frame of lines: fields set and lines repeated, of chosen record numbers only."""

from __future__ import annotations

import polars as pl


def of(chosen: pl.Series) -> pl.Expr:
    """Whether a line has one of these record numbers."""
    return pl.col("record_number").is_in(chosen.implode())


def with_fields(
    frame: pl.DataFrame, chosen: pl.Series, **values: pl.Expr | str | None
) -> pl.DataFrame:
    """The frame with these values in the chosen lines; None empties a field."""
    new = {}
    for name, value in values.items():
        expression = value if isinstance(value, pl.Expr) else pl.lit(value, pl.String)
        new[name] = pl.when(of(chosen)).then(expression).otherwise(pl.col(name))
    return frame.with_columns(**new)


def with_repeated(
    frame: pl.DataFrame, chosen: pl.Series, **values: pl.Expr | str | None
) -> pl.DataFrame:
    """The frame with a second line for each chosen one, the same or with other content."""
    return pl.concat([frame, with_fields(frame.filter(of(chosen)), chosen, **values)])


def one_number_for_two(frame: pl.DataFrame, chosen: pl.Series) -> pl.DataFrame:
    """The second of each pair of chosen record numbers becomes the first."""
    first, second = chosen.gather_every(2), chosen.gather_every(2, 1)
    return frame.with_columns(pl.col("record_number").replace(second, first))


def wrong_digit(name: str) -> pl.Expr:
    """The number with another last digit, which is its check digit."""
    digit = (pl.col(name).str.tail(1).cast(pl.Int64) + 1) % 10
    return pl.col(name).str.head(-1) + digit.cast(pl.String)
