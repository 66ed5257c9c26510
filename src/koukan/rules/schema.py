"""The pandera schema of a record type: what is declared valid, column by column.

pandera works on frames, not on lazy ones (those it passes unseen), costs tens of milliseconds a
call, and its messages hold values. So it sees only the rows that failed a test, once
for a group of files, and of what it says only column, check and row are kept.
"""

from __future__ import annotations

from collections.abc import Iterable

# The import of pandera takes longer than all else that a command loads: who needs no schema does
# not import this module. What it otherwise loads with its first schema comes at once.
import pandera.backends.polars.builtin_checks
import pandera.backends.polars.container  # noqa: F401
import pandera.polars as pa
import polars as pl
from pandera.api.polars.types import PolarsData
from pandera.errors import SchemaErrors

from koukan.formats.model import Format, Record
from koukan.rules.checks import FINDINGS, Rule


def _check(rule: Rule) -> pa.Check:
    """A rule as a pandera check; its name carries code and field, nothing of the value."""

    def passes(content: PolarsData) -> pl.LazyFrame:
        return content.lazyframe.select(~rule.fails)

    # Absent values are the rules' own matter: they are shown to them, whatever the default is.
    return pa.Check(passes, name=f"{rule.code} {rule.field}", ignore_na=False)


def schema_of(
    form: Format, record: Record, rules: Iterable[Rule], *, whole: bool = True
) -> pa.DataFrameSchema:
    """Columns of strings that may be absent, and rules of the type as checks.

    Args:
        whole: all columns, else those that the rules look at.
    """
    looked_at = [(rule, names) for rule in rules if (names := set(rule.fails.meta.root_names()))]
    needed = set().union(*(names for _, names in looked_at))
    own: dict[str, list[pa.Check]] = {
        item.name: [] for item in form.fields(record) if whole or item.name in needed
    }
    across: list[pa.Check] = []
    for rule, names in looked_at:
        (own[rule.field] if names == {rule.field} else across).append(_check(rule))
    columns = {
        name: pa.Column(pl.String, checks=checks, nullable=True) for name, checks in own.items()
    }
    return pa.DataFrameSchema(columns, checks=across, strict=True, ordered=True)


def validate_with_pandera(schema: pa.DataFrameSchema, frame: pl.DataFrame) -> pl.DataFrame:
    """Findings (row in `frame`, field, code) of the declared schema, sorted.

    Raises:
        ValueError: the frame is not of the schema's columns (a bug, not a reject).
    """
    if not frame.height:  # a LazyFrame, which pandera passes unseen, has no height
        return FINDINGS.to_frame()
    try:
        schema.validate(frame, lazy=True)
    except SchemaErrors as found:
        cases = found.failure_cases
    else:
        return FINDINGS.to_frame()
    cases = cases.select(pl.col("index").cast(pl.Int64).alias("row"), "check")
    split = cases["check"].str.split_exact(" ", 1)
    if not cases["check"].str.contains(r"^[RW][0-9]{3} [a-z0-9_]+$").all():
        raise ValueError("the schema itself does not fit the frame")  # values stay inside
    findings: pl.DataFrame = cases.select(
        "row",
        field=split.struct.field("field_1"),
        code=split.struct.field("field_0"),
    )
    return findings.unique().sort("row", "field", "code")
