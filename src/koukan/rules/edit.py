"""Edit: answered questions as lines of the insurer's result file (flow 3, before step 7)."""

from __future__ import annotations

import polars as pl

MATCH = "_match"


def result_lines(answered: pl.DataFrame) -> pl.DataFrame:
    """Strings by the field names of the result formats, row for row.

    Args:
        answered: as `koukan.rules.reconcile` gives it: place, result, returned items, evidence.
    """
    evidence = [name for name in answered.columns if name.endswith(MATCH)]
    others = [
        name
        for name in answered.columns
        if name not in (*evidence, "request_record_number", "line_number", "record_number")
    ]
    return answered.select(
        *others,
        *(pl.col(name).alias(f"{name}_class") for name in evidence),
        line_number=pl.col("line_number").cast(pl.String),
        record_number=pl.col("record_number").cast(pl.String).str.zfill(10),
    )
