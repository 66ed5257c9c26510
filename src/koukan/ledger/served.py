"""What the ledger knows of requests of a system and their answers: flow 4, and flow 2-(5).

Numbers, names, counts, hashes and states; never a number or code of a person.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, Table, func, insert, select, update

from koukan.ledger import served_schema as s
from koukan.ledger.store import Ledger


@dataclass(frozen=True)
class Answer:
    """The answer to one request; see `served_schema`."""

    reception: int
    group_number: int
    sender: str
    name: str
    rows: int
    given: int
    fresh: int
    file_sha256: str
    file_length: int
    file_lines: int | None
    archive_sha256: str | None
    sha256: str | None
    state: str
    erased: bool
    built_at: str
    closed_at: str | None

    @property
    def lines(self) -> int:
        """Lines of the answer file."""
        return self.rows if self.file_lines is None else self.file_lines


@dataclass(frozen=True, eq=False)
class Book:
    """The two tables of one flow; `name` is what its packages are called among others."""

    name: str
    _answers: Table
    _reasons: Table

    def answers(
        self, ledger: Ledger, *, states: Collection[str] | None = None, erased: bool | None = None
    ) -> list[Answer]:
        """In ascending reception."""
        table = self._answers.c
        query = select(self._answers).order_by(table.reception)
        if states is not None:
            query = query.where(table.state.in_(list(states)))
        if erased is not None:
            query = query.where(table.erased == erased)
        return [Answer(**row._mapping) for row in ledger.read(query)]

    def reasons(self, ledger: Ledger) -> list[tuple[int, str, int]]:
        """Reception, code and rows, ascending."""
        table = self._reasons.c
        query = select(self._reasons).order_by(table.reception, table.code)
        return [(row.reception, row.code, row.rows) for row in ledger.read(query)]

    def reason_totals(self, ledger: Ledger) -> dict[str, int]:
        """Rows by code, over all requests."""
        table = self._reasons.c
        total = func.sum(table.rows).label("total")
        query = select(table.code, total).group_by(table.code).order_by(table.code)
        return {row.code: int(row.total) for row in ledger.read(query)}

    def put_answer(
        self, connection: Connection, values: Mapping[str, object], counts: Mapping[str, int]
    ) -> None:
        """An answer that is built, and why its empty rows are empty (code -> rows)."""
        connection.execute(insert(self._answers).values(dict(values)))
        rows = [
            {"reception": values["reception"], "code": code, "rows": count}
            for code, count in sorted(counts.items())
            if count
        ]
        if rows:
            connection.execute(insert(self._reasons), rows)

    def set_answer(self, connection: Connection, reception: int, **values: object) -> None:
        mine = self._answers.c.reception == reception
        connection.execute(update(self._answers).where(mine).values(values))


PMH = Book("pmh", s.pmh_answers, s.pmh_reasons)
DISCLOSURE = Book("disclosure", s.disclosure_answers, s.disclosure_reasons)
BOOKS = (PMH, DISCLOSURE)
