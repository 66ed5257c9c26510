"""What the ledger knows of flow 5: which logs were split, and how far each package of them is.

Numbers, names, counts, hashes and states; never an item of a line.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import partial

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Integer,
    String,
    Table,
    UniqueConstraint,
    insert,
    select,
    update,
)

from koukan.ledger import own_packages
from koukan.ledger.own_packages import package_table
from koukan.ledger.schema import metadata
from koukan.ledger.store import Ledger

logs = Table(  # one row for each log that was split
    "usage_log",
    metadata,
    Column("reception", Integer, primary_key=True),
    Column("log_number", String, nullable=False),
    Column("version", Integer, nullable=False),
    Column("rows", Integer, nullable=False),
    Column("superseded", Boolean, nullable=False, default=False),
    Column("allotted_at", String, nullable=False),
    UniqueConstraint("log_number", "version"),
)
packages = package_table("usage_package")
all_packages = partial(own_packages.all_packages, packages)
put_package = partial(own_packages.put_package, packages)
set_package = partial(own_packages.set_package, packages)
held = Table(  # lines of which no office is known
    "usage_held",
    metadata,
    Column("reception", Integer, primary_key=True),
    Column("ordinal", Integer, primary_key=True),
    Column("rows", Integer, nullable=False),
    Column("payers", Integer, nullable=False),  # how many 公費負担者番号
    # held; wished: to be looked at again; released: what was left of it is in later ones;
    # refused expired superseded: given up
    Column("state", String, nullable=False),
    Column("erased", Boolean, nullable=False, default=False),
    Column("since", String, nullable=False),
)
WAITING = ("held", "wished")
GIVEN_UP = ("refused", "expired", "superseded")
OPEN = ("built", "laid_out")
CLOSED = ("delivered", "expired", "superseded")


@dataclass(frozen=True)
class Log:
    """See the table."""

    reception: int
    log_number: str
    version: int
    rows: int
    superseded: bool
    allotted_at: str


@dataclass(frozen=True)
class Held:
    """See the table."""

    reception: int
    ordinal: int
    rows: int
    payers: int
    state: str
    erased: bool
    since: str


def all_logs(ledger: Ledger, *, log_number: str | None = None) -> list[Log]:
    """In ascending reception."""
    query = select(logs).order_by(logs.c.reception)
    if log_number is not None:
        query = query.where(logs.c.log_number == log_number)
    return [Log(**row._mapping) for row in ledger.read(query)]


def all_held(
    ledger: Ledger, *, states: Collection[str] | None = None, reception: int | None = None
) -> list[Held]:
    """In ascending reception and ordinal."""
    query = select(held).order_by(held.c.reception, held.c.ordinal)
    if states is not None:
        query = query.where(held.c.state.in_(list(states)))
    if reception is not None:
        query = query.where(held.c.reception == reception)
    return [Held(**row._mapping) for row in ledger.read(query)]


def put_log(connection: Connection, values: Mapping[str, object]) -> None:
    connection.execute(insert(logs).values(dict(values)))


def put_held(connection: Connection, values: Mapping[str, object]) -> None:
    connection.execute(insert(held).values(dict(values)))


def set_held(connection: Connection, item: Held, **values: object) -> None:
    own = (held.c.reception == item.reception) & (held.c.ordinal == item.ordinal)
    connection.execute(update(held).where(own).values(values))


def supersede(connection: Connection, receptions: Collection[int], at: str) -> None:
    """A newer version is here: what of these logs nobody has collected, and what is held, goes."""
    these = list(receptions)
    connection.execute(update(logs).where(logs.c.reception.in_(these)).values(superseded=True))
    waiting = packages.c.reception.in_(these) & packages.c.state.in_(OPEN)
    connection.execute(update(packages).where(waiting).values(state="superseded", closed_at=at))
    kept = held.c.reception.in_(these) & held.c.state.in_(WAITING)
    connection.execute(update(held).where(kept).values(state="superseded"))
