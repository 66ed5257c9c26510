"""extract: an insurer asks for what stands in its own 副本区画; each answer is sealed here.

Flow 2-(4), and R098, R099: an insurer has a means to look at its copies, and nobody else has. An
answer has what stands when its file of queries is taken in, for one insurer, and goes into a
package for that insurer's key (`return_copies`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import PurePath
from typing import NamedTuple

import polars as pl

from koukan.codecs import render
from koukan.engine import copies, entrusted, singly
from koukan.engine import rendering as results
from koukan.engine.centre import Centre
from koukan.engine.groups import Chunk, receptions_of, stage_of
from koukan.engine.packages import PACKAGE
from koukan.engine.steps.commit import text_of
from koukan.engine.steps.link import Outcome
from koukan.flows.copies import EXTRACT, NO_KEY, PREFIX, QUERY_SECTION, SECTION
from koukan.flows.registration import MEMBER_DIGITS
from koukan.ledger import Group, Reception
from koukan.ledger import copies as known
from koukan.rules.copies import UNKNOWN

ITEMS = {"member_id": pl.String()}
ASKED = {"reception": pl.Int64, "insurer": pl.Int64, "member_id": pl.Int64}


class Extract(NamedTuple):
    """What an insurer gets for a file of queries; `whole`: all of its copies."""

    group: int
    attempt: int
    reception: int
    ordinal: int
    insurer: str
    whole: bool


class Sealed(NamedTuple):
    """An extract as it was sealed; hash and length of the file."""

    extract: Extract
    rows: int
    sha256: str
    length: int


def run(centre: Centre, group: Group, chunks: list[Chunk], pending: Iterator[pl.DataFrame]) -> None:
    """Take in a group of queries; one ledger transaction ends it."""
    centre.observe("entered", step="extract")
    receptions = {item.number: item for item in receptions_of(centre, group)}
    with centre.log.operation("extract", group=group.number) as operation:
        asked = [pl.DataFrame(schema=ASKED)]

        def decide(found: Outcome) -> Outcome:
            judged = judged_lines(centre, receptions, chunks, found)
            asked.append(judged.filter(pl.col("code").is_null()).select(list(ASKED)))
            coded = judged.filter(pl.col("code").is_not_null()).select("row", "code")
            return singly.with_codes(found, coded, "member_id")

        outcome = singly.concluded(centre, group, chunks, pending, decide)
        answered = [one for one in receptions.values() if one.number not in outcome.refused]
        parts = centre.workers.map(results.render, results.renderings(answered, chunks))
        rendered = [item for part in parts for item in part]
        sealed = list(seal_all(centre, planned(centre, group, pl.concat(asked))))
        centre.observe("copies sealed", step="extract")
        with centre.ledger.begin() as transaction:
            for _ in singly.conclude(centre, transaction, group, outcome, rendered):
                pass
            for item in sealed:
                row = row_of(centre, receptions[item.extract.reception], item)
                known.put_package(transaction, row)
        operation.note(packages=len(sealed), rows=sum(item.rows for item in sealed))
    centre.observe("extracted", step="extract")


def judged_lines(
    centre: Centre, receptions: dict[int, Reception], chunks: list[Chunk], found: Outcome
) -> pl.DataFrame:
    """The accepted lines: `row`, ASKED (the member as it goes on; null: all), `code`."""
    lines = singly.taken_lines(centre, chunks, found, QUERY_SECTION, ITEMS)
    lines = lines.with_columns(pl.col("member_id").cast(pl.Int64))
    hindrance = centre.site.hindrances()
    parts = [pl.DataFrame(schema={"row": pl.Int64, **ASKED, "code": pl.String})]
    # As many as insurers in files.
    for own in lines.partition_by("reception", "insurer", maintain_order=True):
        insurer, sender = text_of(own["insurer"][0]), receptions[own["reception"][0]].sender
        if hindrance(insurer, sender) is not None:
            judged = own.with_columns(code=pl.lit(NO_KEY))
        else:
            judged = known_members(centre, insurer, own)
        parts.append(judged.select("row", *ASKED, "code"))
    return pl.concat(parts).sort("row")


def known_members(centre: Centre, insurer: str, lines: pl.DataFrame) -> pl.DataFrame:
    """Lines of an insurer with its members as they go on, and a code where it has no such one."""
    given = pl.col("member_id").is_not_null()
    some = copies.under_current(centre, insurer, lines.filter(given))
    there = pl.Series(copies.has_members(centre, insurer, some["member_id"].to_numpy()))
    some = some.with_columns(code=pl.when(~pl.lit(there)).then(pl.lit(UNKNOWN)))
    every = lines.filter(~given).with_columns(code=pl.lit(None, pl.String))
    return pl.concat([some, every])


def planned(centre: Centre, group: Group, asked: pl.DataFrame) -> list[Extract]:
    """One extract for each file and insurer; whom it is about is left as a stage."""
    stage, found = stage_of(centre, group.number, group.attempt), []
    order = asked.sort("reception", "insurer").partition_by(
        "reception", "insurer", maintain_order=True
    )
    ordinals: dict[int, int] = {}
    for own in order:
        reception, insurer = int(own["reception"][0]), text_of(own["insurer"][0])
        ordinal = ordinals[reception] = ordinals.get(reception, 0) + 1
        whole = own["member_id"].has_nulls()
        item = Extract(group.number, group.attempt, reception, ordinal, insurer, whole)
        stage.put(name_of(item), own.select("member_id").drop_nulls().unique().sort("member_id"))
        found.append(item)
    return found


def name_of(item: Extract) -> str:
    """Of the stage with the members."""
    return f"{item.reception:010d}-{item.ordinal:04d}.members"


def seal_all(centre: Centre, items: Sequence[Extract]) -> Iterator[Sealed]:
    """The insurers' files, each durably under a key of its own."""
    for done, sealed in enumerate(centre.workers.map(seal, items), 1):
        centre.observe("sealed by insurer", step="extract", done=done, total=len(items))
        yield sealed


