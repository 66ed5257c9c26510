"""Questions of staff that a signature opened, so that none opens a second time.

What was asked about is not kept here: the operation log names the insurer and the purpose.
"""

from __future__ import annotations

from sqlalchemy import Column, Connection, String, Table
from sqlalchemy.dialects.sqlite import insert as upsert

from koukan.ledger import schema as s

looks = Table(
    "look",
    s.metadata,
    Column("nonce", String, primary_key=True),
    Column("operation", String, nullable=False),
    Column("person", String, nullable=False),  # as in site.toml
    Column("at", String, nullable=False),  # UTC, ISO
)


def use(connection: Connection, nonce: str, operation: str, person: str, at: str) -> bool:
    """Note that a question is answered; False when it was before."""
    values = {"nonce": nonce, "operation": operation, "person": person, "at": at}
    done = connection.execute(upsert(looks).values(values).on_conflict_do_nothing())
    return done.rowcount == 1
