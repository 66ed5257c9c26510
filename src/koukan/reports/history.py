"""A person's history as a file for staff: no 個人番号, and nothing that a spreadsheet alters."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from koukan.reports.errors import MARK
from koukan.rules.causes import RISKY

NUMBERS = r"^(0[0-9]|[0-9]{12})"  # a spreadsheet would take zeros or digits away


def as_csv(sections: Mapping[str, pl.DataFrame], labels: Mapping[str, str], title: str) -> bytes:
    """All sections under each other, as a text file that a spreadsheet opens without a surprise.

    UTF-8 with a BOM, CRLF, every field in quotes; an apostrophe stands before what would be taken
    for a number or a formula. Columns without any value are left out.

    Args:
        sections: title of a section -> its rows.
        labels: heading of a column by its name; else the name itself.
        title: heading of the column of sections.
    """
    told = [
        rows.select(pl.lit(name).alias(title), pl.all().cast(pl.String))
        for name, rows in sections.items()
        if rows.height
    ]
    whole = pl.concat(told, how="diagonal") if told else pl.DataFrame(schema={title: pl.String})
    filled = [item.name for item in whole if item.name == title or item.null_count() < len(item)]
    return as_list(whole.select(filled), labels)


def as_list(rows: pl.DataFrame, labels: Mapping[str, str]) -> bytes:
    """Rows as such a text file, with headings; see `as_csv`."""
    told = rows.select(pl.all().cast(pl.String))
    text = told.select(_harmless(name).alias(labels.get(name, name)) for name in told.columns)
    return MARK + text.write_csv(quote_style="always", line_terminator="\r\n").encode()


def _harmless(name: str) -> pl.Expr:
    item = pl.col(name)
    risky = item.str.contains(f"{NUMBERS}|{RISKY}")
    return pl.when(risky).then(pl.concat_str(pl.lit("'"), item)).otherwise(item)
