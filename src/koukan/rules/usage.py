"""資格確認実績ログ: whose each line is, and how an office joins its own with its 医療券."""

from __future__ import annotations

import numpy as np
import polars as pl

from koukan.rules.line_keys import NONE
from koukan.rules.register import Ints

LOG, VERSION, PART = "log_number", "log_version", "part_number"
PERSON = ("public_payer_number", "recipient_number")
TICKET = ("ticket_number", "ticket_type", "start_date", "end_date", "institution_code")
SAME_INSTITUTION, OTHER_INSTITUTION, NO_TICKET = "1", "2", "3"  # what a line was found to have


def offices_of(numbers: pl.Series, payers: Ints) -> Ints:
    """By line the place of its 公費負担者番号 among the payers; `NONE` where it is none of them.

    Args:
        payers: ascending, each once.
    """
    given = numbers.cast(pl.Int64, strict=False).fill_null(NONE).to_numpy()
    if not len(payers):
        return np.full(len(given), NONE, np.int64)
    place = np.minimum(np.searchsorted(payers, given), len(payers) - 1)
    return np.asarray(np.where(payers[place] == given, place, NONE), np.int64)


def newest(extracts: pl.DataFrame) -> pl.Series:
    """Whether each extract (log_number, log_version, part_number) is of its log's last version."""
    return extracts.select(pl.col(VERSION) == pl.col(VERSION).max().over(LOG)).to_series()


def joined(usage: pl.DataFrame, tickets: pl.DataFrame) -> pl.DataFrame:
    """Each line with the tickets of its person that are valid on its day.

    Where tickets name the line's own institution, the others are left out; a line without any
    ticket stays, so no line is lost.

    Args:
        usage: the items of a log, as strings; days as `pl.Date`.
        tickets: PERSON and TICKET, days as `pl.Date`.

    Returns:
        the lines in their order with `match_class` and the items TICKET.
    """
    lines = usage.with_row_index("line")
    day = pl.col("qualification_check_date")
    same = (pl.col("institution_code") == pl.col("medical_institution_code")).fill_null(False)
    found = (
        lines.select("line", *PERSON, "medical_institution_code", "qualification_check_date")
        .join(tickets, on=PERSON, how="inner")
        .filter((pl.col("start_date") <= day) & (day <= pl.col("end_date")))
        .with_columns(same=same)
        .filter(pl.col("same") | ~pl.col("same").any().over("line"))
        .select("line", "same", *TICKET)
    )
    match = (
        pl.when(pl.col("same").is_null())
        .then(pl.lit(NO_TICKET))
        .when(pl.col("same"))
        .then(pl.lit(SAME_INSTITUTION))
        .otherwise(pl.lit(OTHER_INSTITUTION))
    )
    return (
        lines.join(found, on="line", how="left", maintain_order="left")
        .sort("line", "ticket_number", maintain_order=True)
        .select(*usage.columns, match.alias("match_class"), *TICKET)
    )


def visits(usage: pl.DataFrame) -> pl.DataFrame:
    """Days on which a person was seen, by month and institution: a day counts once."""
    day = pl.col("qualification_check_date")
    by = [*PERSON, "treatment_month", "medical_institution_code"]
    return (
        usage.with_columns(treatment_month=day.dt.strftime("%Y%m"))
        .group_by(by)
        .agg(visit_days=day.n_unique())
        .sort(by)
    )
