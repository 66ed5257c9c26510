"""What the ledger knows of 機関別符号: requests, events in numbers, what insurers were told.

Numbers, names, counts, hashes and states; never a code, a 個人番号 or a member.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Integer,
    String,
    Table,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.dialects.sqlite import insert as upsert

from koukan.ledger import schema as s
from koukan.ledger.store import Ledger

requests = Table(  # one row for each file that goes to 住基ネット
    "code_request",
    s.metadata,
    Column("number", Integer, primary_key=True),
    Column("partner", String, nullable=False),
    Column("name", String, nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("reissue", Boolean, nullable=False),
    Column("group_number", Integer, nullable=False),  # that says whom it asks for
    Column("until_group", Integer, nullable=False),  # what was wanted up to it is in it or before
    Column("start", Integer, nullable=False),  # counter of its first 要求レコード番号
    Column("rows", Integer, nullable=False),  # as many counters follow it
    Column("sha256", String, nullable=False),
    Column("length", Integer, nullable=False),
    Column("state", String, nullable=False),  # cut, sending, sent, over, erased
    Column("created_at", String, nullable=False),
    Column("sent_at", String),
    Column("repeated_at", String),  # what nobody answered is asked anew by then, or given up
)
events = Table(  # rows of `linkage_codes`, in numbers
    "code_event",
    s.metadata,
    Column("group_number", Integer, primary_key=True),
    Column("event", String, primary_key=True),
    Column("request", Integer, primary_key=True),  # 0 of what is wanted
    Column("detail", String, primary_key=True),  # 処理結果詳細コード of failures
    Column("rows", Integer, nullable=False),
    Column(
        "repeated", Boolean, nullable=False, default=False
    ),  # a failure that was looked at again
)
gatherings = Table(  # up to which group newly linked persons were looked for
    "code_gathering",
    s.metadata,
    Column("until_group", Integer, primary_key=True),
    Column("gathered_at", String, nullable=False),
)
tellings = Table(  # groups whose events insurers were told of
    "code_telling",
    s.metadata,
    Column("number", Integer, primary_key=True),
    Column("since_group", Integer, nullable=False),
    Column("until_group", Integer, nullable=False),
    Column("day", String, nullable=False),  # YYYYMMDD, JST: stands in its files
    Column("state", String, nullable=False),  # open done
)
told = Table(  # what a telling came to, by insurer
    "code_told",
    s.metadata,
    Column("telling", Integer, primary_key=True),
    Column("insurer", String, primary_key=True),
    Column("sender", String, nullable=False),  # empty where nobody speaks for it
    Column("name", String, nullable=False),
    Column("sha256", String, nullable=False),
    Column("rows", Integer, nullable=False),
)
UNDER_WAY = ("cut", "sending", "sent")  # requests of which a copy is left here


@dataclass(frozen=True)
class CodeRequest:
    """See the table."""

    number: int
    partner: str
    name: str
    sequence: int
    reissue: bool
    group_number: int
    until_group: int
    start: int
    rows: int
    sha256: str
    length: int
    state: str
    created_at: str
    sent_at: str | None
    repeated_at: str | None


@dataclass(frozen=True)
class Telling:
    """See the table."""

    number: int
    since_group: int
    until_group: int
    day: str
    state: str


@dataclass(frozen=True)
class Told:
    """See the table."""

    telling: int
    insurer: str
    sender: str
    name: str
    sha256: str
    rows: int


# --- requests


def all_requests(ledger: Ledger, *, states: Collection[str] | None = None) -> list[CodeRequest]:
    """By number."""
    query = select(requests).order_by(requests.c.number)
    if states is not None:
        query = query.where(requests.c.state.in_(list(states)))
    names = [item.name for item in fields(CodeRequest)]
    return [
        CodeRequest(**{name: row._mapping[name] for name in names}) for row in ledger.read(query)
    ]


def next_request(ledger: Ledger, partner: str) -> tuple[int, int]:
    """The number and the partner's sequence number of the next request."""
    newest = ledger.read(select(func.max(requests.c.number)))[0][0]
    query = select(func.max(requests.c.sequence)).where(requests.c.partner == partner)
    return int(newest or 0) + 1, int(ledger.read(query)[0][0] or 0) + 1


def put_request(connection: Connection, values: Mapping[str, object]) -> None:
    connection.execute(insert(requests).values(values))


def set_request(connection: Connection, number: int, **values: object) -> None:
    connection.execute(update(requests).where(requests.c.number == number).values(**values))


def answered(connection: Connection, numbers: Collection[int], at: str) -> None:
    """Requests of which anything was answered are over; and they were sent, known or not."""
    table = requests.c
    mine = table.number.in_(sorted(numbers)) & table.state.in_(UNDER_WAY)
    sent_at = func.coalesce(table.sent_at, at)
    connection.execute(update(requests).where(mine).values(state="over", sent_at=sent_at))


