"""The counterpart's own state: what was taken, what is due when, and what was laid; durable.

A request is known when one transaction says so, and only then leaves the outbox; its answers lie
ready as files before that. An answer file gets its number in a transaction before it is laid, and
is laid under another name first. So a run that is killed anywhere goes on from there when it is
called again, and numbers have no gaps.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import polars as pl
from fixed_width import Head, Refused, answer_name, control_record, end_record, write_records

SCHEMA = """
CREATE TABLE IF NOT EXISTS tick (number INTEGER PRIMARY KEY, ended INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS request (
  name TEXT PRIMARY KEY, sha256 TEXT NOT NULL, head TEXT NOT NULL, expected TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS answer (
  request TEXT NOT NULL, part INTEGER NOT NULL, due INTEGER NOT NULL, rows INTEGER NOT NULL,
  sequence INTEGER UNIQUE, laid INTEGER NOT NULL, PRIMARY KEY (request, part)
);
"""
PART = ".part"
BLOCK = 1 << 20


class Busy(Exception):
    """Another run has the state."""


def sync(path: Path) -> None:
    """Make a file's content, or a folder's names, durable."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def hash_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class State:
    """One folder, for one run at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.answers = folder, folder / "answers"
        self.answers.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise Busy from None
        self._db = sqlite3.connect(folder / "state.sqlite", isolation_level=None)
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.executescript(SCHEMA)

    def close(self) -> None:
        self._db.close()
        os.close(self._lock)

    def _one(self, query: str, *values: object) -> Any:
        """The first row's first column, or None."""
        with closing(self._db.execute(query, values)) as found:
            row = found.fetchone()
        return None if row is None else row[0]

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    # --- ticks

    def last_tick(self) -> int:
        """The last one that ended; 0 before the first."""
        return self._one("SELECT max(number) FROM tick WHERE ended = 1") or 0

    def begin(self, tick: int) -> None:
        self._db.execute("INSERT OR IGNORE INTO tick VALUES (?, 0)", (tick,))

    def end(self, tick: int) -> None:
        self._db.execute("UPDATE tick SET ended = 1 WHERE number = ?", (tick,))

    # --- requests

    def hash_of_request(self, name: str) -> str | None:
        found = self._one("SELECT sha256 FROM request WHERE name = ?", name)
        return None if found is None else str(found)

    def ready(self, request: str, part: int, blocks: Iterable[pl.DataFrame]) -> int:
        """Write an answer file, all of it but its first line; repeated at will. Its rows."""
        path = self._path(request, part)
        with path.open("wb") as file:
            rows = write_records(file, blocks)
            file.write(end_record(rows))
        sync(path)
        return rows

    def know(
        self,
        request: Path,
        sha256: str,
        head: Head,
        expected: dict[str, Any],
        parts: list[tuple[int, int]],
    ) -> None:
        """From here on the request is known, and its file is needed no more.

        Args:
            parts: tick and rows of each answer file, whose lines are `ready`.
        """
        sync(self.answers)
        told = (request.name, sha256, json.dumps(asdict(head)), json.dumps(expected))
        with self._transaction():
            self._db.execute("INSERT INTO request VALUES (?, ?, ?, ?)", told)
            self._db.executemany(
                "INSERT INTO answer VALUES (?, ?, ?, ?, NULL, 0)",
                [(request.name, part, due, rows) for part, (due, rows) in enumerate(parts)],
            )

    def expected(self) -> list[dict[str, Any]]:
        """What each known request must come to."""
        with closing(self._db.execute("SELECT expected FROM request ORDER BY name")) as found:
            return [json.loads(row[0]) for row in found]

    # --- answers

    def number(self, tick: int) -> None:
        """Give the files that are due their sequence numbers, in order."""
        with self._transaction():
            last = self._one("SELECT max(sequence) FROM answer") or 0
            due = self._db.execute(
                "SELECT request, part FROM answer WHERE sequence IS NULL AND due <= ?"
                " ORDER BY due, request, part",
                (tick,),
            ).fetchall()
            self._db.executemany(
                "UPDATE answer SET sequence = ? WHERE request = ? AND part = ?",
                [(last + place, *key) for place, key in enumerate(due, 1)],
            )

    def lay(self, inbox: Path) -> tuple[int, int]:
        """Lay every numbered file that is not yet laid; files and rows."""
        query = (
            "SELECT answer.request, part, rows, sequence, head FROM answer"
            " JOIN request ON request.name = answer.request"
            " WHERE sequence IS NOT NULL AND laid = 0 ORDER BY sequence"
        )
        files = rows = 0
        for request, part, count, sequence, head in self._db.execute(query).fetchall():
            self._lay_one(inbox, self._path(request, part), Head(**json.loads(head)), sequence)
            self._db.execute("UPDATE answer SET laid = 1 WHERE sequence = ?", (sequence,))
            files, rows = files + 1, rows + count
        self._tidy()
        return files, rows

    def _lay_one(self, inbox: Path, source: Path, head: Head, sequence: int) -> None:
        final = inbox / answer_name(sequence)
        part = final.with_name(final.name + PART)
        with source.open("rb") as lines, part.open("wb") as file:
            file.write(control_record(head, sequence))
            shutil.copyfileobj(lines, file, BLOCK)
        sync(part)
        os.replace(part, final)
        sync(inbox)

    def _tidy(self) -> None:
        """Remove lines that are laid, and those of a request that was never known."""
        with closing(self._db.execute("SELECT request, part FROM answer WHERE laid = 0")) as found:
            needed = {self._path(request, part).name for request, part in found}
        for path in self.answers.iterdir():
            if path.name not in needed:
                path.unlink()
        sync(self.answers)

    def waiting(self) -> int:
        """Files that are planned and not yet laid."""
        return int(self._one("SELECT count(*) FROM answer WHERE laid = 0"))

    def _path(self, request: str, part: int) -> Path:
        return self.answers / f"{request}.{part}"


def take_away(path: Path, sha256: str) -> None:
    """Remove a request that is known from the outbox.

    Raises:
        Refused: another content lies there under its name.
    """
    if hash_of(path) != sha256:
        raise Refused("another content under a name that was taken before")
    path.unlink()
    sync(path.parent)
