"""Confirm: which packages a sender's 受領確認 confirms."""

from __future__ import annotations

import polars as pl

CONFIRMED = "confirmed"
UNKNOWN, OTHER_ARCHIVE, AGAIN = "R501", "R502", "D501"


def judge(said: pl.DataFrame, packages: pl.DataFrame) -> pl.DataFrame:
    """What each line comes to.

    Args:
        said: row, sender, package_name, archive_sha256 (64 hexadecimal digits in either case).
        packages: sender, package_name, known (its hash), open (not confirmed yet).

    Returns:
        row, sender, package_name, code: `CONFIRMED` once for a package, or why not.
    """
    joined = said.join(packages, on=["sender", "package_name"], how="left", maintain_order="left")
    same = pl.col("archive_sha256").str.to_lowercase() == pl.col("known")
    fits = same & pl.col("open")
    first = fits & pl.struct("sender", "package_name", fits.alias("fits")).is_first_distinct()
    code = (
        pl.when(pl.col("known").is_null())
        .then(pl.lit(UNKNOWN))
        .when(~same)
        .then(pl.lit(OTHER_ARCHIVE))
        .when(first)
        .then(pl.lit(CONFIRMED))
        .otherwise(pl.lit(AGAIN))
    )
    return joined.select("row", "sender", "package_name", code=code)
