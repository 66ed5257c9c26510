"""What lies in outboxes, by the ledger: which receptions still lack a file for their sender."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import exists, select

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
