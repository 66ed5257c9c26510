"""符号再発行対象者リスト, media, and what was copied on to them: numbers, names, hashes, states.

Whom a list names stands sealed beside the ledger until staff have checked what became of it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sqlalchemy import Column, Connection, Integer, String, Table, func, insert, select, update

from koukan.ledger import schema as s
from koukan.ledger.store import Ledger

lists = Table(
    "code_list",
    s.metadata,
    Column("number", Integer, primary_key=True),
    Column("rows", Integer, nullable=False),
    Column("sha256", String, nullable=False),  # of the file that was registered
    Column("registered_by", String, nullable=False),  # as in site.toml
    Column("registered_at", String, nullable=False),  # UTC, ISO
    Column("state", String, nullable=False),  # registered, instructed, checked, erased
    Column("group_number", Integer),  # that wants the new codes
    Column("persons", Integer, nullable=False, default=0),  # whose code is given up by it
    Column("checked_by", String),
    Column("checked_at", String),
)
media = Table(  # 媒体管理簿
    "medium",
    s.metadata,
    Column("label", String, primary_key=True),  # as it stands on the medium
    Column("approved_by", String, nullable=False),
    Column("approved_at", String, nullable=False),
    Column("record", String, nullable=False),  # signed JSON
    Column("destroyed_by", String),
    Column("destroyed_at", String),
    Column("destruction", String),  # signed JSON
)
copies = Table(  # what was written on to a medium
    "medium_copy",
    s.metadata,
    Column("number", Integer, primary_key=True),
    Column("label", String, nullable=False),
    Column("what", String, nullable=False),
    Column("rows", Integer, nullable=False),
    Column("sha256", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("permitted_by", String, nullable=False),
    Column("second", String, nullable=False),
    Column("copied_at", String, nullable=False),
    Column("record", String, nullable=False),  # signed JSON
)


@dataclass(frozen=True)
class CodeList:
    """See the table."""

    number: int
    rows: int
    sha256: str
    registered_by: str
    registered_at: str
    state: str
    group_number: int | None = None
    persons: int = 0
    checked_by: str | None = None
    checked_at: str | None = None


@dataclass(frozen=True)
class Medium:
    """See the table."""

    label: str
    approved_by: str
    approved_at: str
    record: str
    destroyed_by: str | None = None
    destroyed_at: str | None = None
    destruction: str | None = None


@dataclass(frozen=True)
class Copy:
    """See the table."""

    number: int
    label: str
    what: str
    rows: int
    sha256: str
    reason: str
    permitted_by: str
    second: str
    copied_at: str
    record: str


def all_lists(ledger: Ledger, *, states: Collection[str] | None = None) -> list[CodeList]:
    """By number."""
    query = select(lists).order_by(lists.c.number)
    if states is not None:
        query = query.where(lists.c.state.in_(list(states)))
    return [CodeList(**row._mapping) for row in ledger.read(query)]


def next_list(ledger: Ledger) -> int:
    return int(ledger.read(select(func.max(lists.c.number)))[0][0] or 0) + 1


def put_list(connection: Connection, found: CodeList) -> None:
    connection.execute(insert(lists).values(vars(found)))


def set_list(connection: Connection, number: int, **values: object) -> None:
    connection.execute(update(lists).where(lists.c.number == number).values(**values))


def all_media(ledger: Ledger) -> list[Medium]:
    """By label."""
    return [Medium(**row._mapping) for row in ledger.read(select(media).order_by(media.c.label))]


def put_medium(connection: Connection, values: Mapping[str, object]) -> None:
    connection.execute(insert(media).values(values))


def set_medium(connection: Connection, label: str, **values: object) -> None:
    connection.execute(update(media).where(media.c.label == label).values(**values))


def all_copies(ledger: Ledger) -> list[Copy]:
    """In order."""
    return [Copy(**row._mapping) for row in ledger.read(select(copies).order_by(copies.c.number))]


def next_copy(ledger: Ledger) -> int:
    return int(ledger.read(select(func.max(copies.c.number)))[0][0] or 0) + 1


def put_copy(connection: Connection, values: Mapping[str, object]) -> None:
    connection.execute(insert(copies).values(values))
