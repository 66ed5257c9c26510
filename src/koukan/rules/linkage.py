"""Which 機関別符号 is a person's, what became of asking for it, and what it may serve. Pure.

Events of the table `linkage_codes` never change. A raw link has the first code that was set since
its code was last given up for a new one: NWS issues no second one by itself, and an old one is
never used again. Of a person's raw links the one issued first that has a code counts, so numbers
that are joined later share one code; when they are parted again each has its own, or none as yet.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import date

import numpy as np
import polars as pl

from koukan.rules.issuing import first_issued, retired
from koukan.rules.persons import People
from koukan.rules.register import Ints

WANTED, ASKED, SET, FAILED = "wanted", "asked", "set", "failed"
EVENTS = (WANTED, ASKED, SET, FAILED)
STATUS = {WANTED: "1", ASKED: "2", SET: "3", FAILED: "4"}  # 符号取得ステータス
ALL, SELF_DISCLOSURE = "all", "self_disclosure"  # purposes


def by_link(events: pl.DataFrame) -> pl.DataFrame:
    """What the events under each raw link come to.

    Args:
        events: `link_number`, `event`, `reissue` (wanted because the code before is compromised),
            `linkage_code`, `result_detail_code`, `group_number`; in any order. A group has one
            event of a link at most.

    Returns:
        `link_number`, `linkage_code` or null, `state` (`SET` with a code, else the last event),
        `since` (group in which it came to that), `tries` (how often it was asked for since it was
        last wanted), `given_up` (group in which a code was last given up, -1 if none was),
        `result_detail_code` of a failure.
    """
    event, group = pl.col("event"), pl.col("group_number")
    given_up = group.filter((event == WANTED) & pl.col("reissue")).max().fill_null(-1)
    wanted = group.filter(event == WANTED).max().fill_null(-1)
    holds = (event == SET) & (group > pl.col("given_up"))
    ordered = events.sort("link_number", "group_number").with_columns(
        given_up=given_up.over("link_number"), wanted=wanted.over("link_number")
    )
    found = ordered.group_by("link_number", maintain_order=True).agg(
        pl.col("linkage_code").filter(holds).first(),
        pl.col("given_up").first(),
        set_in=group.filter(holds).first(),
        last=event.last(),
        last_in=group.last(),
        why=pl.col("result_detail_code").last(),
        tries=((event == ASKED) & (group > pl.col("wanted"))).sum().cast(pl.Int64),
    )
    state = pl.when(pl.col("linkage_code").is_null()).then("last").otherwise(pl.lit(SET))
    found = found.with_columns(state=state)
    failed = pl.col("state") == FAILED
    return found.select(
        *("link_number", "linkage_code", "state"),
        pl.coalesce("set_in", "last_in").alias("since"),
        *("tries", "given_up"),
        result_detail_code=pl.when(failed).then("why"),
    )


def of_persons(events: pl.DataFrame, people: People, ranks: Callable[[Ints], Ints]) -> pl.DataFrame:
    """What the events come to for each person.

    Args:
        events: see `by_link`; all that lie under any raw link of the persons in question.
        ranks: in which order 紐付番号 were issued; asked only of those that others join.

    Returns:
        as `by_link`, each person once, under the 紐付番号 that it is shown by. Of who has no code,
        and for `given_up`, the events under all raw links count together.
    """
    links = by_link(events)
    having = first_issued(links.filter(pl.col("linkage_code").is_not_null()), people, ranks)
    shown = pl.Series("link_number", people.canonical(events["link_number"].to_numpy()))
    together = by_link(events.with_columns(shown))
    given_up = together.select("link_number", "given_up")
    having = having.drop("given_up").join(given_up, on="link_number").select(together.columns)
    return pl.concat([having, together.join(having, on="link_number", how="anti")])


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


def expired(found: pl.DataFrame, preparing: Collection[str], *, kept: date, needed: date) -> Ints:
    """Persons whose code is kept no longer, ascending: both periods are over.

    Who has a qualification that goes on, of whichever insurer, is none of them.

    Args:
        found: spells: `link_number`, by which the person is shown, `insurer_code` and
            `disqualification_date`.
        preparing: 保険者コード of 市町村国保 and welfare, whose copies nobody asks for: the first
            period does not look at them.
        kept: whoever lost the last qualification of the others by then is out of the first period.
        needed: whoever lost the last one of all by then is out of the second.
    """
    others = found.filter(~pl.col("insurer_code").is_in(list(preparing)))
    still = np.setdiff1d(others["link_number"].unique().to_numpy(), retired(others, kept))
    return np.setdiff1d(retired(found, needed), still)


def under_way(events: pl.DataFrame) -> Ints:
    """Raw links whose last event is that their code was asked for: an answer is to come.

    Args:
        events: `link_number`, `event`, `group_number`, all that there is of each link.
    """
    last = events.sort("group_number").group_by("link_number").agg(pl.col("event").last())
    return last.filter(pl.col("event") == ASKED)["link_number"].sort().to_numpy()
