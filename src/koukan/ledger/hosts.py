"""What the ledger knows of partners' hosts: what went there, and what could not be done there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Column, Connection, Integer, String, Table, delete, select
from sqlalchemy.dialects.sqlite import insert as upsert

from koukan.ledger.schema import metadata
from koukan.ledger.store import Ledger

handovers = Table(
    "handovers",
    metadata,
    Column("sender", String, primary_key=True),  # the partner
    Column("name", String, primary_key=True),
    Column("sha256", String, nullable=False),
    Column("length", Integer, nullable=False),
    Column("at", String, nullable=False),  # UTC, ISO
    Column("state", String, nullable=False),  # uploaded; ready: gets its name now; handed
)
host_faults = Table(
    "host_faults",
    metadata,
    Column("sender", String, primary_key=True),
    Column("step", String, primary_key=True),  # of the run, or "connect"
    Column("since", String, nullable=False),  # UTC, ISO: of the first failure in a row
    Column("at", String, nullable=False),  # of the last one
    Column("exit", Integer, nullable=False),
    Column("key", String, nullable=False),
    Column("where", String, nullable=False),  # JSON
)


@dataclass(frozen=True)
class Handover:
    """A file that went, or goes, to a partner's host."""

    sender: str
    name: str
    sha256: str
    length: int
    at: str
    state: str


@dataclass(frozen=True)
class HostFault:
    """What could not be done at a partner's host; `exit` is the code that it calls for."""

    sender: str
    step: str
    since: str
    at: str
    exit: int
    key: str
    where: Mapping[str, str]


def handovers_of(ledger: Ledger, sender: str | None = None) -> list[Handover]:
    """The last one of each name, by partner and name."""
    query = select(handovers).order_by(handovers.c.sender, handovers.c.name)
    if sender is not None:
        query = query.where(handovers.c.sender == sender)
    return [Handover(**row._mapping) for row in ledger.read(query)]


def handover(ledger: Ledger, sender: str, name: str) -> Handover | None:
    """The last one of that name."""
    table = handovers.c
    found = ledger.read(select(handovers).where(table.sender == sender, table.name == name))
    return Handover(**found[0]._mapping) if found else None


def unfinished_handovers(ledger: Ledger, sender: str) -> list[Handover]:
    """Those that a killed run left without their names, or without the ledger's knowing."""
    table = handovers.c
    query = select(handovers).where(table.sender == sender, table.state != "handed")
    return [Handover(**row._mapping) for row in ledger.read(query)]


def put_handover(connection: Connection, item: Handover) -> None:
    """In the place of what was known under the name: another content may follow."""
    row = upsert(handovers).values(vars(item))
    keys = ["sender", "name"]
    changed = {name: value for name, value in vars(item).items() if name not in keys}
    connection.execute(row.on_conflict_do_update(index_elements=keys, set_=changed))


def forget_handover(connection: Connection, item: Handover) -> None:
    """It was given up before it had its name."""
    table = handovers.c
    one = (table.sender == item.sender) & (table.name == item.name)
    connection.execute(delete(handovers).where(one))


def host_faults_of(ledger: Ledger) -> list[HostFault]:
    """By partner."""
    query = select(host_faults).order_by(host_faults.c.sender, host_faults.c.step)
    return [
        HostFault(**{**row._mapping, "where": json.loads(row.where)}) for row in ledger.read(query)
    ]


def put_host_fault(connection: Connection, fault: HostFault) -> None:
    """The last failure; the first one in a row keeps its time."""
    values = {**vars(fault), "where": json.dumps(dict(fault.where), ensure_ascii=False)}
    keys = ["sender", "step"]
    changed = {name: value for name, value in values.items() if name not in (*keys, "since")}
    row = upsert(host_faults).values(values)
    connection.execute(row.on_conflict_do_update(index_elements=keys, set_=changed))


def forget_host_fault(connection: Connection, fault: HostFault) -> None:
    """It went well since."""
    table = host_faults.c
    one = (table.sender == fault.sender) & (table.step == fault.step)
    connection.execute(delete(host_faults).where(one))
