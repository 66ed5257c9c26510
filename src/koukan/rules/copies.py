"""Copies (副本) of one insurer: which stand, what a line may say of one, and which rows go. Pure.

A copy is found by its KEY. Every accepted line is an event, and the last word of each key counts:
what was deleted stands no more. Rows up to a copy's last deletion go for good, that deletion too.
Files come one after another; within one file a key has one line, so their order means nothing.
"""

from __future__ import annotations

import polars as pl

NEW, REPLACED, DELETED = "1", "2", "3"  # 副本登録区分
CLASS = "copy_class"
KEY = ("member_id", "specific_information_code", "period_start_month", "period_end_month")
ORDER = ("group_number", "reception", "line_number")  # in which events were told
SEVERAL, UNKNOWN, STANDS, STANDS_NOT = "R308", "R504", "R506", "R507"


def standing(events: pl.DataFrame) -> pl.DataFrame:
    """The last event of each key that is no deletion, by key.

    Args:
        events: KEY, CLASS, ORDER, and any others; of whole keys.
    """
    last = events.sort(*KEY, *ORDER).unique(KEY, keep="last", maintain_order=True)
    return last.filter(pl.col(CLASS) != DELETED)


def judge(lines: pl.DataFrame, standing: pl.DataFrame) -> pl.DataFrame:
    """What each line comes to, as if its files had come one after another.

    Args:
        lines: `row`, `reception`, KEY, CLASS, `exists` (the insurer has the member); of an insurer.
        standing: KEY of the copies that stand before the group.

    Returns:
        `row`, `code`; null where the line is taken.
    """
    several = pl.struct("reception", *KEY).is_duplicated()
    code = pl.when(several).then(pl.lit(SEVERAL)).when(~pl.col("exists")).then(pl.lit(UNKNOWN))
    judged = lines.with_columns(code=code.otherwise(None).cast(pl.String))
    known = standing.select(KEY).with_columns(stood=pl.lit(value=True))
    taken = judged.filter(pl.col("code").is_null()).join(known, on=KEY, how="left")
    # After a new one a copy stands, whether it was taken or stood before; a replacement leaves
    # that as it is: so what was there before each line is told by the last word but those.
    said = pl.when(pl.col(CLASS) != REPLACED).then(pl.col(CLASS) == NEW)
    before = said.shift().forward_fill().over(KEY, order_by="reception")
    stands = pl.coalesce(before, "stood", pl.lit(value=False))
    wrong = (
        pl.when((pl.col(CLASS) == NEW) & stands)
        .then(pl.lit(STANDS))
        .when((pl.col(CLASS) != NEW) & ~stands)
        .then(pl.lit(STANDS_NOT))
    )
    decided = taken.select("row", wrong=wrong.otherwise(None).cast(pl.String))
    return judged.join(decided, on="row", how="left", maintain_order="left").select(
        "row", code=pl.coalesce("code", "wrong")
    )


def no_endings() -> pl.DataFrame:
    """Nothing was deleted."""
    kinds = {name: pl.String() for name in KEY} | {name: pl.Int64() for name in ORDER}
    return pl.DataFrame(schema={**kinds, "member_id": pl.Int64()})


def endings(events: pl.DataFrame) -> pl.DataFrame:
    """KEY and ORDER of the last deletion of every key that has one.

    Args:
        events: KEY, CLASS and ORDER; at least all deletions.
    """
    deleted = events.filter(pl.col(CLASS) == DELETED).select(*KEY, *ORDER)
    return deleted.sort(*KEY, *ORDER).unique(KEY, keep="last", maintain_order=True)


def ended(events: pl.DataFrame, ends: pl.DataFrame) -> pl.Series:
    """Which events go: those up to the last deletion of their key.

    Args:
        events: KEY and ORDER, in any order.
        ends: see `endings`.
    """
    last = ends.rename({name: f"last_{name}" for name in ORDER})
    found = events.select(*KEY, *ORDER).join(last, on=KEY, how="left", maintain_order="left")
    group, reception, line = (pl.col(name) - pl.col(f"last_{name}") for name in ORDER)
    later = (group > 0) | ((group == 0) & ((reception > 0) | ((reception == 0) & (line > 0))))
    return found.select(going=(~later).fill_null(value=False))["going"]
