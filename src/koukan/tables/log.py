"""The Delta log of one table: which files make up which version.

delta-rs reads and writes the log and never opens a data file. It is not trusted either: a state is
valid only when the ledger knows the SHA-256 of its commit file and the digest of its files, so that
it does not matter whether it came from commits, a checkpoint, or somebody's pen.

In the log stand paths, sizes, `numRecords` and partition values; the columns do not (`content`
stands for them), as they belong to the definition and to each file's encrypted footer. There is
no time in our actions: nothing here expires by age.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
from deltalake import CommitProperties, DeltaTable, PostCommitHookProperties, Schema
from deltalake.exceptions import CommitFailedError, DeltaError
from deltalake.transaction import AddAction, RemoveAction, Transaction

from koukan import durable
from koukan.errors import TableRefused, TransientError
from koukan.tables.definition import TableDefinition, partition_name

LOG = "_delta_log"
# Loading costs about 0.35 ms a commit since the last checkpoint, writing one 20 ms and more.
CHECKPOINT_EVERY = 32

Look = frozenset[tuple[str, int, int, int]]  # what changes whenever a file of a log is touched
_COMMIT = re.compile(r"\d{20}\.json")
_CONFIGURATION = {
    # No commit file is ever deleted by age: the ledger, orphans and the auditor need them.
    "delta.enableExpiredLogCleanup": "false",
    "delta.dataSkippingNumIndexedCols": "0",
    "koukan.layout": "1",
}


@dataclass(frozen=True)
class Version:
    """A table's state as the ledger keeps it.

    Args:
        number: Delta version.
        commit_hash: SHA-256 of the commit file of that version, hexadecimal.
        files_digest: SHA-256 over the sorted active files (path, size, rows, partition).
    """

    number: int
    commit_hash: str
    files_digest: str


@dataclass(frozen=True)
class DataFile:
    """A data file of a table.

    Args:
        path: relative to the table's folder.
        partition: partition column -> value.
        rows: number of rows.
        size: bytes.
        sha256: of the file as it lies there; empty where it comes from the log, which has it not.
        links: only rows with these link numbers, from first to last, are seen through it; `rows`
            counts all. None: every row.
    """

    path: str
    partition: Mapping[str, str]
    rows: int
    size: int
    sha256: str = field(default="", compare=False)
    links: tuple[int, int] | None = None


@dataclass(frozen=True)
class State:
    """A version as the log tells it, not yet compared with what the ledger knows."""

    delta: DeltaTable
    version: Version
    files: Mapping[str, DataFile]  # by path


def create(folder: Path, definition: TableDefinition) -> None:
    """Write version 0, without files; a table that someone else has just created stays."""
    try:
        DeltaTable.create(
            str(folder),
            _schema(definition),
            mode="ignore",
            partition_by=list(definition.partition_by),
            configuration=_configuration(definition),
            raise_if_key_not_exists=False,
        )
    except (DeltaError, OSError):
        raise TransientError("tables.not_committed", table=definition.name) from None
    make_durable(folder, 0)


def newest(folder: Path, definition: TableDefinition) -> int:
    """The highest version that has a commit file.

    Raises:
        TableRefused: there is none.
    """
    numbers = _numbers(folder)
    if not numbers:
        raise TableRefused("tables.no_table", table=definition.name)
    return max(numbers)


def exists(folder: Path) -> bool:
    """Whether any commit file is there."""
    return bool(_numbers(folder))


def look(folder: Path) -> Look:
    """The log's files as they lie there; nothing of them is read."""
    found = []
    with os.scandir(folder / LOG) as entries:
        for entry in entries:
            state = entry.stat(follow_symlinks=False)
            found.append((entry.name, state.st_size, state.st_mtime_ns, state.st_ino))
    return frozenset(found)


def commit_hash(folder: Path, definition: TableDefinition, number: int) -> str:
    """SHA-256 of a commit file.

    Raises:
        TableRefused: it is not there.
    """
    return hashlib.sha256(_commit(folder, definition, number)).hexdigest()


def transaction_of(folder: Path, definition: TableDefinition, number: int) -> int | None:
    """The transaction that a commit carries for this table; None when it is not exactly one.

    Read from the commit file itself: a checkpoint is nobody's evidence.
    """
    found = [
        action["txn"].get("version")
        for action in _actions(_commit(folder, definition, number), definition, b'"txn"')
        if isinstance(action.get("txn"), dict) and action["txn"].get("appId") == definition.name
    ]
    return found[0] if len(found) == 1 and isinstance(found[0], int) else None


def paths_ever_added(folder: Path, definition: TableDefinition) -> Iterator[str]:
    """Paths of the files that any commit up to the newest has added.

    Raises:
        TableRefused: a commit file is missing, so nobody can tell.
    """
    for number in range(newest(folder, definition) + 1):
        for action in _actions(_commit(folder, definition, number), definition, b'"add"'):
            if isinstance(action.get("add"), dict):
                yield str(action["add"].get("path"))


