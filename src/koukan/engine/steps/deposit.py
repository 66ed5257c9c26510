"""deposit: insurers' lines about their copies (副本) go into their own partitions.

Flow 2-(4). Each line names a member of the insurer by 被保険者枝番; what it may say depends on
whether such a copy stands. Order: data files of `replica_partition` and the results, sealed; then
the ledger names them (group `written`); then the table's commit.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import NamedTuple

import polars as pl

from koukan import durable
from koukan.engine import copies, singly
from koukan.engine.centre import Centre
from koukan.engine.groups import Chunk, receptions_of, relieve, stage_of
from koukan.engine.rendering import render, renderings
from koukan.engine.rewriting import row_of
from koukan.engine.steps import commit
from koukan.engine.steps.link import Outcome
from koukan.engine.steps.validate import ROW
from koukan.flows.copies import PLACE, REPLICA, SECTION, SORTED_BY
from koukan.flows.registration import insurer_texts
from koukan.ledger import Group, Ledger
from koukan.ledger import copies as known
from koukan.rules.acknowledge import ACCEPTED
from koukan.rules.copies import CLASS, DELETED, KEY, SEVERAL, UNKNOWN
from koukan.tables.table import DataFile

OF_MEMBER = (SEVERAL, UNKNOWN)  # codes that are told of 被保険者枝番; others of 副本登録区分


class Writing(NamedTuple):
    """A chunk whose accepted lines are written."""

    chunk: Chunk
    refused: tuple[int, ...]


class Wrote(NamedTuple):
    """Data files, one for each insurer; deletions by reception and insurer."""

    files: tuple[DataFile, ...]
    deleted: tuple[tuple[int, str, int], ...]


def run(centre: Centre, group: Group, chunks: list[Chunk], pending: Iterator[pl.DataFrame]) -> None:
    """Take in a group of files of copies."""
    centre.observe("entered", step="deposit")
    with centre.log.operation("deposit", group=group.number) as operation:

        def decide(found: Outcome) -> Outcome:
            coded = judged_lines(centre, chunks, found)
            of_member = pl.col("code").is_in(OF_MEMBER)
            found = singly.with_codes(found, coded.filter(of_member), "member_id")
            return singly.with_codes(found, coded.filter(~of_member), CLASS)

        outcome = singly.concluded(centre, group, chunks, pending, decide)
        relieve(chunks)
        wrote = list(write_all(centre, chunks, outcome.refused))
        answered = [
            one for one in receptions_of(centre, group) if one.number not in outcome.refused
        ]
        parts = centre.workers.map(render, renderings(answered, chunks))
        rendered = [item for part in parts for item in part]
        files = [file for one in wrote for file in one.files]
        with centre.ledger.begin() as transaction:
            Ledger.put_group_files(
                transaction, group.number, [row_of(REPLICA, file) for file in files]
            )
            known.put_deletions(transaction, deletions(centre, group, wrote))
            for _ in singly.conclude(centre, transaction, group, outcome, rendered, written=True):
                pass
        operation.note(files=len(files), rows=sum(file.rows for file in files))
    centre.observe("written", step="deposit")
    commit.finish(centre, centre.ledger.group(group.number))


def judged_lines(centre: Centre, chunks: list[Chunk], found: Outcome) -> pl.DataFrame:
    """The lines that come to a code: `row`, `code`. One insurer's after another's."""
    lines = taken_keys(centre, chunks, found)
    parts = [pl.DataFrame(schema={"row": pl.Int64, "code": pl.String})]
    for insurer in lines["insurer"].unique().sort().to_list():
        own = lines.lazy().filter(pl.col("insurer") == insurer).drop("insurer").collect()
        parts.append(copies.judged(centre, commit.text_of(insurer), own))
    return pl.concat(parts).sort("row")


def taken_keys(centre: Centre, chunks: list[Chunk], found: Outcome) -> pl.DataFrame:
    """Of which copy each accepted line tells: row, reception, insurer, KEY and CLASS.

    Of all lines of a group at once: kinds, months and classes are few, so each is kept as a number.
    """
    kinds = {name: pl.Categorical() for name in (*KEY, CLASS)} | {"member_id": pl.Int64()}
    came_to = found.lines.select("reception", "insurer", "class")
    taken = (pl.col("class") == ACCEPTED) & ~pl.col("reception").is_in(list(found.refused))
    empty = {"row": pl.Int64(), "reception": pl.Int64(), "insurer": pl.Int32(), **kinds}
    parts = [pl.DataFrame(schema=empty)]
    for chunk in chunks:
        frame = stage_of(centre, chunk.group, chunk.attempt).get(f"{chunk.number:05d}.{SECTION}")
        missing = [name for name in kinds if name not in frame.columns]  # no line has any
        lines = frame.with_columns(pl.lit(None, pl.String).alias(name) for name in missing)
        whole = pl.concat([lines.select(ROW, *kinds), came_to[lines[ROW]]], how="horizontal")
        own = whole.filter(taken).rename({ROW: "row"}).select(list(empty))
        parts.append(own.with_columns(pl.col(name).cast(kind) for name, kind in empty.items()))
    return pl.concat(parts)


def write_all(centre: Centre, chunks: list[Chunk], refused: Collection[int]) -> Iterator[Wrote]:
    """The accepted lines, chunk by chunk; nothing sees them before the ledger says so."""
    items = [Writing(chunk, tuple(refused)) for chunk in chunks]
    for done, wrote in enumerate(centre.workers.map(write, items), 1):
        centre.observe("wrote", step="deposit", done=done, total=len(items))
        yield wrote


def write(centre: Centre, item: Writing) -> Wrote:
    """Task: a chunk's accepted lines by insurer, in order of their keys."""
    chunk, table = item.chunk, centre.tables[REPLICA]
    stage = stage_of(centre, chunk.group, chunk.attempt)
    name = f"{chunk.number:05d}.{SECTION}"
    if not stage.holds(name):
        return Wrote((), ())
    frame = stage.get(name)
    came_to = stage.get(f"{chunk.number:05d}.outcome").select(
        "reception", "line_number", "class", insurer="insurer"
    )[frame[ROW] - chunk.row]
    taken = (pl.col("class") == ACCEPTED) & ~pl.col("reception").is_in(list(item.refused))
    rows = (
        pl.concat([frame.drop(ROW), came_to], how="horizontal")
        .filter(taken)
        .drop("class")
        .with_columns(pl.col("member_id").cast(pl.Int64), group_number=chunk.group)
        .with_columns(pl.col(column).cast(kind) for column, kind in PLACE.items())
        .sort(SORTED_BY)
    )
    stage.done_with(name)
    shares = by_insurer(rows)
    table.make_keys({"insurer": insurer} for insurer in shares)
    called = commit.file_name(chunk.group, chunk.attempt, chunk.number)
    with durable.together():
        files = [table.write({"insurer": own}, share, called) for own, share in shares.items()]
    deleted = [
        (reception, insurer, count)
        for insurer, share in shares.items()
        for reception, count in counted(share.filter(pl.col(CLASS) == DELETED))
    ]
    return Wrote(tuple(files), tuple(deleted))


def by_insurer(rows: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Rows by 保険者コード, in the order given, without the column that names it."""
    own = rows.with_columns(insurer_texts(rows["insurer"])).drop("insurer")
    parts = own.partition_by("insurer_code", as_dict=True, include_key=False, maintain_order=True)
    return {str(key[0]): share for key, share in sorted(parts.items())}


def counted(rows: pl.DataFrame) -> Iterator[tuple[int, int]]:
    """Reception and rows."""
    return rows.group_by("reception").len().sort("reception").iter_rows()


def deletions(centre: Centre, group: Group, wrote: list[Wrote]) -> list[dict[str, object]]:
    """What the ledger has of copies that are to be erased."""
    sums: dict[tuple[int, str], int] = {}
    for one in wrote:
        for reception, insurer, rows in one.deleted:
            sums[reception, insurer] = sums.get((reception, insurer), 0) + rows
    common = {"group_number": group.number, "since": centre.now()}
    return [
        {"reception": reception, "insurer": insurer, "rows": rows, **common}
        for (reception, insurer), rows in sorted(sums.items())
    ]
