"""Which PMH-ID is a person's, when persons were joined after several had been issued. Pure.

Rows of the issue history never change. A person has the PMH-ID of that 紐付番号 which was issued
first among all of the person's that have one; so numbers that are joined later give one PMH-ID, and
when they are parted again each has its own, as before.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl

from koukan.rules.persons import People
from koukan.rules.register import NONE, Ints


def held(issues: pl.DataFrame, people: People, ranks: Callable[[Ints], Ints]) -> pl.DataFrame:
    """Persons with the PMH-ID that is theirs.

    Args:
        issues: `link_number` (raw links, each at most once), `pmh_id`.
        ranks: in which order 紐付番号 were issued; asked only of those that others join.

    Returns:
        `link_number` (the one that a person is shown by), `pmh_id`, each person once.
    """
    rows = issues.select("link_number", "pmh_id")
    joined = rows["link_number"].is_in(pl.Series(people.links).implode())
    if not joined.any():
        return rows
    chosen = rows.filter(joined)
    links = chosen["link_number"].to_numpy()
    ordered = chosen.with_columns(
        link_number=pl.Series(people.canonical(links)), rank=pl.Series(ranks(links))
    ).sort("rank")
    first = ordered.unique("link_number", keep="first", maintain_order=True).drop("rank")
    return pl.concat([rows.filter(~joined), first])


def raw_links_of(people: People, persons: Ints) -> Ints:
    """Every raw link whose PMH-ID could be one of these persons', ascending; nobody is `NONE`."""
    _, found = people.raw_links(np.unique(persons[persons != NONE]))
    return np.unique(found)
