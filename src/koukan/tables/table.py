"""One table: write files, commit them once, read exactly what the ledger knows.

    files = [table.write(partition, frame, name) for ...]     nobody sees them yet
    version = table.commit(files, [], transaction=group, expected=ledger's version)
    the ledger takes `version` and the group in one transaction
    table.snapshot(version).read(...)

A group that was killed starts again: `complete` tells whether its commit had been made; if not,
the files are written again under the same names and `orphans` finds those that are left over.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import polars as pl

from koukan import durable
from koukan.errors import TableRefused
from koukan.keys.keyring import derive
from koukan.tables import encrypted, log
from koukan.tables.definition import LINK, TableDefinition, key_partition, partition_name
from koukan.tables.log import DataFile, State, Version
from koukan.tables.snapshot import Snapshot

DataType = pl.DataType | type[pl.DataType]

__all__ = ["DataFile", "PartitionKeys", "Table", "Version"]

_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{0,127}")
_FILE = re.compile(r"(?P<name>[0-9A-Za-z][0-9A-Za-z_-]*)\.k(?P<version>[0-9]{1,9})\.parquet")


def _identity(path: Path) -> tuple[int, int, int]:
    """Changes whenever a file is written or replaced."""
    state = path.stat()
    return state.st_size, state.st_mtime_ns, state.st_ino


class PartitionKeys(Protocol):
    """Where the random keys of partitions come from (the keyring)."""

    def partition_key(self, table: str, partition: str) -> tuple[int, bytes]:
        """Version and key (32 bytes) for new files; made when there is none."""
        ...

    def make_partition_keys(self, table: str, partitions: Iterable[str]) -> None:
        """First keys of those partitions that have none, before many files are written."""
        ...

    def existing_partition_key(self, table: str, partition: str, version: int) -> bytes:
        """Key of files of a version; an error when it was destroyed or is not ours."""
        ...


class Table:
    """A table in a folder.

    Args:
        folder: the table's own folder.
        definition: must be the one that the table was created with, but for added columns.
        keys: holds the keys of the partitions that the caller may read or write.
        hashes: the SHA-256 of a file by its path in the table, as the ledger has it; None for a
            path that it does not know. Without it a bit that no reader looks at may differ.
    """

    def __init__(
        self,
        folder: Path,
        definition: TableDefinition,
        keys: PartitionKeys,
        hashes: Callable[[str], str | None] | None = None,
    ) -> None:
        self.folder = folder
        self.definition = definition
        self._keys = keys
        self._hashes = hashes
        self._verified_last: tuple[log.Look, State] | None = None
        self._proven: dict[str, tuple[int, int, int]] = {}  # hash compared in this process
        # written and opened in this process
        self._opened: dict[str, tuple[DataFile, tuple[int, int, int]]] = {}

    def create(self) -> Version:
        """Make the empty table; one that stands untouched at version 0 stays as it is.

        Raises:
            TableRefused: it has commits already, or another definition.
        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        durable.sync_folder(self.folder.parent)
        if not log.exists(self.folder):
            log.create(self.folder, self.definition)
            durable.sync_folder(self.folder)
        state = self._load(self.newest())
        if state.version.number or state.files:
            raise TableRefused("tables.already_used", table=self.definition.name)
        return state.version

    def newest(self) -> int:
        """The number of the newest version, whether the ledger knows it or not."""
        return log.newest(self.folder, self.definition)

    def make_keys(self, partitions: Iterable[Mapping[str, str]]) -> None:
        """Have the keys of new partitions made before many files are written into them.

        The disk is waited for once. `write` makes what is missing, one after another.

        Args:
            partitions: at least the first partition column of each.
        """
        owners = (key_partition(self.definition, values) for values in partitions)
        self._keys.make_partition_keys(self.definition.name, dict.fromkeys(owners))

    def write(self, partition: Mapping[str, str], frame: pl.DataFrame, name: str) -> DataFile:
        """Write one data file, durably; it is part of the table once `commit` names it.

        May be called from any thread or process. A file of the same name is replaced, so ask
        `complete` first whether an earlier attempt has been committed.

        Args:
            partition: partition column -> value.
            frame: columns of the partition's section in any order; those left out are empty. Texts
                of which there are few may come as places in their list, and lie so.
            name: unique in the partition for the table's life, e.g. group and part: "g12-0".
        """
        self.definition.check_partition(partition)
        if not _NAME.fullmatch(name):
            raise ValueError("a data file's name has characters that are not allowed")
        columns = self.definition.columns(partition)
        wrong = [name for name, dtype in frame.schema.items() if columns.get(name) != _plain(dtype)]
        if wrong:
            raise ValueError(f"columns do not fit {self.definition.name}: {sorted(wrong)}")
        owner = key_partition(self.definition, partition)
        version, key = self._keys.partition_key(self.definition.name, owner)
        file = f"{name}.k{version}.parquet"
        path = self.folder / self.definition.folder(partition) / file
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Reading gives a column that a file lacks as empty, so one without any value is not
        # written: most items of the field are empty most of the time.
        held = {item.name: item for item in frame.get_columns()}
        given = [name for name in columns if name in held]
        filled = [name for name in given if held[name].null_count() < frame.height]
        opening = self._file_key(key, partition, file), self._aad(version, partition, file)
        size = encrypted.write(
            path,
            frame[filled or given[:1]],  # without a query: there are many small files
            *opening,
            sync=False,
            searched=self.definition.is_searched(partition),
        )
        durable.sync_file(path)
        durable.sync_folder(path.parent)  # those above it are by `commit`, before the log names it
        relative = path.relative_to(self.folder).as_posix()
        digest = encrypted.sha256(path)
        written = DataFile(relative, dict(partition), frame.height, size, digest)
        # Opened here, where many are written side by side; `commit` looks again only at files that
        # were touched since, or that another process wrote.
        found = encrypted.schema_of(path, *opening, size=size, rows=written.rows)
        self._check_columns(written, found)
        self._opened[relative] = written, _identity(path)
        return written

    def commit(
        self,
        added: Sequence[DataFile],
        removed: Sequence[DataFile],
        *,
        transaction: int,
        expected: Version,
    ) -> Version:
        """Make files visible and others invisible, in one step, exactly once.

        When this transaction's commit stands already, it is checked and returned. The caller
        unlinks the removed files after its ledger transaction.

        Raises:
            TableRefused: the table is not at `expected`, or a file is not what it should be.
            TransientError: another commit was faster; nothing has changed.
        """
        ahead = self._position(expected, transaction)
        base = self._verified(expected)
        target = self._target(base, added, removed)
        self.check_files(added)
        if not ahead:
            self._sync_folders(added)
            log.append(base, self.definition, added, removed, transaction)
        state = self._finish(expected, transaction)
        if state.version.files_digest != log.files_digest(target):
            raise TableRefused("tables.other_commit", table=self.definition.name)
        if not ahead and state.version.number % log.CHECKPOINT_EVERY == 0:
            log.checkpoint(state, self.definition)
        return state.version

    def complete(self, expected: Version, transaction: int) -> Version | None:
        """The version that a killed run of this transaction has committed; None if it has not.

        Raises:
            TableRefused: the table is neither at `expected` nor one ahead by this transaction, or
                an added file is not what it should be.
        """
        ahead = self._position(expected, transaction)
        base = self._verified(expected)
        if not ahead:
            return None
        state = self._finish(expected, transaction)
        kept = state.files.keys() & base.files.keys()
        if any(state.files[path] != base.files[path] for path in kept):
            raise TableRefused("tables.other_commit", table=self.definition.name)
        self.check_files([state.files[path] for path in sorted(state.files.keys() - kept)])
        return state.version

    def snapshot(self, expected: Version, *, ahead_by: int | None = None) -> Snapshot:
        """Open the table at exactly the version that the ledger knows.

        Args:
            ahead_by: transaction of the open group, whose commit may stand on top unread.

        Raises:
            TableRefused: the table stands at another version, or differs from it.
        """
        self._position(expected, ahead_by)
        state = self._verified(expected)
        return Snapshot(self, state.version, state.files)

    def orphans(self, snapshot: Snapshot, *, name_prefix: str) -> list[Path]:
        """Data files with this prefix that no version has ever referred to, sorted.

        They are left from killed attempts of the one group whose names start so; end the prefix
        with a separator ("g12-"), or it is another group's too. Only the holder of the group's
        lease may unlink them.
        """
        if not _NAME.fullmatch(name_prefix):
            raise ValueError("a prefix of file names has characters that are not allowed")
        pattern = "/".join(
            [*(f"{name}=*" for name in self.definition.partition_by), f"{name_prefix}*.parquet"]
        )
        found = {path.relative_to(self.folder).as_posix() for path in self.folder.glob(pattern)}
        found -= {file.path for file in snapshot.files()}
        if found:  # rare, after a kill: only then read all commits
            found.difference_update(log.paths_ever_added(self.folder, self.definition))
        return [self.folder / path for path in sorted(found)]

    def open_file(self, file: DataFile) -> pl.LazyFrame:
        """A file's rows, or those of `file.links`: size, magic, key, number of rows and columns are
        checked.

        Raises:
            TableRefused: the file is not what it should be.
        """
        self._check_hash(file, self.folder / file.path)
        return self._open(file)

    def _open(self, file: DataFile) -> pl.LazyFrame:
        path, key, aad = self.access(file)
        lazy, found = encrypted.opened(path, key, aad, size=file.size, rows=file.rows)
        self._check_columns(file, found)
        rows = lazy.select(
            _column(name, found.get(name), dtype)
            for name, dtype in self.definition.columns(file.partition).items()
        )
        return rows if file.links is None else rows.filter(pl.col(LINK).is_between(*file.links))

    def _check_columns(self, file: DataFile, found: pl.Schema) -> None:
        wanted = self.definition.columns(file.partition)
        if any(wanted.get(name) != _plain(dtype) for name, dtype in found.items()):
            raise TableRefused("tables.wrong_columns", path=encrypted.shown(Path(file.path)))

    def _check_hash(self, file: DataFile, path: Path) -> None:
        """Every bit of a file counts, also those that no reader looks at; once for each process."""
        if self._hashes is None:
            return
        encrypted.check_envelope(path, size=file.size)
        identity = _identity(path)
        if self._proven.get(file.path) == identity:
            return
        if encrypted.sha256(path) != self._hashes(file.path):
            raise TableRefused("tables.wrong_hash", path=encrypted.shown(path))
        self._proven[file.path] = identity

    def access(self, file: DataFile) -> tuple[Path, bytes, str]:
        """Path, key and AAD of a committed file, for `koukan.tables.encrypted`."""
        name = file.path.rpartition("/")[2]
        match = _FILE.fullmatch(name)
        if match is None:
            raise TableRefused("tables.log_unreadable", table=self.definition.name)
        path = self.folder / file.path
        version, owner = int(match["version"]), key_partition(self.definition, file.partition)
        key = self._keys.existing_partition_key(self.definition.name, owner, version)
        return (
            path,
            self._file_key(key, file.partition, name),
            self._aad(version, file.partition, name),
        )

    def check_files(self, files: Sequence[DataFile]) -> None:
        """Open each file and count its rows.

        Raises:
            TableRefused: a file is not what it should be.
        """
        for file in files:
            path = self.folder / file.path
            if path.is_file() and self._opened.get(file.path) == (file, _identity(path)):
                continue
            self.open_file(file)

    def _aad(self, version: int, partition: Mapping[str, str], file: str) -> str:
        return f"v1|{version}|{self.definition.name}|{partition_name(partition)}|{file}"

    def _file_key(self, key: bytes, partition: Mapping[str, str], file: str) -> bytes:
        return derive(key, "table file", self.definition.name, partition_name(partition), file)

    def _load(self, number: int) -> State:
        return log.load(self.folder, self.definition, number)

    def _position(self, expected: Version, transaction: int | None) -> bool:
        """Whether the table is one ahead by `transaction` (True) or exactly at `expected`."""
        newest = self.newest()
        table = self.definition.name
        if newest < expected.number:
            raise TableRefused("tables.older", table=table, version=newest, known=expected.number)
        ahead = newest == expected.number + 1 and transaction is not None
        if ahead and log.transaction_of(self.folder, self.definition, newest) == transaction:
            return True
        if newest != expected.number:
            raise TableRefused("tables.newer", table=table, version=newest, known=expected.number)
        return False

    def _verified(self, expected: Version) -> State:
        """The state of a version, loaded again only when any file of the log was touched since."""
        look = log.look(self.folder)
        last = self._verified_last
        if last is not None and (last[0], last[1].version) == (look, expected):
            return last[1]
        state = self._load(expected.number)
        if state.version != expected:
            raise TableRefused(
                "tables.altered", table=self.definition.name, version=expected.number
            )
        self._verified_last = look, state
        return state

    def _target(
        self, base: State, added: Sequence[DataFile], removed: Sequence[DataFile]
    ) -> Collection[DataFile]:
        """The files after the commit; a mistake of the caller crashes."""
        for file in added:
            self.definition.check_partition(file.partition)
        new = {file.path: file for file in added}
        if len(new) != len(added) or new.keys() & base.files.keys():
            raise ValueError("a file is added twice")
        if any(base.files.get(file.path) != file for file in removed):
            raise ValueError("a file that is not in the table cannot be removed")
        gone = {file.path for file in removed}
        if len(gone) != len(removed):
            raise ValueError("a file is removed twice")
        return [file for path, file in {**base.files, **new}.items() if path not in gone]

    def _finish(self, expected: Version, transaction: int) -> State:
        """Read the commit that follows `expected` back and make it durable."""
        number = expected.number + 1
        if log.transaction_of(self.folder, self.definition, number) != transaction:
            raise TableRefused("tables.other_commit", table=self.definition.name)
        state = self._load(number)
        log.make_durable(self.folder, number)
        return state

    def _sync_folders(self, files: Iterable[DataFile]) -> None:
        """The names of new partition folders; each file's own folder was synced with the file."""
        partitions = {Path(file.path).parent for file in files}
        for folder in {parent for partition in partitions for parent in partition.parents}:
            durable.sync_folder(self.folder / folder)


def _plain(dtype: DataType) -> DataType:
    """The type that a column has for readers: codes may lie as places in their list."""
    return pl.String() if isinstance(dtype, pl.Enum) else dtype


def _column(name: str, found: DataType | None, wanted: DataType) -> pl.Expr:
    """A column of a file as readers have it; one that the file lacks has no values."""
    if found is None:
        return pl.lit(None, dtype=wanted).alias(name)
    return pl.col(name) if found == wanted else pl.col(name).cast(wanted)