def seal(centre: Centre, item: Extract) -> Sealed:
    """Task: one insurer's file, rendered share by share while it is sealed."""
    form, digest = centre.catalogue.formats[EXTRACT], hashlib.sha256()
    rows = length = 0

    def blocks() -> Iterator[bytes]:
        nonlocal rows
        control = {"reception_number": f"{item.reception:010d}", "insurer_code": item.insurer}
        yield render.control(form, control)
        for share in shares(centre, item):
            if share.height:
                rows += share.height
                yield render.records(form, SECTION, as_text(share))
        yield render.end(form, {"record_count": f"{rows:08d}"})

    def measured() -> Iterator[bytes]:
        nonlocal length
        for block in blocks():
            digest.update(block)
            length += len(block)
            yield block

    entrusted.seal_result(centre, item.reception, item.ordinal, measured())
    return Sealed(item, rows, digest.hexdigest(), length)


def shares(centre: Centre, item: Extract) -> Iterator[pl.DataFrame]:
    """What stands of whom was asked, in order of keys."""
    if item.whole:
        yield from copies.standing(centre, item.insurer)
        return
    members = stage_of(centre, item.group, item.attempt).get(name_of(item))["member_id"]
    for share in members.to_frame().iter_slices(centre.site.limits.piece_rows):
        yield copies.standing_of(centre, item.insurer, share["member_id"])


def as_text(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows of the partition as the extract has them."""
    return rows.with_columns(
        pl.selectors.date().dt.strftime("%Y%m%d"),
        member_id=pl.col("member_id").cast(pl.String).str.zfill(MEMBER_DIGITS),
        reception_number=pl.col("reception").cast(pl.String).str.zfill(10),
    )


def row_of(centre: Centre, reception: Reception, item: Sealed) -> dict[str, object]:
    """What the ledger has of a package that is built."""
    stem = PurePath(reception.file_name).stem[:50]
    number = f"{reception.number:010d}_{item.extract.ordinal:04d}"
    return {
        "reception": reception.number,
        "ordinal": item.extract.ordinal,
        "insurer": item.extract.insurer,
        "sender": reception.sender,
        "name": f"{PREFIX}_{stem}_{number}.tar{PACKAGE}",
        "rows": item.rows,
        "file_sha256": item.sha256,
        "file_length": item.length,
        "state": "built",
        "built_at": centre.now(),
    }
