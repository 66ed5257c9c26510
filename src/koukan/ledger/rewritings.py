"""Groups that write rows anew: no receptions, files that come, and files that go.

open        nothing is known but the number: what it wrote is removed
written     its files are named, those that come (`group_file`) and those that go
replaced    the tables' versions are those without the files that go, which may still lie there
committed   they are gone
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, func, insert, select
from sqlalchemy.engine import Row

from koukan.ledger import schema as s
from koukan.ledger.groups import Group
from koukan.ledger.store import Ledger

COMPACT, FORGET = "compact", "forget"  # what stands for a format in such a group
TAKING = (COMPACT, FORGET)
WANT, ASK = "want_codes", "ask_codes"  # 機関別符号: files come, none goes
KINDS = (*TAKING, WANT, ASK)


def begin(ledger: Ledger, kind: str, at: str) -> Group:
    """A new group."""
    return ledger.group(ledger.form_group(kind, [], at))


def unfinished(ledger: Ledger) -> list[Group]:
    """What killed runs have left, in ascending number."""
    return [group for group in ledger.open_groups() if group.format in KINDS]


def put_removals(
    connection: Connection, number: int, files: Iterable[Mapping[str, object]]
) -> None:
    """Name the files that a group takes away (name, path, partition, rows, size)."""
    rows = [{"group_number": number, **values} for values in files]
    if rows:
        connection.execute(insert(s.group_removals), rows)


def removals(ledger: Ledger, number: int) -> list[Row[Any]]:
    """Files that a group takes away, in the order of their paths."""
    table = s.group_removals.c
    query = select(s.group_removals).where(table.group_number == number)
    return ledger.read(query.order_by(table.name, table.path))


def removed_hashes(ledger: Ledger, number: int) -> list[tuple[str, str, str]]:
    """Table, path and SHA-256 of the files that a group takes away."""
    gone, come = s.group_removals.c, s.group_files.c
    same = (gone.name == come.name) & (gone.path == come.path)
    query = select(come.name, come.path, come.sha256).where(same, gone.group_number == number)
    return [(row.name, row.path, row.sha256) for row in ledger.read(query)]


def put_forgotten(
    connection: Connection, number: int, counts: Iterable[Mapping[str, object]]
) -> None:
    """Count the rows that a group takes away for good (what, reception, insurer, rows)."""
    rows = [{"group_number": number, **values} for values in counts]
    if rows:
        connection.execute(insert(s.forgotten), rows)


def forgotten(ledger: Ledger, number: int) -> list[Row[Any]]:
    """The rows that a group takes away for good, by table, reception and insurer."""
    table = s.forgotten.c
    query = select(s.forgotten).where(table.group_number == number)
    return ledger.read(query.order_by(table.what, table.reception, table.insurer))


def forgetting(ledger: Ledger, what: str | None = None) -> list[int]:
    """Groups that took rows away for good, and are at their end; ascending.

    Args:
        what: only those that took rows of this kind.
    """
    table, rows = s.groups.c, select(s.forgotten.c.group_number)
    if what is not None:
        rows = rows.where(s.forgotten.c.what == what)
    query = select(table.number).where(table.number.in_(rows), table.state == "committed")
    return [int(row[0]) for row in ledger.read(query.order_by(table.number))]


def newest(ledger: Ledger) -> int:
    """The last group that took files away; 0 before the first."""
    table = s.groups.c
    gone = table.format.in_(TAKING) & table.state.in_(("replaced", "committed"))
    return int(ledger.read(select(func.max(table.number)).where(gone))[0][0] or 0)
