"""Files of questions whose open questions are asked again, and the requests cut for that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Connection, Integer, String, Table, func, insert, select, update

from koukan.ledger import schema as s
from koukan.ledger.store import Ledger

repeats = Table(
    "asked_again",
    s.metadata,
    Column("number", Integer, primary_key=True),
    Column("reception", Integer, nullable=False, index=True),  # of the questions
    Column("wished_at", String, nullable=False),
    Column("request", Integer),  # the first that was cut for it; null before
)


@dataclass(frozen=True)
class Repeat:
    """One wish to ask a file's open questions again."""

    number: int
    reception: int
    wished_at: str
    request: int | None


def all_repeats(ledger: Ledger) -> list[Repeat]:
    """In ascending number."""
    return _read(ledger, select(repeats).order_by(repeats.c.number))


def waiting(ledger: Ledger) -> list[Repeat]:
    """Those for which no request was cut yet."""
    return _read(ledger, select(repeats).where(repeats.c.request.is_(None)).order_by("number"))


def last_wished(ledger: Ledger) -> dict[int, str]:
    """Reception -> when it was last asked for again."""
    newest = func.max(repeats.c.wished_at).label("newest")
    query = select(repeats.c.reception, newest).group_by(repeats.c.reception)
    return {int(row.reception): str(row.newest) for row in ledger.read(query)}


def wish(connection: Connection, reception: int, at: str) -> None:
    number = int(connection.execute(select(func.max(repeats.c.number))).scalar() or 0) + 1
    values: dict[str, Any] = {"number": number, "reception": reception, "wished_at": at}
    connection.execute(insert(repeats).values(values))


def cut(connection: Connection, receptions: set[int], request: int) -> None:
    """A request was cut that has these files' open questions, or some of them."""
    mine = repeats.c.reception.in_(sorted(receptions)) & repeats.c.request.is_(None)
    connection.execute(update(repeats).where(mine).values(request=request))


def _read(ledger: Ledger, query: Any) -> list[Repeat]:
    return [Repeat(**row._mapping) for row in ledger.read(query)]
