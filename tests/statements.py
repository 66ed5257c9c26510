"""Statements of insurers about persons: rows of `person_links`, by hand."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import polars as pl
from centres import vouch

from koukan.engine.centre import Centre, held_version, version_of
from koukan.flows.registration import LINKS, PERSON_LINKS
from koukan.ledger import Ledger
from koukan.rules.persons import JOINED, PARTED, RENUMBERED, WITHDRAWN

X, Y = 6_139_999, 1_010_016
Row = dict[str, Any]


def frame(rows: Iterable[Row]) -> pl.DataFrame:
    return pl.DataFrame(
        [{"insurer_code": f"{X:08d}", **row} for row in rows], schema=LINKS, orient="row"
    )


def joined(member: int, link: int, survivor: int, at: int, *, insurer: int = X) -> Row:
    return {
        "act": JOINED,
        "insurer_code": f"{insurer:08d}",
        "member_id": member,
        "link_number": link,
        "survivor": survivor,
        "rank": rank_of(link),
        "survivor_rank": rank_of(survivor),
        "reception": 100 - at,  # the group comes first
        "group_number": at,
    }


def parted(member: int, link: int, survivor: int, at: int, *, insurer: int = X) -> Row:
    row = joined(member, link, survivor, at, insurer=insurer)
    return {**row, "act": PARTED, "rank": None, "survivor_rank": None}


def renumbered(member: int, successor: int, at: int, *, insurer: int = X) -> Row:
    row = parted(member, 0, 0, at, insurer=insurer)
    return {**row, "act": RENUMBERED, "link_number": None, "survivor": None, "successor": successor}


def withdrawn(member: int, at: int, *, insurer: int = X) -> Row:
    row = renumbered(member, 0, at, insurer=insurer)
    return {**row, "act": WITHDRAWN, "successor": None}


def rank_of(link: int) -> int:
    """Links are issued in another order than their numbers have."""
    return link * 7919 % 10_007


def say(centre: Centre, rows: Iterable[Row], *, group: int) -> None:
    """Commit statements to a centre's table as that group would have."""
    table, held = centre.tables[PERSON_LINKS], centre.ledger.table_versions()[PERSON_LINKS]
    said = [{**row, "group_number": group} for row in rows]
    file = table.write({}, frame(said), f"g{group:08d}-001-00000")
    vouch(centre, PERSON_LINKS, [file], group)
    version = table.commit([file], [], transaction=group, expected=version_of(held))
    with centre.ledger.begin() as transaction:
        Ledger.put_table_version(transaction, held_version(PERSON_LINKS, version))
