"""The ledger's database: its transactions, and the questions asked of it.

SQLite in WAL mode with synchronous=FULL; every pragma is read back, since a failed switch raises
nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Select, create_engine, event
from sqlalchemy.engine import Row

from koukan.errors import EnvironmentRefused
from koukan.ledger.migration import lacking, migrate
from koukan.ledger.statements import found

MANY = 500  # values in one statement
NAMED = 3  # things that an error names, of those that are missing
PRAGMAS = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 30_000}


class Database:
    """Opened on a file; `begin` gives the transactions."""

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
