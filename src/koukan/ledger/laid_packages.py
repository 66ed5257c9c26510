"""Packages as they lie in outboxes: to which key each was encrypted, and what its archive is.

The hash of a key is kept, never the key. What became of the answers of 本人確認 stands in the table
of packages; of a correction package all that there is to know stands here.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Column, Connection, Integer, String, Table, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from koukan.ledger.schema import metadata
from koukan.ledger.store import Ledger

laid_packages = Table(
    "laid_package",
    metadata,
    Column("sender", String, primary_key=True),
    Column("name", String, primary_key=True),
    Column("kind", String, nullable=False),  # answers correction usage copies
    Column("reception", Integer, nullable=False),
    Column("insurer", String, nullable=False),
    Column("sha256", String, nullable=False),  # of the encrypted file
    Column("archive_sha256", String, nullable=False),
    Column("key_sha256", String, nullable=False),  # of the key, without its comment
    Column("collected_at", String),  # when its owner had it, UTC; answers are told elsewhere
)
ANSWERS, CORRECTION, USAGE, COPIES = "answers", "correction", "usage", "copies"


@dataclass(frozen=True)
class LaidPackage:
    """See the table."""

    sender: str
    name: str
    kind: str
    reception: int
    insurer: str
    sha256: str
    archive_sha256: str
    key_sha256: str
    collected_at: str | None = None


def laid(ledger: Ledger, kind: str) -> list[LaidPackage]:
    """All of a kind that were ever laid out, by sender and name."""
    table = laid_packages.c
    query = select(laid_packages).where(table.kind == kind).order_by(table.sender, table.name)
    return [LaidPackage(**row._mapping) for row in ledger.read(query)]


def put_laid_package(connection: Connection, item: LaidPackage) -> None:
    """In the place of the one of that name before it; what was collected stays so."""
    keys = ("sender", "name", "collected_at")
    changed = {name: value for name, value in vars(item).items() if name not in keys}
    row = upsert(laid_packages).values(vars(item))
    connection.execute(row.on_conflict_do_update(index_elements=["sender", "name"], set_=changed))


def set_collected(connection: Connection, sender: str, name: str, at: str) -> None:
    """Its owner has it; a second time changes nothing."""
    table = laid_packages.c
    found = (table.sender == sender) & (table.name == name) & table.collected_at.is_(None)
    connection.execute(update(laid_packages).where(found).values(collected_at=at))
