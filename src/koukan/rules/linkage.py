"""Which 機関別符号 is a person's, what became of asking for it, and what it may serve. Pure.

Events of the table `linkage_codes` never change. A raw link has the first code that was set since
its code was last given up for a new one: NWS issues no second one by itself, and an old one is
never used again. Of a person's raw links the one issued first that has a code counts, so numbers
that are joined later share one code; when they are parted again each has its own, or none as yet.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

import polars as pl

from koukan.rules.issuing import first_issued
from koukan.rules.persons import People
from koukan.rules.register import Ints

WANTED, SET, FAILED = "wanted", "set", "failed"
ALL, SELF_DISCLOSURE = "all", "self_disclosure"  # purposes


def by_link(events: pl.DataFrame) -> pl.DataFrame:
    """What the events under each raw link come to.

    Args:
        events: `link_number`, `event`, `reissue` (wanted because the code before is compromised),
            `linkage_code`, `group_number`; in any order. A group has one event of a link at most.

    Returns:
        `link_number`, `state` (`SET` with a code, else the last event), `linkage_code` or null.
    """
    event, group = pl.col("event"), pl.col("group_number")
    given_up = group.filter((event == WANTED) & pl.col("reissue")).max().fill_null(-1)
    code = pl.col("linkage_code").filter((event == SET) & (group > pl.col("given_up"))).first()
    ordered = events.sort("link_number", "group_number")
    found = (
        ordered.with_columns(given_up=given_up.over("link_number"))
        .group_by("link_number", maintain_order=True)
        .agg(code, last=event.last())
    )
    state = pl.when(pl.col("linkage_code").is_null()).then("last").otherwise(pl.lit(SET))
    return found.select("link_number", "linkage_code", state=state)


def of_persons(events: pl.DataFrame, people: People, ranks: Callable[[Ints], Ints]) -> pl.DataFrame:
    """What the events come to for each person.

    Args:
        events: see `by_link`; all that lie under any raw link of the persons in question.
        ranks: in which order 紐付番号 were issued; asked only of those that others join.

    Returns:
        as `by_link`, each person once, under the 紐付番号 that it is shown by.
    """
    links = by_link(events)
    coded = pl.col("linkage_code").is_not_null()
    having = first_issued(links.filter(coded), people, ranks)
    without = first_issued(links.filter(~coded), people, ranks)
    return pl.concat([having, without.join(having, on="link_number", how="anti")])


def purposes(qualified: pl.DataFrame, preparing: Collection[str]) -> pl.DataFrame:
    """What the code of each person may serve, by who has ever insured the person.

    Args:
        qualified: `link_number` (as shown), `insurer_code`; a row for each spell, or more.
        preparing: 保険者コード of 市町村国保 and welfare, for which a code only prepares the
            self-disclosure link (2-(5)), never inquiry or provision.

    Returns:
        `link_number`, `purpose`: `ALL` or `SELF_DISCLOSURE`; each person once, ascending.
    """
    only = pl.col("insurer_code").is_in(list(preparing)).all()
    purpose = pl.when(only).then(pl.lit(SELF_DISCLOSURE)).otherwise(pl.lit(ALL))
    return qualified.group_by("link_number").agg(purpose=purpose).sort("link_number")
