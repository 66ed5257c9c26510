"""Answers that are kept back until a person says so: how many, and what was decided of which lines.

Counts and numbers of lines; the answers themselves lie sealed with their file of questions.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Column, Connection, Integer, String, Table, func, insert, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from koukan.ledger import schema as s
from koukan.ledger.store import Ledger

Verdict = Literal["release", "refuse"]

withheld = Table(  # one row for each file of questions of which answers were ever withheld
    "withheld",
    s.metadata,
    Column("reception", Integer, primary_key=True),
    Column("rows", Integer, nullable=False),  # sealed with the file's present generation
    Column("since", String, nullable=False),  # when the newest of them were withheld
)

decisions = Table(  # what somebody asked to be done with some of them
    "withheld_decision",
    s.metadata,
    Column("number", Integer, primary_key=True),
    Column("reception", Integer, nullable=False, index=True),
    Column("verdict", String, nullable=False),  # release refuse
    Column("lines", String, nullable=False),  # JSON: numbers of lines, ascending
    Column("created_at", String, nullable=False),
    Column("state", String, nullable=False, index=True),  # open, used, dropped
)


@dataclass(frozen=True)
class Withheld:
    """Of one file of questions."""

    reception: int
    rows: int
    since: str


@dataclass(frozen=True)
class Decision:
    """One verdict on some lines of a file; it holds once a person has signed it."""

    number: int
    reception: int
    verdict: Verdict
    lines: tuple[int, ...]
    created_at: str
    state: str


def all_withheld(ledger: Ledger) -> list[Withheld]:
    """Files of which anything is withheld now, by reception."""
    query = select(withheld).where(withheld.c.rows > 0).order_by(withheld.c.reception)
    return [Withheld(**row._mapping) for row in ledger.read(query)]


def rows_of(ledger: Ledger) -> dict[int, int]:
    """Reception -> rows that are withheld now; none of these is 0."""
    return {item.reception: item.rows for item in all_withheld(ledger)}


def ever_withheld(ledger: Ledger) -> set[int]:
    """Receptions of which anything was ever withheld."""
    return {int(row.reception) for row in ledger.read(select(withheld.c.reception))}


def put(connection: Connection, reception: int, rows: int, *, since: str | None) -> None:
    """So many rows are withheld of a file from here on.

    Args:
        since: of rows that came to them now; None where none did.
    """
    changed = {"rows": rows} if since is None else {"rows": rows, "since": since}
    row = upsert(withheld).values(reception=reception, rows=rows, since=since or "")
    connection.execute(row.on_conflict_do_update(index_elements=["reception"], set_=changed))


def open_decisions(ledger: Ledger, reception: int | None = None) -> list[Decision]:
    """Those neither used nor dropped, in ascending number."""
    query = select(decisions).where(decisions.c.state == "open").order_by(decisions.c.number)
    if reception is not None:
        query = query.where(decisions.c.reception == reception)
    return _read(ledger, query)


def all_decisions(ledger: Ledger) -> list[Decision]:
    return _read(ledger, select(decisions).order_by(decisions.c.number))


def _read(ledger: Ledger, query: Any) -> list[Decision]:
    return [
        Decision(**{**row._mapping, "lines": tuple(json.loads(row.lines))})
        for row in ledger.read(query)
    ]


def decide(
    connection: Connection, reception: int, verdict: Verdict, lines: Sequence[int], at: str
) -> int:
    """A new open decision; its number."""
    number = int(connection.execute(select(func.max(decisions.c.number))).scalar() or 0) + 1
    values: Mapping[str, object] = {
        "number": number,
        "reception": reception,
        "verdict": verdict,
        "lines": json.dumps(list(lines)),
        "created_at": at,
        "state": "open",
    }
    connection.execute(insert(decisions).values(values))
    return number


def close(
    connection: Connection, numbers: Sequence[int], state: Literal["used", "dropped"]
) -> None:
    mine = decisions.c.number.in_(list(numbers))
    connection.execute(update(decisions).where(mine).values(state=state))
