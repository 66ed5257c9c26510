"""Members of whom 管理終了 was told, counted by reception until an erasure has taken them.

Hidden from every reader at once, their rows leave the tables with the next run of `forget`, which
takes all that were committed before it: what lies behind the last erasure is still to be erased.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from sqlalchemy import Column, Connection, Integer, Table, insert, select

from koukan.ledger import schema as s
from koukan.ledger.rewritings import forgetting
from koukan.ledger.store import Ledger

withdrawals = Table(
    "withdrawal",
    s.metadata,
    Column("group_number", Integer, primary_key=True),
    Column("reception", Integer, primary_key=True),
    Column("members", Integer, nullable=False),
)


ROSTER = "roster"  # what an erasure takes of every withdrawn member


class Open(NamedTuple):
    """What is still to be erased of one reception; when that came, in UTC."""

    reception: int
    members: int
    received_at: str


def put_withdrawals(connection: Connection, group: int, counts: Mapping[int, int]) -> None:
    """Count the withdrawn members of a group that is about to be committed, by reception."""
    rows = [
        {"group_number": group, "reception": reception, "members": members}
        for reception, members in counts.items()
    ]
    if rows:
        connection.execute(insert(withdrawals), rows)


def open_withdrawals(ledger: Ledger) -> list[Open]:
    """What no erasure has taken yet, by reception, the oldest first.

    An erasure of other rows (PMH-IDs after their years) takes no member: who goes leaves a roster.
    """
    table, group, received = withdrawals.c, s.groups.c, s.receptions.c
    last = max(forgetting(ledger, ROSTER), default=0)
    query = (
        select(table.reception, table.members, received.received_at)
        .join(s.groups, group.number == table.group_number)
        .join(s.receptions, received.number == table.reception)
        .where(table.group_number > last, group.state == "committed")
        .order_by(received.received_at, table.reception)
    )
    return [Open(**row._mapping) for row in ledger.read(query)]
