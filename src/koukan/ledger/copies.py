"""What the ledger knows of copies (副本): deletions to be erased, and packages for their insurers.

Numbers, names, counts, hashes and states; never an item of a copy.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Integer,
    String,
    Table,
    UniqueConstraint,
    insert,
    select,
    update,
)

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
packages = Table(
    "copy_package",
    metadata,
    Column("reception", Integer, primary_key=True),  # of the query
    Column("ordinal", Integer, primary_key=True),
    Column("insurer", String, nullable=False),
    Column("sender", String, nullable=False),
    Column("name", String, nullable=False),
    Column("rows", Integer, nullable=False),
    Column("file_sha256", String, nullable=False),  # of the file inside
    Column("file_length", Integer, nullable=False),
    Column("archive_sha256", String),  # the package's identity, known when it is laid out
    Column("sha256", String),  # of the encrypted file in the outbox
    Column("state", String, nullable=False),  # built laid_out delivered expired
    Column("erased", Boolean, nullable=False, default=False),
    Column("built_at", String, nullable=False),
    Column("closed_at", String),
    UniqueConstraint("sender", "name"),
)
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


@dataclass(frozen=True)
class Package:
    """See the table."""

    reception: int
    ordinal: int
    insurer: str
    sender: str
    name: str
    rows: int
    file_sha256: str
    file_length: int
    archive_sha256: str | None
    sha256: str | None
    state: str
    erased: bool
    built_at: str
    closed_at: str | None


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


def all_packages(
    ledger: Ledger, *, states: Collection[str] | None = None, erased: bool | None = None
) -> list[Package]:
    """In ascending reception and ordinal."""
    query = select(packages).order_by(packages.c.reception, packages.c.ordinal)
    if states is not None:
        query = query.where(packages.c.state.in_(list(states)))
    if erased is not None:
        query = query.where(packages.c.erased == erased)
    return [Package(**row._mapping) for row in ledger.read(query)]


def put_package(connection: Connection, values: Mapping[str, object]) -> None:
    connection.execute(insert(packages).values(dict(values)))


def set_package(connection: Connection, item: Package, **values: object) -> None:
    own = (packages.c.reception == item.reception) & (packages.c.ordinal == item.ordinal)
    connection.execute(update(packages).where(own).values(values))
