"""The ledger's one way in: every state change of a reception or a group is one transaction.

SQLite in WAL mode with synchronous=FULL (every pragma is read back, since a failed switch raises
nothing); another database by URL for sites with several batch hosts.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Connection,
    Engine,
    Select,
    create_engine,
    event,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.dialects.sqlite import insert as upsert
from sqlalchemy.engine import Row

from koukan.errors import EnvironmentRefused, UsageError
from koukan.ledger import schema as s
from koukan.ledger.migration import lacking, migrate
from koukan.ledger.statements import (
    COUNTS,
    COUNTS_GONE,
    FILE_HASH,
    FINDINGS,
    FINDINGS_GONE,
    LAID_OUT,
    NEWEST,
    RECEPTION,
    SEQUENCE,
    change,
    done,
    found,
    like,
)

MANY = 500  # values in one statement
NAMED = 3  # things that an error names, of those that are missing
PRAGMAS = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 30_000}


@dataclass(frozen=True)
class Reception:
    """One received file (受付) as the ledger knows it; see `schema.receptions`."""

    number: int
    job: str
    format: str
    definition: str
    rights: str
    sender: str
    door: str
    file_name: str
    sequence: int
    sha256: str
    length: int
    original: str
    received_at: str
    state: str
    outcome: str | None
    code: str | None
    line: int
    reason: str | None
    first: int | None
    rows: int
    cuts: tuple[tuple[int, int], ...]
    group_number: int | None
    result_sha256: str | None
    result_lines: int | None
    told: str | None
    told_at: str | None
    expects: int | None
    admitted_at: str | None
    judged_at: str | None
    closed_at: str | None
    original_erased: bool
    policy: str
    remarks: tuple[str, ...]

    @property
    def message(self) -> str:
        """What its sender is to be told: how it ended, or how far it is."""
        return f"{self.outcome or self.state} {self.code or ''}".strip()

    @property
    def is_told(self) -> bool:
        return self.told == self.message


@dataclass(frozen=True)
class Counts:
    """Lines of one insurer in one reception; received = accepted + rejected + duplicate + held."""

    insurer: str
    first_line: int = 0
    received: int = 0
    accepted: int = 0
    rejected: int = 0
    duplicate: int = 0
    held: int = 0

    @property
    def balanced(self) -> bool:
        return self.received == self.accepted + self.rejected + self.duplicate + self.held


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


def _reception(row: Row[Any] | Mapping[str, Any]) -> Reception:
    values = dict(row if isinstance(row, Mapping) else row._mapping)
    values["cuts"] = tuple((offset, rows) for offset, rows in json.loads(values["cuts"]))
    values["remarks"] = tuple(values["remarks"].split())
    return Reception(**values)


def _counts(row: Row[Any] | Mapping[str, Any]) -> Counts:
    values = row if isinstance(row, Mapping) else row._mapping
    return Counts(**{name: values[name] for name in COUNTED})


COUNTED = tuple(item.name for item in fields(Counts))


class Ledger:
    """Opened on a database URL or file; `begin` gives the transactions."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._engine: Engine = create_engine(f"sqlite:///{path}")
        event.listen(self._engine, "connect", self._pragmas)
        event.listen(self._engine, "begin", self._begin)
        self._writing = self._engine.execution_options(writes=True)
        self._own = threading.local()  # `connection` of the thread's `together` block

    @staticmethod
    def _pragmas(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # transactions are begun by us, not by the driver
        cursor = connection.cursor()
        for name, value in PRAGMAS.items():
            cursor.execute(f"PRAGMA {name}={value}")
            found = cursor.execute(f"PRAGMA {name}").fetchone()
            if found is None or found[0] != value:
                raise EnvironmentRefused("ledger.pragma", path=name)
        cursor.close()

    @staticmethod
    def _begin(connection: Connection) -> None:
        # A writer takes its lock at once; a reader sees one state and stands in nobody's way.
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    def create(self) -> list[str]:
        """Make the tables and columns that are not there yet; see `migration.migrate`."""
        with self.begin() as connection:
            return migrate(connection)

    def require_whole(self) -> None:
        """Raises EnvironmentRefused for a ledger that an earlier koukan made."""
        with self._engine.connect() as connection:
            missing = lacking(connection)
        if missing:
            raise EnvironmentRefused("ledger.earlier", known=" ".join(missing[:NAMED]))

    def close(self) -> None:
        self._engine.dispose()

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """One writing transaction: all of it or nothing. Read before it, not inside it."""
        shared = getattr(self._own, "connection", None)
        if shared is not None:
            yield shared
            return
        with self._writing.begin() as connection:
            yield connection

    @contextmanager
    def together(self) -> Iterator[None]:
        """All transactions that this thread begins in the block are one: durable at its end.

        For many small ones that may be lost together. Whoever reads in the block sees them; what
        fails in one of them must end the block.
        """
        with self.begin() as connection:
            outer = getattr(self._own, "connection", None)
            self._own.connection = connection
            try:
                yield
            finally:
                self._own.connection = outer

    def read(
        self, query: Select[Any], parameters: Mapping[str, object] | None = None
    ) -> list[Row[Any]]:
        """The rows of a query over `koukan.ledger.schema`: for reports."""
        shared = getattr(self._own, "connection", None)
        if shared is not None:
            return list(shared.execute(query, parameters))
        with self._engine.connect() as connection:
            return list(connection.execute(query, parameters))

    def found(self, query: Select[Any], values: Mapping[str, object]) -> list[dict[str, Any]]:
        """The rows of a query of `statements`, which is asked for every file."""
        shared = getattr(self._own, "connection", None)
        if shared is not None:
            return found(shared, query, values)
        with self._engine.connect() as connection:
            return found(connection, query, values)

    # --- receptions

    def receptions(
        self,
        *,
        state: str | None = None,
        outcome: str | None = None,
        sender: str | None = None,
        formats: Collection[str] | None = None,
    ) -> list[Reception]:
        """In ascending number."""
        query = select(s.receptions).order_by(s.receptions.c.number)
        if formats is not None:
            query = query.where(s.receptions.c.format.in_(list(formats)))
        for column, value in (("state", state), ("outcome", outcome), ("sender", sender)):
            if value is not None:
                query = query.where(s.receptions.c[column] == value)
        return [_reception(row) for row in self.read(query)]

    def reception(self, number: int) -> Reception:
        rows = self.found(like(s.receptions, ("number",)), {"number": number})
        if not rows:
            raise UsageError("ledger.no_reception", reception=number)
        return _reception(rows[0])

    def receptions_of(self, numbers: Sequence[int]) -> list[Reception]:
        """Those that there are of some receptions, in ascending number."""
        found = []
        for at in range(0, len(numbers), MANY):
            some = s.receptions.c.number.in_(numbers[at : at + MANY])
            found += self.read(select(s.receptions).where(some))
        return sorted(map(_reception, found), key=lambda reception: reception.number)

    def add_reception(self, values: Mapping[str, object]) -> int:
        """Number a new file; the number is given in the transaction that makes it known."""
        with self.begin() as connection:
            newest = connection.execute(NEWEST).scalar()
            number = int(newest or 0) + 1
            connection.execute(RECEPTION, {"state": "picked_up", **values, "number": number})
        return number

    def earlier(self, reception: Reception | None = None, **values: object) -> list[Reception]:
        """Receptions before this one with these values in its columns, newest last."""
        rows = self.found(like(s.receptions, tuple(values)), values)
        known = sorted(map(_reception, rows), key=lambda earlier: earlier.number)
        if reception is not None:
            known = [earlier for earlier in known if earlier.number < reception.number]
        return known

    def untold(self) -> list[Reception]:
        """Receptions whose sender has not been told their present outcome."""
        table = s.receptions.c
        message = func.rtrim(table.outcome + " " + func.coalesce(table.code, ""))
        query = select(s.receptions).where(
            table.outcome.is_(None) | table.told.is_(None) | (table.told != message)
        )
        return [_reception(row) for row in self.read(query.order_by(table.number))]

    def closed_unerased(self) -> list[Reception]:
        """Receptions with a final outcome whose original is still kept."""
        table = s.receptions.c
        query = select(s.receptions).where(table.state == "closed", ~table.original_erased)
        return [_reception(row) for row in self.read(query.order_by(table.number))]

    def newest(self) -> int:
        """The highest 受付番号, 0 before the first."""
        return int(self.read(select(func.max(s.receptions.c.number)))[0][0] or 0)

    def originals(self) -> set[str]:
        """Names of the sealed originals that must be there."""
        table = s.receptions.c
        return {row[0] for row in self.read(select(table.original).where(~table.original_erased))}

    @staticmethod
    def set(connection: Connection, number: int, **values: object) -> None:
        """Change columns of one reception."""
        done(connection, change(tuple(values)), {**values, "this": number})

    def note_lot(self, lot: int) -> None:
        """Before copies of a lot are made: only its names may be found without a reception."""
        with self.begin() as connection:
            row = upsert(s.counters).values(name="lot", next=lot)
            connection.execute(
                row.on_conflict_do_update(index_elements=["name"], set_={"next": lot})
            )

    def lot(self) -> int | None:
        """The lot that was noted last."""
        found = self.read(select(s.counters.c.next).where(s.counters.c.name == "lot"))
        return int(found[0][0]) if found else None

    # --- counts

    def counts(self, number: int) -> list[Counts]:
        """By insurer."""
        rows = self.found(like(s.insurer_counts, ("reception",)), {"reception": number})
        return sorted(map(_counts, rows), key=lambda item: item.insurer)

    def counts_of(self, numbers: Sequence[int]) -> list[Counts]:
        """Of some receptions."""
        found: list[Row[Any]] = []
        for at in range(0, len(numbers), MANY):
            some = s.insurer_counts.c.reception.in_(numbers[at : at + MANY])
            found += self.read(select(s.insurer_counts).where(some))
        return [_counts(row) for row in found]

    @staticmethod
    def put_counts(connection: Connection, number: int, counts: Iterable[Counts]) -> None:
        """Replace the counts of a reception."""
        done(connection, COUNTS_GONE, {"reception": number})
        done(connection, COUNTS, *({"reception": number, **vars(item)} for item in counts))

    def findings(self, number: int) -> list[tuple[str, str, int]]:
        """(insurer, code, lines) in ascending order."""
        rows = self.found(like(s.finding_counts, ("reception",)), {"reception": number})
        return sorted((row["insurer"], row["code"], row["count"]) for row in rows)

    @staticmethod
    def put_findings(
        connection: Connection, number: int, told: Iterable[tuple[str, str, int]]
    ) -> None:
        done(connection, FINDINGS_GONE, {"reception": number})
        names = ("insurer", "code", "count")
        rows = [{"reception": number, **dict(zip(names, row, strict=True))} for row in told]
        done(connection, FINDINGS, *rows)

    # --- sequence numbers

    def next_sequence(self, sender: str, form: str) -> int:
        key = {"sender": sender, "format": form}
        rows = self.found(like(s.sequences, tuple(key)), key)
        return int(rows[0]["next"]) if rows else 1

    @staticmethod
    def put_sequence(connection: Connection, sender: str, form: str, following: int) -> None:
        done(connection, SEQUENCE, {"sender": sender, "format": form, "next": following})

    # --- groups

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

    # --- outboxes

    def laid_out(self, number: int | None = None) -> list[Row[Any]]:
        """Files put into outboxes: reception, kind, sender, name, sha256, lines."""
        query = select(s.laid_out).order_by(s.laid_out.c.reception, s.laid_out.c.kind)
        if number is not None:
            query = query.where(s.laid_out.c.reception == number)
        return self.read(query)

    @staticmethod
    def put_laid_out(connection: Connection, values: Mapping[str, object]) -> None:
        done(connection, LAID_OUT, values)

    # --- jobs

    def last_due(self, job: str, until: str) -> str | None:
        """The last due time up to one: later ones are those of a clock that was wrong."""
        query = select(func.max(s.job_runs.c.due)).where(s.job_runs.c.job == job)
        query = query.where(s.job_runs.c.due <= until)
        found = self.read(query)[0][0]
        return None if found is None else str(found)

    def put_job_run(self, job: str, due: str, finished_at: str, seconds: float, exit_: int) -> None:
        values = {"finished_at": finished_at, "seconds": seconds, "exit": exit_}
        with self.begin() as connection:
            row = upsert(s.job_runs).values(job=job, due=due, **values)
            connection.execute(
                row.on_conflict_do_update(index_elements=["job", "due"], set_=values)
            )

    def job_runs(self, limit: int = 20) -> list[Row[Any]]:
        return self.read(select(s.job_runs).order_by(s.job_runs.c.due.desc()).limit(limit))

    # --- leases

    def note_lease(self, name: str, holder: str, since: str) -> None:
        """For `status` only: what excludes others is the lock that the holder's process has."""
        with self.begin() as connection:
            row = upsert(s.leases).values(name=name, holder=holder, since=since)
            changed = {"holder": holder, "since": since}
            connection.execute(row.on_conflict_do_update(index_elements=["name"], set_=changed))

    def leases(self) -> list[Row[Any]]:
        return self.read(select(s.leases).order_by(s.leases.c.name))

    # --- erasures

    def erasures(self) -> list[Row[Any]]:
        return self.read(select(s.erasures).order_by(s.erasures.c.what, s.erasures.c.number))

    @staticmethod
    def put_erasure(connection: Connection, values: Mapping[str, object]) -> None:
        connection.execute(upsert(s.erasures).values(values).on_conflict_do_nothing())