def load(folder: Path, definition: TableDefinition, number: int) -> State:
    """Read one version.

    Raises:
        TableRefused: the log cannot be read, or is of a table of another definition.
    """
    try:
        delta = DeltaTable(str(folder), version=number)
        metadata = delta.metadata()
        active = pl.DataFrame(delta.get_add_actions(flatten=True))
    except (DeltaError, OSError, ValueError):
        raise TableRefused("tables.log_unreadable", table=definition.name) from None
    configuration = {name: str(value) for name, value in metadata.configuration.items()}
    same = metadata.partition_columns == list(definition.partition_by)
    if not same or configuration != _configuration(definition):
        raise TableRefused("tables.other_definition", table=definition.name)
    files = {file.path: file for file in _data_files(active, definition)}
    version = Version(number, commit_hash(folder, definition, number), files_digest(files.values()))
    return State(delta, version, files)


def append(
    state: State,
    definition: TableDefinition,
    added: Sequence[DataFile],
    removed: Sequence[DataFile],
    transaction: int,
) -> None:
    """Write the commit that follows `state`, and no other: it is never moved onto a newer one.

    Raises:
        TransientError: another commit was faster, or the disk refused.
    """
    actions: list[AddAction | RemoveAction] = [
        RemoveAction(file.path, True, 0, file.size, dict(file.partition)) for file in removed
    ]
    actions += [
        AddAction(
            file.path, file.size, file.partition, 0, True, json.dumps({"numRecords": file.rows})
        )
        for file in added
    ]
    try:
        state.delta.create_write_transaction(
            actions,
            mode="append",
            schema=_schema(definition),
            partition_by=list(definition.partition_by),
            commit_properties=CommitProperties(
                max_commit_retries=0,
                app_transactions=[Transaction(definition.name, transaction)],
            ),
            post_commithook_properties=PostCommitHookProperties(
                create_checkpoint=False, cleanup_expired_logs=False
            ),
        )
    except CommitFailedError:
        raise TransientError("tables.lost_race", table=definition.name) from None
    except (DeltaError, OSError):
        raise TransientError("tables.not_committed", table=definition.name) from None


def checkpoint(state: State, definition: TableDefinition) -> None:
    """Write a checkpoint of a state that was found right, so that loading stays fast.

    Raises:
        TransientError: it could not be written; the commit before it stands.
    """
    try:
        state.delta.create_checkpoint()
    except (DeltaError, OSError):
        raise TransientError("tables.not_committed", table=definition.name) from None


def make_durable(folder: Path, number: int) -> None:
    """delta-rs does not sync; the ledger may name a commit only after this."""
    durable.sync_file(_path(folder, number))
    durable.sync_folder(folder / LOG)


def files_digest(files: Iterable[DataFile]) -> str:
    """SHA-256 over the sorted set of files."""
    lines = sorted(
        f"{file.path}|{file.size}|{file.rows}|{partition_name(file.partition)}\n" for file in files
    )
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _data_files(active: pl.DataFrame, definition: TableDefinition) -> Iterator[DataFile]:
    """The log's files, each in the folder of its partition; anything else is not our log."""
    names = definition.partition_by
    columns = ["path", "num_records", "size_bytes", *(f"partition.{name}" for name in names)]
    if active.is_empty():
        return
    if set(columns) - set(active.columns) or active.select(columns).null_count().row(0) != (
        0,
    ) * len(columns):
        raise TableRefused("tables.log_unreadable", table=definition.name)
    for path, rows, size, *values in active.select(columns).iter_rows():
        partition = dict(zip(names, values, strict=True))
        try:
            definition.check_partition(partition)
        except ValueError:
            raise TableRefused("tables.log_unreadable", table=definition.name) from None
        folder, _, file = path.rpartition("/")
        if folder != definition.folder(partition) or file.startswith("."):
            raise TableRefused("tables.log_unreadable", table=definition.name)
        yield DataFile(path, partition, rows, size)


def _schema(definition: TableDefinition) -> Schema:
    columns = dict.fromkeys(definition.partition_by, pl.String) | {"content": pl.Binary}
    return Schema.from_arrow(pl.Schema(columns))


def _configuration(definition: TableDefinition) -> dict[str, str]:
    buckets = {} if definition.buckets is None else {"koukan.buckets": str(definition.buckets)}
    return {**_CONFIGURATION, "koukan.table": definition.name, **buckets}


def _path(folder: Path, number: int) -> Path:
    return folder / LOG / f"{number:020d}.json"


def _numbers(folder: Path) -> list[int]:
    try:
        names = [path.name for path in (folder / LOG).iterdir()]
    except FileNotFoundError:
        return []
    return [int(name[:20]) for name in names if _COMMIT.fullmatch(name)]


def _commit(folder: Path, definition: TableDefinition, number: int) -> bytes:
    try:
        return _path(folder, number).read_bytes()
    except FileNotFoundError:
        raise TableRefused("tables.commit_missing", table=definition.name, version=number) from None


def _actions(
    content: bytes, definition: TableDefinition, marker: bytes
) -> Iterator[dict[str, dict[str, object]]]:
    """The actions of a commit file whose line contains `marker`."""
    for line in content.splitlines():
        if marker not in line:
            continue
        try:
            action = json.loads(line)
        except ValueError:
            raise TableRefused("tables.log_unreadable", table=definition.name) from None
        if isinstance(action, dict):
            yield action
