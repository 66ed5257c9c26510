"""Which qualifications a request for self-disclosure is answered with, and why with none. Pure.

Flow 2-(5). What is told is what was in force on the day of the request, of each insurer the one
that began last: マイナポータル links a person's card of today. Who is 加入予定者, or of a member's
household, has lines in the history, but no card.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import polars as pl

from koukan.rules.spells import PERSON, covers

GIVEN = ""
UNKNOWN, NO_QUALIFICATION, BARRED, WRONG_LINE = "R711", "R712", "R713", "R714"
CLASSES = {GIVEN: "1", UNKNOWN: "2", NO_QUALIFICATION: "2", BARRED: "2", WRONG_LINE: "9"}
QUALIFICATION, CONTROL, BASIC = "qualification", "information_control", "basic"
MEMBER_CLASS, INSURED = "member_class_code", ("1", "4")  # 加入者, 被保護者
ON = "1"  # of a flag


class Disclosed(NamedTuple):
    """What becomes of some requests.

    Args:
        given: `row`, `insurer_code` and all else that is said of the qualification; sorted by both.
        reasons: `row`, `reason` (`GIVEN` or a code); each request once, in their order.
    """

    given: pl.DataFrame
    reasons: pl.DataFrame


def in_force(known: pl.DataFrame) -> pl.DataFrame:
    """Codes that name somebody now.

    Args:
        known: `link_number` (as shown), `linkage_code` or null; each person once.

    Returns:
        `linkage_code`, `link_number`; a code that two persons had, which must not be, names nobody.
    """
    found = known.filter(pl.col("linkage_code").is_not_null())
    alone = found.unique("linkage_code", keep="none", maintain_order=True)
    return alone.select("linkage_code", "link_number")


def disclosed(
    asked: pl.DataFrame, said: Mapping[str, pl.DataFrame], bars: Sequence[str]
) -> Disclosed:
    """Answer requests by what the history says now.

    An insurer's control information bars its own qualification and no other.

    Args:
        asked: `row`, `link_number` (null where the code names nobody), `day`.
        said: what holds of these persons, by section (`rules.restating`): spells, the class and the
            control information of each insurer.
        bars: flags of the control information by which nothing is given.
    """
    person = list(PERSON)
    insured = said[BASIC].filter(pl.col(MEMBER_CLASS).is_in(INSURED)).select(person).unique()
    flags = (pl.col(name) == ON for name in bars)
    barred = said[CONTROL].filter(pl.any_horizontal(pl.lit(value=False), *flags)).select(person)
    held = asked.join(said[QUALIFICATION], on="link_number", how="inner")
    current = (
        held.filter(covers(pl.col("day")))
        .join(insured, on=person, how="semi")
        .sort("row", "insurer_code", "qualification_date")
        .unique(("row", "insurer_code"), keep="last", maintain_order=True)
    )
    given = current.join(barred, on=person, how="anti").sort("row", "insurer_code")
    reasons = (
        pl.when(pl.col("link_number").is_null())
        .then(pl.lit(UNKNOWN))
        .when(~pl.col("row").is_in(current["row"].implode()))
        .then(pl.lit(NO_QUALIFICATION))
        .when(~pl.col("row").is_in(given["row"].implode()))
        .then(pl.lit(BARRED))
        .otherwise(pl.lit(GIVEN))
    )
    return Disclosed(given, asked.select("row", reason=reasons))
