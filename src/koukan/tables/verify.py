"""Look at every file of a table with two readers. Reads all, changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from koukan import durable
from koukan.errors import TableRefused
from koukan.tables import encrypted
from koukan.tables.log import LOG, DataFile, Version
from koukan.tables.snapshot import Snapshot
from koukan.tables.table import Table


class Finding(NamedTuple):
    """Something is not as it should be.

    Args:
        path: file inside the table's folder, or the log.
        problem: key of the word catalogue.
    """

    path: str
    problem: str


def verify(table: Table, expected: Version, *, ahead_by: int | None = None) -> Iterator[Finding]:
    """Compare a table with what the ledger knows, file by file; nothing is yielded for a sound one.

    Each file needs its size, its magic, its rows and the same content from both readers; each file
    in the folder must belong to the version. Memory holds two copies of the largest file. What a
    group has written but not yet committed shows as unknown or temporary, so run it under an
    exclusive lease.
    """
    try:
        snapshot = table.snapshot(expected, ahead_by=ahead_by)
    except TableRefused as refused:
        yield Finding(LOG, refused.key)
        return
    for file in snapshot.files():
        problem = _problem(snapshot, file)
        if problem is not None:
            yield Finding(file.path, problem)
    yield from _strangers(table, {file.path for file in snapshot.files()})


def _problem(snapshot: Snapshot, file: DataFile) -> str | None:
    path, key, aad = snapshot.table.access(file)
    try:
        snapshot.scan(file)
        first = encrypted.read(path, key, aad, size=file.size, rows=file.rows)
        second = encrypted.read_with_pyarrow(path, key, aad)
    except TableRefused as refused:
        return refused.key
    same = first.schema == second.schema and first.equals(second, null_equal=True)
    return None if same else "tables.readers_differ"


def _strangers(table: Table, known: set[str]) -> Iterator[Finding]:
    for path in sorted(table.folder.rglob("*")):
        relative = path.relative_to(table.folder)
        if relative.parts[0] == LOG or relative.as_posix() in known:
            continue
        if path.is_symlink() or not path.is_dir():
            temporary = path.name.startswith(durable.TEMPORARY)
            yield Finding(
                relative.as_posix(),
                "tables.temporary_file" if temporary else "tables.unknown_file",
            )
