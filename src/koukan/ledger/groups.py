"""Groups in the ledger: receptions that are worked on together, what they add, and the tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, insert, select, update
from sqlalchemy.dialects.sqlite import insert as upsert
from sqlalchemy.engine import Row

from koukan.ledger import schema as s
from koukan.ledger.database import Database
from koukan.ledger.receptions import Reception
from koukan.ledger.statements import FILE_HASH, change


@dataclass(frozen=True)
class Group:
    """Receptions that are validated, linked and committed together."""

    number: int
    format: str
    state: str
    attempt: int
    members: tuple[tuple[int, int], ...]  # (reception, first counter of its range), ascending


@dataclass(frozen=True)
class TableVersion:
    """The version of a table that counts; anything else is refused."""

    name: str
    number: int
    commit_hash: str
    files_digest: str


class Groups(Database):
    """Every state change of a group is one transaction."""

    def form_group(self, form: str, chosen: list[Reception], at: str) -> int:
        """Name a group and its members, and set aside the counters that they may issue from."""
        with self.begin() as connection:
            number = int(connection.execute(select(func.max(s.groups.c.number))).scalar() or 0) + 1
            row = {"number": number, "format": form, "state": "open", "attempt": 0, "formed_at": at}
            connection.execute(insert(s.groups).values(row))
            query = select(s.counters.c.next).where(s.counters.c.name == "issued")
            start = int(connection.execute(query).scalar() or 0)
            members = []
            for reception in chosen:
                members.append(
                    {"group_number": number, "reception": reception.number, "start": start}
                )
                start += reception.rows
            if members:  # what compacts tables has none
                connection.execute(insert(s.members), members)
                owned = [{"group_number": number, "this": item["reception"]} for item in members]
                connection.execute(change(("group_number",)), owned)
            row_ = upsert(s.counters).values(name="issued", next=start)
            connection.execute(
                row_.on_conflict_do_update(index_elements=["name"], set_={"next": start})
            )
        return number

    def open_groups(self) -> list[Group]:
        return [
            self.group(row.number)
            for row in self.read(
                select(s.groups.c.number)
                .where(s.groups.c.state != "committed")
                .order_by(s.groups.c.number)
            )
        ]

    def group(self, number: int) -> Group:
        row = self.read(select(s.groups).where(s.groups.c.number == number))[0]
        query = select(s.members.c.reception, s.members.c.start)
        query = query.where(s.members.c.group_number == number).order_by(s.members.c.reception)
        chosen = tuple((found.reception, found.start) for found in self.read(query))
        return Group(row.number, row.format, row.state, row.attempt, chosen)

    def new_attempt(self, number: int) -> int:
        """Count a (re)start of a group's work: file names of older attempts are never reused."""
        with self.begin() as connection:
            changed = update(s.groups).where(s.groups.c.number == number)
            connection.execute(changed.values(attempt=s.groups.c.attempt + 1))
            query = select(s.groups.c.attempt).where(s.groups.c.number == number)
            return int(connection.execute(query).scalar_one())

    @staticmethod
    def set_group(connection: Connection, number: int, state: str) -> None:
        changed = update(s.groups).where(s.groups.c.number == number)
        connection.execute(changed.values(state=state))

    @staticmethod
    def put_group_files(
        connection: Connection, number: int, files: Iterable[Mapping[str, object]]
    ) -> None:
        """Name what a group adds to the tables (name, path, partition, rows, size, sha256)."""
        rows = [{"group_number": number, **values} for values in files]
        if rows:
            connection.execute(insert(s.group_files), rows)

    def file_hash(self, name: str, path: str) -> str | None:
        """SHA-256 of a table's data file; None for one that no group has named."""
        found = self.found(FILE_HASH, {"name": name, "path": path})
        return str(found[-1]["sha256"]) if found else None

    def group_files(self, number: int) -> list[Row[Any]]:
        table = s.group_files.c
        query = select(s.group_files).where(table.group_number == number)
        return self.read(query.order_by(table.name, table.path))

    # --- tables

    def table_versions(self) -> dict[str, TableVersion]:
        found = self.read(select(s.table_versions))
        return {row.name: TableVersion(**row._mapping) for row in found}

    @staticmethod
    def put_table_version(connection: Connection, version: TableVersion) -> None:
        values = vars(version)
        changed = {name: value for name, value in values.items() if name != "name"}
        row = upsert(s.table_versions).values(values)
        connection.execute(row.on_conflict_do_update(index_elements=["name"], set_=changed))
