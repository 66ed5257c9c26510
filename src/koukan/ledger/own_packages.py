"""Packages that hold one file for one insurer, sealed under a key of its own; see their tables.

Two flows have such packages: 資格確認実績ログ for welfare offices, and insurers' own copies (副本).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
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

from koukan.ledger.schema import metadata
from koukan.ledger.store import Ledger


def package_table(name: str) -> Table:
    """A flow's packages."""
    return Table(
        name,
        metadata,
        Column("reception", Integer, primary_key=True),
        Column("ordinal", Integer, primary_key=True),  # among what is sealed of the reception
        Column("insurer", String, nullable=False),
        Column("sender", String, nullable=False),
        Column("name", String, nullable=False),
        Column("rows", Integer, nullable=False),
        Column("file_sha256", String, nullable=False),  # of the file inside
        Column("file_length", Integer, nullable=False),
        Column("archive_sha256", String),  # the package's identity, known when it is laid out
        Column("sha256", String),  # of the encrypted file in the outbox
        Column("state", String, nullable=False),  # built laid_out delivered expired superseded
        Column("erased", Boolean, nullable=False, default=False),
        Column("built_at", String, nullable=False),
        Column("closed_at", String),
        UniqueConstraint("sender", "name"),
    )


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


def all_packages(
    table: Table,
    ledger: Ledger,
    *,
    states: Collection[str] | None = None,
    receptions: Collection[int] | None = None,
    erased: bool | None = None,
) -> list[Package]:
    """In ascending reception and ordinal."""
    query = select(table).order_by(table.c.reception, table.c.ordinal)
    if states is not None:
        query = query.where(table.c.state.in_(list(states)))
    if receptions is not None:
        query = query.where(table.c.reception.in_(list(receptions)))
    if erased is not None:
        query = query.where(table.c.erased == erased)
    return [Package(**row._mapping) for row in ledger.read(query)]


def put_package(table: Table, connection: Connection, values: Mapping[str, object]) -> None:
    """A package that is built."""
    connection.execute(insert(table).values(dict(values)))


def set_package(table: Table, connection: Connection, item: Package, **values: object) -> None:
    """What has become of it."""
    own = (table.c.reception == item.reception) & (table.c.ordinal == item.ordinal)
    connection.execute(update(table).where(own).values(values))
