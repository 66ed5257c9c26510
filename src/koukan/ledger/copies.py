"""What the ledger knows of copies (副本): deletions to be erased, and packages for their insurers.

Numbers, names, counts, hashes and states; never an item of a copy.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial

from sqlalchemy import (
    Column,
    Connection,
    Integer,
    String,
    Table,
    insert,
    select,
    update,
)

from koukan.ledger import own_packages
from koukan.ledger.own_packages import package_table
from koukan.ledger.schema import groups, metadata
from koukan.ledger.store import Ledger

deletions = Table(  # accepted lines that delete a copy, by file and insurer
    "copy_deletion",
    metadata,
    Column("reception", Integer, primary_key=True),
    Column("insurer", String, primary_key=True),
    Column("group_number", Integer, nullable=False),
    Column("rows", Integer, nullable=False),
    Column("since", String, nullable=False),
    Column("erased_by", Integer),  # the group that wrote the partition anew
)
packages = package_table("copy_package")  # their receptions are queries
all_packages = partial(own_packages.all_packages, packages)
put_package = partial(own_packages.put_package, packages)
set_package = partial(own_packages.set_package, packages)
OPEN = ("built", "laid_out")
CLOSED = ("delivered", "expired")


@dataclass(frozen=True)
class Deletion:
    """See the table."""

    reception: int
    insurer: str
    group_number: int
    rows: int
    since: str
    erased_by: int | None


def put_deletions(connection: Connection, rows: Iterable[Mapping[str, object]]) -> None:
    """Count the deletions of a group that is about to be committed."""
    values = [dict(row) for row in rows]
    if values:
        connection.execute(insert(deletions), values)


def all_deletions(ledger: Ledger) -> list[Deletion]:
    """In ascending reception and insurer."""
    query = select(deletions).order_by(deletions.c.reception, deletions.c.insurer)
    return [Deletion(**row._mapping) for row in ledger.read(query)]


def open_deletions(ledger: Ledger) -> list[Deletion]:
    """Committed, and not erased by any group yet."""
    done = select(groups.c.number).where(groups.c.state == "committed")
    query = select(deletions).where(
        deletions.c.erased_by.is_(None), deletions.c.group_number.in_(done)
    )
    query = query.order_by(deletions.c.reception, deletions.c.insurer)
    return [Deletion(**row._mapping) for row in ledger.read(query)]


def set_erased(connection: Connection, done: Iterable[Deletion], group: int) -> None:
    """What a group takes out of the tables for good."""
    for item in done:
        own = (deletions.c.reception == item.reception) & (deletions.c.insurer == item.insurer)
        connection.execute(update(deletions).where(own).values(erased_by=group))
