"""A table at one version that the ledger knows: its files, and their rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import polars as pl

from koukan.errors import TableRefused
from koukan.tables import encrypted
from koukan.tables.definition import BUCKET, MIXED, SECTION, bucket_labels, links_of_bucket
from koukan.tables.log import DataFile, Version

if TYPE_CHECKING:
    from koukan.tables.table import Table


@dataclass(frozen=True)
class Snapshot:
    """A table at one version that the ledger knows."""

    table: Table
    version: Version
    _files: Mapping[str, DataFile] = field(repr=False)

    def files(self, **partition_values: str) -> list[DataFile]:
        """The files of the partitions with these values, sorted by path."""
        if set(partition_values) - set(self.table.definition.partition_by):
            raise ValueError("no such partition column")
        wanted = partition_values.items()
        return [file for _, file in sorted(self._files.items()) if wanted <= file.partition.items()]

    def of_bucket(self, label: str, **partition_values: str) -> list[DataFile]:
        """Where a bucket's rows are: its own files, and those with rows of all buckets, of which
        only its own are seen. A row is seen in exactly one bucket.
        """
        own = self.files(**{BUCKET: label}, **partition_values)
        return own + self._seen_in(label, self.files(**{BUCKET: MIXED}, **partition_values))

    def by_bucket(self, **partition_values: str) -> Iterator[tuple[str, list[DataFile]]]:
        """Each bucket's label with its files, see `of_bucket`; those that have any."""
        found: dict[str, list[DataFile]] = {}
        for file in self.files(**partition_values):
            found.setdefault(file.partition[BUCKET], []).append(file)
        mixed = found.pop(MIXED, [])
        for label in bucket_labels(self.table.definition.buckets or 1) if mixed else sorted(found):
            yield label, found.get(label, []) + self._seen_in(label, mixed)

    def _seen_in(self, label: str, mixed: Sequence[DataFile]) -> list[DataFile]:
        """Files with rows of all buckets, as far as they are one bucket's."""
        links = links_of_bucket(label, self.table.definition.buckets or 1)
        return [replace(file, links=links) for file in mixed]

    def scan(self, file: DataFile) -> pl.LazyFrame:
        """One file, lazily; run the query with `encrypted.collect`.

        Raises:
            TableRefused: the file is not what it should be.
        """
        return self.table.open_file(file)

    def read(
        self,
        files: Sequence[DataFile],
        columns: Sequence[str] | None = None,
        *,
        section: str | None = None,
        where: pl.Expr | None = None,
    ) -> pl.DataFrame:
        """Files of one section, one after another in the order given, each in its own order.

        Args:
            columns: only these, in this order.
            where: only rows that this holds of; it may ask for any of the section's columns.
            section: needed when `files` may be empty and the table has sections.

        Raises:
            TableRefused: a file is not what it should be, or was altered.
        """
        sections = {file.partition.get(SECTION, "") for file in files}
        if not sections and section is None and "" in self.table.definition.sections:
            section = ""
        sections |= set() if section is None else {section}
        if len(sections) != 1:
            raise ValueError("read the files of exactly one section")
        types = self.table.definition.sections[sections.pop()]
        chosen = list(types) if columns is None else list(columns)
        empty = pl.DataFrame(schema={name: types[name] for name in chosen})
        scans = (self.scan(file) for file in files)
        lazies = [(scan if where is None else scan.filter(where)).select(chosen) for scan in scans]
        return pl.concat([empty, *self._collect(files, lazies)])

    def rows(self) -> int:
        """The number of rows of the whole table."""
        return sum(file.rows for file in self._files.values())

    def _collect(
        self, files: Sequence[DataFile], lazies: Sequence[pl.LazyFrame]
    ) -> list[pl.DataFrame]:
        try:
            return encrypted.collect_all(lazies, path=self.table.folder)
        except TableRefused:
            # Together they are fast; one by one they tell which it was.
            for file, lazy in zip(files, lazies, strict=True):
                encrypted.collect(lazy, path=self.table.folder / file.path)
            raise
