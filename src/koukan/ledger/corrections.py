"""Files that mend what was rejected: which reception each goes back to, and what it mended.

A correction may itself be corrected. All that go back to one first reception, the root, are counted
in its lines, so that its totals can be restated.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Connection, func, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from koukan.ledger import schema as s
from koukan.ledger.database import MANY
from koukan.ledger.statements import like
from koukan.ledger.store import Ledger


@dataclass(frozen=True)
class Correction:
    """A file that names an original; `mended` are rejected lines of the root."""

    reception: int
    original: int
    root: int
    mended: int


def corrections(ledger: Ledger) -> list[Correction]:
    """All that passed the gate, in ascending number."""
    query = select(s.corrections).order_by(s.corrections.c.reception)
    return [Correction(**row._mapping) for row in ledger.read(query)]


def corrections_among(ledger: Ledger, receptions: Collection[int]) -> dict[int, Correction]:
    """Those of these receptions that are corrections."""
    numbers, found = list(receptions), {}
    for at in range(0, len(numbers), MANY):
        some = s.corrections.c.reception.in_(numbers[at : at + MANY])
        for row in ledger.read(select(s.corrections).where(some)):
            found[int(row.reception)] = Correction(**row._mapping)
    return found


def correction(ledger: Ledger, reception: int) -> Correction | None:
    rows = ledger.found(like(s.corrections, ("reception",)), {"reception": reception})
    return Correction(**rows[0]) if rows else None


def accepted_of(ledger: Ledger, root: int, until: int | None = None) -> list[Correction]:
    """Accepted corrections that go back to a reception, in the order of their groups.

    Args:
        until: the last group that counts; all do when absent.
    """
    table, received = s.corrections.c, s.receptions.c
    query = (
        select(s.corrections)
        .join(s.receptions, received.number == table.reception)
        .where(table.root == root, received.outcome == "accepted")
        .order_by(received.group_number)
    )
    if until is not None:
        query = query.where(received.group_number <= until)
    return [Correction(**row._mapping) for row in ledger.read(query)]


def restated(ledger: Ledger, root: int, until: int | None = None) -> dict[str, int]:
    """Lines of a reception by what became of them; `corrected` of the rejected ones are mended."""
    counts = ledger.counts(root)
    names = ("received", "accepted", "rejected")
    found = {name: sum(getattr(item, name) for item in counts) for name in names}
    return {**found, "corrected": sum(item.mended for item in accepted_of(ledger, root, until))}


def rejected_lines(ledger: Ledger, reception: int) -> int:
    counted = s.insurer_counts.c
    query = select(func.sum(counted.rejected)).where(counted.reception == reception)
    return int(ledger.read(query)[0][0] or 0)


def put_correction(connection: Connection, found: Correction) -> None:
    """Note what a file names; read again, it is the same."""
    row = upsert(s.corrections).values(vars(found))
    connection.execute(
        row.on_conflict_do_update(index_elements=["reception"], set_=dict(vars(found)))
    )


def set_mended(connection: Connection, reception: int, lines: int) -> None:
    table = s.corrections
    connection.execute(update(table).where(table.c.reception == reception).values(mended=lines))
