"""Overlaps: spells of one person that cover the same day. Pure; nothing is decided about them.

Nothing ends a spell but its own insurer, so two may be told for the same days. That is no mistake
of a line: it is told to the insurers, who know which of the two is right.
"""

from __future__ import annotations

from collections.abc import Collection

import polars as pl

from koukan.rules.spells import END, KEY

SAME, OTHER = "W411", "W412"  # spells of the same insurer, of two
FOUND = pl.Schema(
    {
        "insurer_code": pl.String,
        "member_id": pl.Int64,
        "qualification_date": pl.Date,
        "code": pl.String,
    }
)
SIDE = ("insurer_code", "member_id", "qualification_date", END, "touched")


def overlaps(spells: pl.DataFrame, groups: Collection[int]) -> pl.DataFrame:
    """Spells that overlap another of the same person, where one of both was told by these groups.

    A spell whose first day is the day on which another was lost does not overlap it.

    Args:
        spells: as `rules.spells.spells` gives them: KEY, END, `member_id`, `group_number`.
        groups: whose events are under review.

    Returns:
        FOUND, each row once, sorted: both sides of each pair.
    """
    person, insurer, begin = KEY
    told = spells.with_columns(touched=pl.col("group_number").is_in(list(groups)))
    # Whoever has one spell overlaps nothing; they are nearly all.
    told = told.filter(pl.len().over(person) > 1).select(person, *SIDE)
    pairs = told.join(told, on=person, suffix="_2").filter(
        (pl.col(insurer) != pl.col(f"{insurer}_2")) | (pl.col(begin) != pl.col(f"{begin}_2")),
        pl.col("touched") | pl.col("touched_2"),
        pl.col(f"{END}_2").is_null() | (pl.col(begin) < pl.col(f"{END}_2")),
        pl.col(END).is_null() | (pl.col(f"{begin}_2") < pl.col(END)),
    )
    same = pl.col(insurer) == pl.col(f"{insurer}_2")
    code = pl.when(same).then(pl.lit(SAME)).otherwise(pl.lit(OTHER))
    found = pairs.select(insurer, "member_id", begin, code=code)
    return found.unique().sort(FOUND.names())
