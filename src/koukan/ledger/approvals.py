"""Approvals in the ledger: what was asked of persons, until when, and by whom it was given."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Literal, NamedTuple

from sqlalchemy import Connection, Select, func, insert, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from koukan.errors import UsageError
from koukan.ledger import schema as s
from koukan.ledger.store import Ledger
from koukan.sites import Operation

Closed = Literal["used", "expired", "replaced"]


class Subject(NamedTuple):
    """What an operation is on, by its number: a request of ours, a reception, a decision."""

    kind: Literal["request", "reception", "withheld", "code_request"]
    number: int


@dataclass(frozen=True)
class Approval:
    """One approval as the ledger knows it; see `schema.approvals`."""

    number: int
    operation: Operation
    subject: Subject
    content: str
    created_at: str
    expires_at: str
    state: str
    used_at: str | None
    used_by: tuple[str, ...]

    @property
    def asked(self) -> dict[str, Any]:
        """The signed text as what it says."""
        found: dict[str, Any] = json.loads(self.content)
        return found

    def expired(self, now: datetime) -> bool:
        """By the signed text: the column beside it is for reports."""
        return now >= datetime.fromisoformat(self.asked["expires"])


def approval(ledger: Ledger, number: int) -> Approval:
    """Raises UsageError when nothing was asked under that number."""
    found = _read(ledger, select(s.approvals).where(s.approvals.c.number == number))
    if not found:
        raise UsageError("approvals.no_approval", approval=number)
    return found[0]


def open_approvals(ledger: Ledger) -> list[Approval]:
    """Those neither used nor closed, in ascending number; some may have expired meanwhile."""
    table = s.approvals.c
    return _read(ledger, select(s.approvals).where(table.state == "open").order_by(table.number))


def open_approval(ledger: Ledger, operation: Operation, subject: Subject) -> Approval | None:
    """The open one of an operation on a subject; there is at most one."""
    table = s.approvals.c
    query = select(s.approvals).where(
        table.state == "open",
        table.operation == operation,
        table.subject == subject.kind,
        table.subject_number == subject.number,
    )
    return next(iter(_read(ledger, query)), None)


def newest(ledger: Ledger) -> int:
    """The highest number, 0 before the first."""
    return int(ledger.read(select(func.max(s.approvals.c.number)))[0][0] or 0)


def add(connection: Connection, values: Mapping[str, object]) -> int:
    """A new open approval; its number is given in the transaction that makes it known."""
    highest = connection.execute(select(func.max(s.approvals.c.number))).scalar()
    number = int(highest or 0) + 1
    connection.execute(insert(s.approvals).values({"state": "open", **values, "number": number}))
    return number


def close(
    connection: Connection,
    number: int,
    state: Closed,
    *,
    at: str | None = None,
    by: tuple[str, ...] = (),
) -> bool:
    """Close an open approval; False when it is not open any more.

    Args:
        at, by: when it was used and who had given it.
    """
    table = s.approvals.c
    changed = update(s.approvals).where(table.number == number, table.state == "open")
    values = {"state": state, "used_at": at, "used_by": json.dumps(by)}
    return connection.execute(changed.values(values)).rowcount == 1


def refusals(ledger: Ledger, number: int) -> set[tuple[str, str]]:
    """(SHA-256, reason) of the signatures of an approval that are logged as not counting."""
    table = s.signature_refusals.c
    query = select(table.sha256, table.reason).where(table.approval == number)
    return {(row.sha256, row.reason) for row in ledger.read(query)}


def note_refusal(connection: Connection, number: int, sha256: str, reason: str) -> None:
    values = {"approval": number, "sha256": sha256, "reason": reason}
    connection.execute(upsert(s.signature_refusals).values(values).on_conflict_do_nothing())


def _read(ledger: Ledger, query: Select[Any]) -> list[Approval]:
    names = {item.name for item in fields(Approval)} - {"subject", "used_by"}
    return [
        Approval(
            **{name: row._mapping[name] for name in names},
            subject=Subject(row.subject, row.subject_number),
            used_by=tuple(json.loads(row.used_by)),
        )
        for row in ledger.read(query)
    ]
