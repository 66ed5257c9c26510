"""Receptions in the ledger: the files that came, how far each is, and what was counted of them."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import Connection, func, select
from sqlalchemy.dialects.sqlite import insert as upsert
from sqlalchemy.engine import Row

from koukan.errors import UsageError
from koukan.ledger import schema as s
from koukan.ledger.database import MANY, Database
from koukan.ledger.statements import (
    COUNTS,
    COUNTS_GONE,
    FINDINGS,
    FINDINGS_GONE,
    NEWEST,
    RECEPTION,
    SEQUENCE,
    change,
    done,
    like,
)


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


def _reception(row: Row[Any] | Mapping[str, Any]) -> Reception:
    values = dict(row if isinstance(row, Mapping) else row._mapping)
    values["cuts"] = tuple((offset, rows) for offset, rows in json.loads(values["cuts"]))
    values["remarks"] = tuple(values["remarks"].split())
    return Reception(**values)


def _counts(row: Row[Any] | Mapping[str, Any]) -> Counts:
    values = row if isinstance(row, Mapping) else row._mapping
    return Counts(**{name: values[name] for name in COUNTED})


COUNTED = tuple(item.name for item in fields(Counts))


class Receptions(Database):
    """Every state change of a reception is one transaction."""

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
