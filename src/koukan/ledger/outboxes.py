"""What lies in outboxes, by the ledger: which receptions still lack a file for their sender."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import exists, literal, select

from koukan.ledger import schema as s
from koukan.ledger.store import Ledger


def unreported(ledger: Ledger, formats: Collection[str], kind: str) -> list[int]:
    """Accepted receptions with rejected lines whose sender was told, and was laid no such file.

    Those whose result is erased are left out. In ascending number.
    """
    table, counted, laid = s.receptions.c, s.insurer_counts.c, s.laid_out.c
    query = select(table.number).where(
        table.format.in_(list(formats)),
        table.outcome == "accepted",
        table.told == "accepted",
        ~table.original_erased,
        exists().where(counted.reception == table.number, counted.rejected > 0),
        ~exists().where(laid.reception == table.number, laid.kind == kind),
    )
    return [int(row.number) for row in ledger.read(query.order_by(table.number))]


def uncorrected(ledger: Ledger, formats: Collection[str]) -> list[tuple[int, str, str, int]]:
    """(reception, sender, insurer, rejected lines) for which no correction package was laid out."""
    table, counted, laid = s.receptions.c, s.insurer_counts.c, s.laid_out.c
    query = select(table.number, table.sender, counted.insurer, counted.rejected).where(
        counted.reception == table.number,
        counted.rejected > 0,
        table.format.in_(list(formats)),
        table.outcome == "accepted",
        table.told == "accepted",
        ~table.original_erased,
        ~exists().where(
            laid.reception == table.number,
            laid.kind == literal("correction:").concat(counted.insurer),
        ),
    )
    rows = ledger.read(query.order_by(table.number, counted.insurer))
    return [(row.number, row.sender, row.insurer, row.rejected) for row in rows]


def corrections_named(ledger: Ledger, sender: str, names: Collection[str]) -> list[tuple[str, str]]:
    """Name and hash of those names that are correction packages laid out for a sender."""
    if not names:
        return []
    laid = s.laid_out.c
    query = select(laid.name, laid.sha256).where(
        laid.sender == sender, laid.name.in_(list(names)), laid.kind.startswith("correction:")
    )
    return [(row.name, row.sha256) for row in ledger.read(query)]