def put_repeated(
    connection: Connection, numbers: Collection[int], failures: Collection[tuple[int, str]], at: str
) -> None:
    """What was unanswered or refused for so long that it was looked at again is done with."""
    table, mine = requests, requests.c.number.in_(sorted(numbers))
    connection.execute(update(table).where(mine).values(repeated_at=at))
    still = mine & table.c.state.in_(UNDER_WAY)
    connection.execute(update(table).where(still).values(state="over"))
    for group, detail in failures:
        same = (events.c.group_number == group) & (events.c.detail == detail)
        connection.execute(update(events).where(same).values(repeated=True))


def asked_until(ledger: Ledger) -> int:
    """The last group of which everything that it wants is in a request; 0 before the first."""
    return int(ledger.read(select(func.max(requests.c.until_group)))[0][0] or 0)


# --- events


def put_events(connection: Connection, counts: Iterable[Mapping[str, object]]) -> None:
    """Count rows that a group adds to the table: `group_number`, `event`, `request`, …"""
    rows = list(counts)
    if rows:
        connection.execute(insert(events), rows)


def all_events(ledger: Ledger) -> list[dict[str, Any]]:
    """By group, event and request."""
    table = events.c
    query = select(events).order_by(table.group_number, table.event, table.request, table.detail)
    return [dict(row._mapping) for row in ledger.read(query)]


def committed_events(ledger: Ledger) -> list[dict[str, Any]]:
    """Those of committed groups, with the moment at which each was formed."""
    table = events.c
    query = (
        select(events, s.groups.c.formed_at)
        .join(s.groups, s.groups.c.number == table.group_number)
        .where(s.groups.c.state == "committed")
        .order_by(table.group_number, table.event, table.request, table.detail)
    )
    return [dict(row._mapping) for row in ledger.read(query)]


def formed_at(ledger: Ledger, groups: Collection[int]) -> dict[int, str]:
    """When each group was formed, UTC, ISO."""
    query = select(s.groups.c.number, s.groups.c.formed_at)
    wanted = set(groups)
    if len(wanted) <= MANY:
        query = query.where(s.groups.c.number.in_(sorted(wanted)))
    return {row.number: row.formed_at for row in ledger.read(query) if row.number in wanted}


MANY = 500  # numbers in one query


def next_counter(ledger: Ledger) -> int:
    """The next number's counter; nobody but the holder of the lease takes any."""
    found = ledger.read(select(s.counters.c.next).where(s.counters.c.name == "issued"))
    return int(found[0][0]) if found else 0


def take_counters(connection: Connection, following: int) -> None:
    """Those before this one are used."""
    row = upsert(s.counters).values(name="issued", next=following)
    connection.execute(row.on_conflict_do_update(index_elements=["name"], set_={"next": following}))


# --- whom was looked for, and who was told


def gathered_until(ledger: Ledger) -> int:
    """The last group in which newly linked persons were looked for; 0 before the first."""
    return int(ledger.read(select(func.max(gatherings.c.until_group)))[0][0] or 0)


def put_gathering(connection: Connection, until: int, at: str) -> None:
    connection.execute(insert(gatherings).values(until_group=until, gathered_at=at))


def all_tellings(ledger: Ledger, *, state: str | None = None) -> list[Telling]:
    """In ascending number."""
    query = select(tellings).order_by(tellings.c.number)
    if state is not None:
        query = query.where(tellings.c.state == state)
    return [Telling(**row._mapping) for row in ledger.read(query)]


def all_told(ledger: Ledger) -> list[Told]:
    """By telling and insurer."""
    query = select(told).order_by(told.c.telling, told.c.insurer)
    return [Told(**row._mapping) for row in ledger.read(query)]


def begin_telling(ledger: Ledger, span: tuple[int, int], day: str) -> Telling:
    """Name the next telling, of the groups in (since, until]."""
    with ledger.begin() as connection:
        newest = connection.execute(select(func.max(tellings.c.number))).scalar()
        found = Telling(int(newest or 0) + 1, *span, day, "open")
        connection.execute(insert(tellings).values(vars(found)))
    return found


def finish_telling(connection: Connection, number: int, found: Iterable[Told]) -> None:
    """What it came to; nothing is open any more."""
    rows = [vars(item) for item in found]
    if rows:
        connection.execute(insert(told), rows)
    connection.execute(update(tellings).where(tellings.c.number == number).values(state="done"))


def told_until(ledger: Ledger) -> int:
    """The last group of which insurers were told; 0 before the first."""
    return int(ledger.read(select(func.max(tellings.c.until_group)))[0][0] or 0)
