"""Copies (副本) as they stand in an insurer's partition, read a share of its members at a time.

Rows have the 被保険者枝番 that was told; a member that goes on under another one has its copies
there. Whose rows are read is always one insurer's: a partition's key opens nobody else's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import numpy as np
import polars as pl

from koukan.engine.centre import Centre
from koukan.engine.lookup import roster_rows
from koukan.engine.people import people_of
from koukan.flows.copies import REPLICA
from koukan.rules import copies
from koukan.rules.copies import CLASS, KEY, ORDER
from koukan.rules.persons import MEMBERS
from koukan.rules.register import Ints, Mask, Small
from koukan.rules.roster import Roster
from koukan.tables import encrypted

JUDGED = (*KEY, CLASS, *ORDER)
MEMBER = pl.col("member_id")
SMALLEST = 20_000  # lines that are held against what stands at once


# --- what stands


def standing(centre: Centre, insurer: str) -> Iterator[pl.DataFrame]:
    """All copies of an insurer, share by share, in order of their keys; every column."""
    names = list(centre.tables[REPLICA].definition.columns({}))
    moved = _renumbered(centre, insurer)
    for low, high in _ranges(centre, insurer):
        inside = MEMBER.is_between(low, high, closed="left")
        rows = _read(centre, insurer, names, _filtered(inside | MEMBER.is_in(moved.implode())))
        yield copies.standing(rows.filter(inside))


def standing_of(centre: Centre, insurer: str, members: pl.Series) -> pl.DataFrame:
    """The copies of some of an insurer's members, in order of their keys; every column.

    Args:
        members: 被保険者枝番 as they go on, each once.
    """
    names = list(centre.tables[REPLICA].definition.columns({}))
    return copies.standing(_events_of(centre, insurer, members, names))


def endings(centre: Centre, insurer: str) -> pl.DataFrame:
    """The last deletion of each of an insurer's copies that was deleted and is not erased yet."""
    deleted = _filtered(pl.col(CLASS) == copies.DELETED)
    return copies.endings(_read(centre, insurer, JUDGED, deleted))


def _ranges(centre: Centre, insurer: str) -> Iterator[tuple[int, int]]:
    """Ranges of 被保険者枝番 of which each has about as many rows as a worker may hold.

    Issued numbers are spread evenly, so the ranges are equal.
    """
    count = max(1, -(-_rows_of(centre, insurer) // centre.site.limits.piece_rows))
    return pairwise(MEMBERS * place // count for place in range(count + 1))


# --- what lines come to


def judged(centre: Centre, insurer: str, lines: pl.DataFrame) -> pl.DataFrame:
    """The lines about an insurer's copies that come to a code: `row`, `code`.

    They are held against what stands share by share, see `rules.copies.judge`.

    Args:
        lines: row, reception, KEY and CLASS.
    """
    lines = under_current(centre, insurer, lines).sort("member_id")
    found = [pl.DataFrame(schema={"row": pl.Int64, "code": pl.String})]
    # A share and what stands of its members are in memory at once.
    beside = lines.height + _rows_of(centre, insurer)
    most = centre.site.limits.piece_rows * lines.height // max(beside, 1)
    for kept in _whole_members(lines, max(most, SMALLEST)):
        share = kept.with_columns(pl.col(pl.Categorical).cast(pl.String))
        numbers = share["member_id"]
        known = copies.standing(_events_of(centre, insurer, numbers.unique(), JUDGED))
        there = has_members(centre, insurer, numbers.to_numpy())
        come_to = copies.judge(share.with_columns(exists=pl.Series(there)), known)
        found.append(come_to.drop_nulls())
    return pl.concat(found)


def has_members(centre: Centre, insurer: str, members: Ints) -> Mask:
    """Whether an insurer has these 被保険者枝番, as they go on, and has withdrawn none of them."""
    own = pl.lit(int(insurer), pl.Int32).alias("insurer")
    nobody = pl.DataFrame(schema={"insurer": pl.Int32, "link_number": pl.Int64})
    asked = pl.DataFrame({"member_id": np.unique(members)}).select(own, "member_id")
    roster = Roster.of(roster_rows(centre, nobody, asked), people_of(centre))
    exists, _ = roster.owners(_all_of(insurer, len(members)), members)
    return exists


def under_current(centre: Centre, insurer: str, rows: pl.DataFrame) -> pl.DataFrame:
    """Rows of an insurer under the 被保険者枝番 that each goes on as."""
    told = rows["member_id"].to_numpy()
    now = people_of(centre).current(_all_of(insurer, len(told)), told)
    return rows.with_columns(member_id=pl.Series(now, dtype=pl.Int64))


def _whole_members(lines: pl.DataFrame, most: int) -> Iterator[pl.DataFrame]:
    """Shares of about so many lines, none of which parts a member's; lines in order of members."""
    members, start = lines["member_id"].to_numpy(), 0
    while start < len(members):
        last = members[min(start + most, len(members)) - 1]
        stop = int(np.searchsorted(members, last, side="right"))
        yield lines[start:stop]
        start = stop


# --- rows


def _rows_of(centre: Centre, insurer: str) -> int:
    return sum(file.rows for file in centre.snapshot(REPLICA).files(insurer=insurer))


def _events_of(
    centre: Centre, insurer: str, members: pl.Series, names: Sequence[str]
) -> pl.DataFrame:
    """Events of some members, also of the time before they went on under their 被保険者枝番."""
    numbers = members.to_numpy()
    every = people_of(centre).names(_all_of(insurer, len(numbers)), numbers) % MEMBERS
    asked = pl.DataFrame({"member_id": np.unique(every)}, schema={"member_id": pl.Int64})
    # Files are sorted by member: what lies outside of this is not even decoded.
    inside = MEMBER.is_between(asked["member_id"].min(), asked["member_id"].max())
    return _read(
        centre,
        insurer,
        names,
        lambda rows: rows.filter(inside).join(asked.lazy(), on="member_id", how="semi"),
    )


def _read(
    centre: Centre,
    insurer: str,
    names: Sequence[str],
    chosen: Callable[[pl.LazyFrame], pl.LazyFrame],
) -> pl.DataFrame:
    """Rows of an insurer's partition, under the 被保険者枝番 that each goes on as.

    Those of withdrawn members are gone for every reader, before they are erased.
    """
    table = centre.snapshot(REPLICA)
    types = centre.tables[REPLICA].definition.columns({})
    empty = pl.DataFrame(schema={name: types[name] for name in names})
    scans = [chosen(table.scan(file)).select(names) for file in table.files(insurer=insurer)]
    rows = pl.concat([empty, *encrypted.collect_all(scans, path=centre.tables[REPLICA].folder)])
    people = people_of(centre)
    gone = _of_insurer(insurer, people.members[people.withdrawn])
    return under_current(centre, insurer, rows.filter(~MEMBER.is_in(gone.implode())))


def _filtered(where: pl.Expr) -> Callable[[pl.LazyFrame], pl.LazyFrame]:
    return lambda rows: rows.filter(where)


def _renumbered(centre: Centre, insurer: str) -> pl.Series:
    """被保険者枝番 of an insurer whose members go on under others; few."""
    people = people_of(centre)
    return _of_insurer(insurer, people.members[people.members != people.successor])


def _of_insurer(insurer: str, members: Ints) -> pl.Series:
    """被保険者枝番 of an insurer, of members as one number with their insurers."""
    return pl.Series(members[members // MEMBERS == int(insurer)] % MEMBERS, dtype=pl.Int64)


def _all_of(insurer: str, count: int) -> Small:
    return np.full(count, int(insurer), np.int32)
