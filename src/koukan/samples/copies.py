"""Frames of files about copies (副本): what an insurer registers and what it asks for.

Members are invented, so a centre tells of each line that it knows none of them, unless those that
it has issued are given.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from koukan.formats.model import Format
from koukan.samples.draws import Draws, Ints
from koukan.samples.population import text
from koukan.samples.questions import numbered
from koukan.samples.registration import SampleInsurer

COPIES, COPY_QUERY = "copy_registration", "copy_query"
NEW = "1"
# Kinds of copies with what their first item says; a member has one of each, in this order.
KINDS = (
    ("0101", "高額療養費"),
    ("0201", "賦課"),
    ("0202", "納付"),
    ("0301", "加入期間"),
)
WITHHELD = 50  # of a thousand copies are 自動応答不可
FIRST_YEAR, YEARS = 2021, 5  # fiscal years, which begin in April


def copy_frames(
    form: Format,
    seed: int,
    lines: Ints,
    *,
    insurer: SampleInsurer,
    members: Sequence[str] = (),
    first_record_number: int = 1,
) -> dict[str, pl.DataFrame]:
    """A new copy for each of these numbers, no two of one key.

    Args:
        members: 被保険者枝番, taken in turn; invented ones by default.
    """
    draws, kinds = Draws(seed), pl.Series([kind for kind, _ in KINDS])
    turn, place = lines // len(KINDS), pl.Series(lines % len(KINDS))
    if members:  # in turn: for every year all of them
        owners = pl.Series(list(members), dtype=pl.String).gather(turn % len(members))
        years = FIRST_YEAR + YEARS - 1 - turn // len(members)
    else:
        owners = text(draws.below("member", turn, 10**10), 10)
        years = FIRST_YEAR + draws.below("year", turn, YEARS)
    withheld = draws.below("withheld", lines, 1000) < WITHHELD
    frame = pl.DataFrame(
        {
            "copy_class": pl.repeat(NEW, len(lines), eager=True),
            "member_id": owners,
            "specific_information_code": kinds.gather(place),
            "period_start_month": text(years, 4) + "04",
            "period_end_month": text(years + 1, 4) + "03",
            "no_automatic_answer_flag": text(withheld.astype(np.int64), 1),
            "nondisclosure_code": text(draws.below("closed", lines, 40) // 39, 1),
            "content_1": pl.Series([said for _, said in KINDS]).gather(place),
            "content_2": text(years + 1, 4) + text(1 + draws.below("month", lines, 3), 2),
            "content_3": pl.Series(100 * (1 + draws.below("amount", lines, 3000))).cast(pl.String),
        }
    )
    return numbered(form, frame, first_record_number, insurer_code=insurer.code)


def copy_query_frames(
    form: Format, seed: int, members: Ints, *, insurer: SampleInsurer, first_record_number: int = 1
) -> dict[str, pl.DataFrame]:
    """An insurer asks for the copies of these of its members, one line each."""
    frame = text(Draws(seed).below("member", members, 10**10), 10).alias("member_id").to_frame()
    return numbered(form, frame, first_record_number, insurer_code=insurer.code)
