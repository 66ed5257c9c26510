"""What the ledger knows of flow 4: which requests were answered, and how far each answer is.

Numbers, names, counts, hashes and states; never a number of a person.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, func, insert, select, update

from koukan.ledger import pmh_schema as s
from koukan.ledger.store import Ledger


@dataclass(frozen=True)
class Answer:
    """The answer to one request; see `pmh_schema.answers`."""

    reception: int
    group_number: int
    sender: str
    name: str
    rows: int
    given: int
    fresh: int
    file_sha256: str
    file_length: int
    archive_sha256: str | None
    sha256: str | None
    state: str
    erased: bool
    built_at: str
    closed_at: str | None


def answers(
    ledger: Ledger, *, states: Collection[str] | None = None, erased: bool | None = None
) -> list[Answer]:
    """In ascending reception."""
    query = select(s.answers).order_by(s.answers.c.reception)
    if states is not None:
        query = query.where(s.answers.c.state.in_(list(states)))
    if erased is not None:
        query = query.where(s.answers.c.erased == erased)
    return [Answer(**row._mapping) for row in ledger.read(query)]


def reasons(ledger: Ledger) -> list[tuple[int, str, int]]:
    """Reception, code and rows, ascending."""
    query = select(s.reasons).order_by(s.reasons.c.reception, s.reasons.c.code)
    return [(row.reception, row.code, row.rows) for row in ledger.read(query)]


def reason_totals(ledger: Ledger) -> dict[str, int]:
    """Rows by code, over all requests."""
    table = s.reasons.c
    total = func.sum(table.rows).label("total")
    query = select(table.code, total).group_by(table.code).order_by(table.code)
    return {row.code: int(row.total) for row in ledger.read(query)}


def put_answer(
    connection: Connection, values: Mapping[str, object], counts: Mapping[str, int]
) -> None:
    """An answer that is built, and why its empty rows are empty (code -> rows)."""
    connection.execute(insert(s.answers).values(dict(values)))
    rows = [
        {"reception": values["reception"], "code": code, "rows": count}
        for code, count in sorted(counts.items())
        if count
    ]
    if rows:
        connection.execute(insert(s.reasons), rows)


def set_answer(connection: Connection, reception: int, **values: object) -> None:
    connection.execute(update(s.answers).where(s.answers.c.reception == reception).values(values))
