"""Which PMH-ID is a person's, and why there is none to give. Pure.

Rows of the issue history never change. A person has the PMH-ID of that 紐付番号 which was issued
first among all of the person's that have one; so numbers that are joined later give one PMH-ID, and
when they are parted again each has its own, as before.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import numpy as np
import polars as pl

from koukan.rules.checkdigits import valid_numbers
from koukan.rules.line_keys import NONE
from koukan.rules.persons import People
from koukan.rules.register import Ints, Mask
from koukan.rules.spells import END

GIVEN = ""
UNKNOWN, NO_NUMBER, ABSENT = "R701", "R702", "R703"
REASONS = pl.Enum([GIVEN, UNKNOWN, NO_NUMBER, ABSENT])  # no text is made for every line


def numbers_of(texts: pl.Series) -> Ints:
    """個人番号 as whole numbers; `NONE` where it is not twelve digits with a right check digit."""
    digits = texts.str.contains("^[0-9]{12}$").fill_null(value=False)
    found = texts.set(~digits, None).cast(pl.Int64).fill_null(NONE).to_numpy()
    right = digits.to_numpy() & valid_numbers("my_number", np.maximum(found, 0))
    return np.where(right, found, NONE)


def reasons_of(numbers: Ints, persons: Ints, absent: Mask) -> pl.Series:
    """By line, why nothing can be given, or `GIVEN`.

    Args:
        numbers: `NONE` where it is no 個人番号.
        persons: `NONE` where nobody of the vault has the number.
        absent: of whom nothing is in the history any more.
    """
    codes = np.where(absent, 3, 0)
    codes = np.where(persons == NONE, 1, codes)
    codes = np.where(numbers == NONE, 2, codes)
    return pl.Series("reason", REASONS.categories, dtype=REASONS).gather(codes)


def once_each(persons: Ints) -> tuple[Ints, Ints]:
    """Where each person is named first, and for each of all places the person's among those.

    Hardly ever is anybody asked for twice at once, and one plain sort tells so.
    """
    ordered = np.sort(persons)
    if np.all(ordered[1:] != ordered[:-1]):
        every = np.arange(len(persons))
        return every, every
    _, first, again = np.unique(persons, return_index=True, return_inverse=True)
    return first, again


def held(issues: pl.DataFrame, people: People, ranks: Callable[[Ints], Ints]) -> pl.DataFrame:
    """Persons with the PMH-ID that is theirs.

    Args:
        issues: `link_number` (raw links, each at most once), `pmh_id`.
        ranks: in which order 紐付番号 were issued; asked only of those that others join.

    Returns:
        `link_number` (the one that a person is shown by), `pmh_id`, each person once.
    """
    return first_issued(issues.select("link_number", "pmh_id"), people, ranks)


def first_issued(rows: pl.DataFrame, people: People, ranks: Callable[[Ints], Ints]) -> pl.DataFrame:
    """Of each person the row of the raw link that was issued first among those that have one.

    Args:
        rows: `link_number` (raw links, each at most once); any others.
        ranks: see `held`.

    Returns:
        the same columns, `link_number` the one that a person is shown by; each person once.
    """
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
    ordered = np.sort(persons[persons != NONE])  # a million: a tenth of what np.unique takes
    asked: Ints = ordered[np.diff(ordered, prepend=NONE) != 0]
    if people.trivial:  # without any statement a million persons are not sorted once more
        return asked
    return np.unique(people.raw_links(asked)[1])


def retired(found: pl.DataFrame, until: date) -> Ints:
    """Persons whose last qualification ended on this day or before, ascending.

    Whoever has one that goes on is none of them, and neither is who has none.

    Args:
        found: spells: `link_number`, by which the person is shown, and `disqualification_date`.
    """
    last = found.group_by("link_number").agg(
        goes_on=pl.col(END).is_null().any(), last=pl.col(END).max()
    )
    over = last.filter(~pl.col("goes_on") & (pl.col("last") <= until))
    return over["link_number"].sort().to_numpy()
