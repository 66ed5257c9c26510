"""情報提供等記録 as they are written: what was provided, of whom, to whom and when (flow 2-R).

They are made by the step that provides, in its commit, and by nobody's hand. Nothing rewrites what
one says; whole months go when their time is over (`steps/retire_records.py`).
"""

from __future__ import annotations

from datetime import datetime

import polars as pl

from koukan.engine.centre import Centre
from koukan.engine.people import people_of
from koukan.engine.steps import commit
from koukan.flows.codes import PREPARING
from koukan.flows.disclosure import COLUMNS, GIVEN_BY_REQUEST, MONTH, RECORDS
from koukan.ledger import Group
from koukan.sites.schedule import JST
from koukan.tables.table import DataFile


def recorded(centre: Centre) -> pl.Expr:
    """Which qualifications' provision is recorded: not those of 市町村国保 and welfare."""
    preparing = [one.code for one in centre.site.insurers if one.kind in PREPARING]
    return ~pl.col("insurer_code").is_in(preparing)


def rows_of(
    centre: Centre, group: Group, lines: pl.DataFrame, given: pl.DataFrame, at: datetime
) -> pl.DataFrame:
    """The records of a group, one for each qualification of an insurer that was provided.

    Args:
        lines: the requests: `row`, `reception`, `line_number` and what a record takes from them.
        given: `row`, `insurer_code`, `member_id` of what was provided.
        at: when.
    """
    policy = centre.site.disclosure
    insurers = given["insurer_code"].cast(pl.Int64).to_numpy()
    current = people_of(centre).current(insurers, given["member_id"].to_numpy())
    told = given.select("row", "insurer_code", member_id=pl.Series(current, dtype=pl.Int64))
    asked = lines.select("row", "reception", "line_number", *GIVEN_BY_REQUEST)
    rows = told.join(asked, on="row", how="left", maintain_order="left").with_columns(
        provider_department_name=pl.lit(policy.department),
        provided_information_name=pl.lit(policy.information),
        provided_at=pl.lit(at.astimezone(JST).strftime("%Y%m%d%H%M%S")),
        group_number=pl.lit(group.number),
    )
    return rows.select(pl.col(name).cast(kind) for name, kind in COLUMNS.items())


def write(centre: Centre, group: Group, rows: pl.DataFrame, at: datetime) -> list[DataFile]:
    """Into the month of the provision; nothing sees them before the ledger says so."""
    if rows.is_empty():
        return []
    name = commit.file_name(group.number, group.attempt, 0)
    month = at.astimezone(JST).strftime("%Y-%m")
    return [centre.tables[RECORDS].write({MONTH: month}, rows, name)]
