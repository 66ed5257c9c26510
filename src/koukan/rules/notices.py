"""The notice of overlapping spells, in the words of `rejects.toml`; clerks' files are Japanese."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from koukan.codecs import render
from koukan.formats.model import Format, Reason

SECTION = "overlap"


def lines_of(found: pl.DataFrame, insurer: str) -> pl.DataFrame:
    """What one insurer is told: each member once for each code; member_id, code.

    Args:
        found: `rules.overlaps.FOUND`.
    """
    own = found.filter(pl.col("insurer_code") == insurer)
    return own.select("member_id", "code").unique().sort("member_id", "code")


def notice(
    form: Format, reasons: Mapping[str, Reason], control: Mapping[str, str], lines: pl.DataFrame
) -> bytes:
    """The whole file; `lines` as `lines_of` gives them."""
    words = pl.DataFrame(
        [
            {
                "code": code,
                "processing_result_text": reasons[code].text,
                "action_text": reasons[code].action,
            }
            for code in lines["code"].unique().sort()
        ]
    )
    worded = lines.join(words, on="code", how="left", maintain_order="left").select(
        member_id=pl.col("member_id").cast(pl.String).str.zfill(10),
        processing_result_code="code",
        processing_result_text="processing_result_text",
        action_text="action_text",
    )
    content = render.records(form, SECTION, worded)
    end = {"record_count": f"{lines.height:08d}"}
    return b"".join([render.control(form, control), content, render.end(form, end)])
