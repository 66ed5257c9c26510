"""Which rows go when insurers have said 管理終了 of members (process 7). Pure.

The members' own rows go everywhere. A 個人番号's token goes with the last insurer that has its
person. Of what was stated about them one kind stays as long as anybody has the person: that two
numbers are one person's, since others' events lie under both.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from koukan.rules.line_keys import NONE
from koukan.rules.persons import JOINED, MEMBERS, PARTED, People
from koukan.rules.register import Ints


def members_of(people: People) -> Ints:
    """The members that are to be forgotten, ascending: insurer and 被保険者枝番 as one number."""
    return people.members[people.withdrawn]


def member_key(insurer: pl.Expr) -> pl.Expr:
    """The same number of a row, from its 保険者コード."""
    return insurer.cast(pl.Int64) * MEMBERS + pl.col("member_id")


def is_forgotten(insurer: pl.Expr, members: Ints) -> pl.Expr:
    """Whether a row is one of these members'."""
    return member_key(insurer).is_in(pl.Series(members).implode()).fill_null(False)


def persons_without(people: People, links: Ints, events: pl.DataFrame) -> Ints:
    """Raw links of the persons whom nobody has any more, ascending.

    Args:
        links: raw links of the persons in question.
        events: `link_number`, `insurer_code`, `member_id` of all that lies under any of them.
    """
    persons = np.unique(people.canonical(links))
    living = people.attribute(events)["link_number"].unique().to_numpy()
    dead = persons[~np.isin(persons, living)]
    _, every = people.raw_links(dead)
    every = np.unique(every)
    return every[np.isin(people.canonical(every), dead)]


def statements_left(rows: pl.DataFrame, people: People, dead: Ints) -> pl.Series:
    """Which rows of `person_links` stay.

    Args:
        dead: raw links of persons whom nobody has any more.
    """
    own = ["insurer_code", "member_id"]
    parted = pl.col("place").filter(pl.col("act") == PARTED).max().over(own)
    told = rows.with_columns(
        place=pl.struct("group_number", "reception").rank("dense").cast(pl.Int64),
        person=pl.Series(people.canonical(rows["link_number"].fill_null(NONE).to_numpy())),
        other=pl.Series(people.canonical(rows["survivor"].fill_null(NONE).to_numpy())),
    )
    holds = (
        (pl.col("act") == JOINED)
        & (pl.col("person") == pl.col("other"))
        & ~pl.col("person").is_in(pl.Series(people.canonical(dead)).implode())
        & ~(pl.col("place") < parted).fill_null(False)
    )
    mine = is_forgotten(pl.col("insurer_code"), members_of(people))
    return told.select(left=~mine | holds)["left"]
