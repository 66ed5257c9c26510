"""compact: small data files of a partition become few; what they say stays as it is.

Every night adds files to every partition, and each that a question opens costs it the same, however
few rows it has. `rules.tiers` chooses; rows of a merged file are sorted. A file with half the rows
that a worker may hold at once (`limits.piece_rows`) is left alone, so memory is bounded.

New files of the 資格履歴 have rows of all buckets. What is merged of them, or as large as a full
file, becomes a file for each bucket.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import polars as pl

from koukan import durable
from koukan.engine import rewriting
from koukan.engine.centre import Centre
from koukan.engine.datafiles import Origin, in_time, new_name, origin_of, together
from koukan.engine.rewriting import Replaced
from koukan.engine.steps import commit
from koukan.errors import IntegrityError
from koukan.flows.registration import bucket_frames
from koukan.flows.tables import sorted_by
from koukan.ledger import rewritings
from koukan.rules.tiers import merges, spreads
from koukan.sites import Job
from koukan.tables import encrypted
from koukan.tables.definition import BUCKET, MIXED, SECTION, partition_name
from koukan.tables.table import DataFile


class Merge(NamedTuple):
    """Neighbouring files of one partition that become one, or one for each bucket."""

    table: str
    files: tuple[DataFile, ...]
    origin: Origin
    group: int
    number: int


def run(centre: Centre, job: Job) -> None:
    """Table by table, each in a group of its own, so that a run that is killed has done some."""
    commit.finish_written(centre)
    for name in sorted(centre.tables):
        compact(centre, job, name)


def compact(centre: Centre, job: Job, name: str) -> None:
    """One table."""
    chosen = list(plan(centre, name))
    if not chosen:
        return
    group = rewritings.begin(centre.ledger, rewritings.COMPACT, centre.now())
    centre.observe("grouped", step="compact")
    with centre.log.operation("compact", job=job.name, table=name, group=group.number) as operation:
        items = [
            Merge(name, files, origin, group.number, number)
            for number, (files, origin) in enumerate(chosen)
        ]
        done = []
        for replaced in centre.workers.map(merge, items):
            done.append(replaced)
            centre.observe("wrote", step="compact", done=len(done), total=len(items))
        operation.note(files=sum(len(item.files) for item in items), rows=rows_of(done))
    rewriting.replace(centre, group, done)


def plan(centre: Centre, name: str) -> Iterator[tuple[tuple[DataFile, ...], Origin]]:
    """Files of the table that are to be merged, and what the new ones' names will say."""
    partitions: dict[str, list[DataFile]] = {}
    for file in centre.snapshot(name).files():
        partitions.setdefault(partition_name(file.partition), []).append(file)
    full = -(-centre.site.limits.piece_rows // 2)
    for _, files in sorted(partitions.items()):
        ordered = in_time(files)
        sizes = [(file.rows, origin_of(file).depth) for file in ordered]
        chosen = spreads if files[0].partition.get(BUCKET) == MIXED else merges
        for item in chosen(sizes, full):
            those = tuple(ordered[item.start : item.stop])
            yield those, together(those, item.depth)


def merge(centre: Centre, item: Merge) -> Replaced:
    """Task: write the rows of several files into one, or into one for each bucket."""
    partition = item.files[0].partition
    section = partition.get(SECTION, "")
    table = centre.tables[item.table]
    opened = [table.open_file(file) for file in item.files]
    rows = pl.concat(encrypted.collect_all(opened, path=table.folder))
    if rows.height != sum(file.rows for file in item.files):
        raise IntegrityError("tables.wrong_rows", path=item.files[0].path)
    ordered = rows.sort(sorted_by(item.table, section), maintain_order=True)
    name = new_name(item.group, item.number, item.origin)
    if partition.get(BUCKET) != MIXED:
        return Replaced(item.table, (table.write(partition, ordered, name),), item.files)
    with durable.together():
        written = [
            table.write({**partition, BUCKET: bucket}, frame, name)
            for bucket, frame in bucket_frames(ordered, centre.site.buckets)
        ]
    return Replaced(item.table, tuple(written), item.files)


def rows_of(parts: list[Replaced]) -> int:
    return sum(file.rows for part in parts for file in part.come)
