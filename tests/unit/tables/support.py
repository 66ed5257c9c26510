"""What the tests of tables and the processes they kill have in common."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable
from pathlib import Path

import polars as pl

from koukan.errors import SecretError
from koukan.tables.definition import TableDefinition
from koukan.tables.table import Table, Version

HISTORY = TableDefinition(
    "history",
    ("bucket", "section"),
    {
        "basic": {"link_number": pl.Int64, "name": pl.String, "valid_from": pl.Date},
        "limits": {"link_number": pl.Int64, "kind": pl.String},
    },
    4,
)
BASIC = {"bucket": "2", "section": "basic"}
LIMITS = {"bucket": "2", "section": "limits"}


class FolderKeys:
    """Random keys, one file each: real keys that another process finds again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)

    def partition_key(self, table: str, partition: str) -> tuple[int, bytes]:
        owner = f"{table} {partition} "
        versions = [int(path.name.removeprefix(owner)) for path in self.folder.glob(f"{owner}*")]
        return self._key(owner, max(versions)) if versions else self.renew(table, partition)

    def make_partition_keys(self, table: str, partitions: Iterable[str]) -> None:
        for partition in partitions:
            self.partition_key(table, partition)

    def existing_partition_key(self, table: str, partition: str, version: int) -> bytes:
        try:
            return self._key(f"{table} {partition} ", version)[1]
        except FileNotFoundError:
            raise SecretError("keys.key_absent") from None

    def renew(self, table: str, partition: str) -> tuple[int, bytes]:
        owner = f"{table} {partition} "
        version = 1 + len(list(self.folder.glob(f"{owner}*")))
        handle = os.open(self.folder / f"{owner}{version}", os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_bytes(32))
        (self.folder / f"{owner}{version}").chmod(0o600)
        return self._key(owner, version)

    def _key(self, owner: str, version: int) -> tuple[int, bytes]:
        return version, (self.folder / f"{owner}{version}").read_bytes()


def people(count: int, *, start: int = 0) -> pl.DataFrame:
    numbers = pl.Series("link_number", range(start, start + count), dtype=pl.Int64)
    return numbers.to_frame().with_columns(
        name=pl.lit("交換花子") + pl.col("link_number").cast(pl.String),
        valid_from=pl.date(2024, 4, 1) + pl.duration(days=pl.col("link_number") % 365),
    )


def table_in(folder: Path) -> Table:
    return Table(folder / "history", HISTORY, FolderKeys(folder / "keys"))


def add(table: Table, expected: Version, group: int, *, rows: int = 10, part: int = 0) -> Version:
    """One group with one file."""
    file = table.write(BASIC, people(rows, start=group * 1000), f"g{group}-{part}")
    return table.commit([file], [], transaction=group, expected=expected)
