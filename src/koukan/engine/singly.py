"""Groups of files whose lines stand alone: questions, confirmations of receipt.

They are validated like every group; what is decided about each line then needs no vault. The
outcome has the form that result files are written from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import polars as pl
from sqlalchemy import Connection

from koukan.codecs.gate import NOBODY
from koukan.engine.centre import Centre
from koukan.engine.fates import LINES
from koukan.engine.groups import Chunk, line_numbers_of, receptions_of, stage_of
from koukan.engine.rendering import Rendered
from koukan.engine.steps.commit import counts_of, findings_of, remarks_of, settled
from koukan.engine.steps.gate import close, turn_away
from koukan.engine.steps.link import EMPTY, Content, Outcome, beyond_shares, gather
from koukan.engine.steps.validate import ROW
from koukan.formats.model import Record
from koukan.ledger import Group, Ledger, Reception
from koukan.rules.acknowledge import ACCEPTED, DUPLICATE, REJECTED, UNTAKEN
from koukan.rules.single import Judgement, Lines, content_of, judge

CLASSES = {"R": REJECTED, "D": DUPLICATE, "H": UNTAKEN}  # by the first letter of a code
PLACE = ("reception", "line_number", "insurer")


def typed_sections(centre: Centre, chunk: Chunk) -> Iterator[tuple[Record, pl.DataFrame]]:
    """A chunk's typed lines by record type."""
    stage = stage_of(centre, chunk.group, chunk.attempt)
    for record in centre.bundle_of(centre.ledger.reception(chunk.pieces[0].reception)).form.records:
        name = f"{chunk.number:05d}.{record.section}"
        if stage.holds(name):
            yield record, stage.get(name)


def hashes(centre: Centre, chunk: Chunk) -> pl.DataFrame:
    """Task: two hashes of each line's own items, in line order; compared within this run only."""
    parts = []
    for record, frame in typed_sections(centre, chunk):
        one, other = content_of(frame, [item.name for item in record.own])
        parts.append(frame.select(ROW).with_columns(one=pl.Series(one), other=pl.Series(other)))
    return pl.concat(parts).sort(ROW)


def judged(
    centre: Centre, group: Group, receptions: list[Reception], chunks: list[Chunk]
) -> tuple[Content, Judgement]:
    """The lines of a group, and what the rules over them say."""
    both = pl.concat(list(centre.workers.map(hashes, chunks)))
    content = gather(centre, group, receptions, chunks)
    lines = Lines(
        reception=content.lines.reception,
        record_number=content.lines.record_number,
        insurer=content.lines.insurer,
        bad=content.lines.bad,
        content=(both["one"].to_numpy(), both["other"].to_numpy()),
    )
    return content, judge(lines)


def outcome(
    content: Content,
    judgement: Judgement,
    refused: dict[int, str],
    chunks: Sequence[Chunk],
) -> Outcome:
    """Every line's class, and findings of rules over lines."""
    kinds = np.where(
        judgement.rejected, REJECTED, np.where(judgement.duplicate, DUPLICATE, ACCEPTED)
    )
    numbers = np.array([reception.number for reception in content.receptions], np.int64)
    nobody = pl.repeat(None, len(kinds), dtype=pl.Int64, eager=True)
    lines = pl.DataFrame(
        {
            "reception": numbers[content.lines.reception],
            "line_number": line_numbers_of(chunks),
            "record_number": content.lines.record_number,
            "insurer": np.maximum(content.lines.insurer, int(NOBODY)),  # none is named: a system
            "class": kinds.astype(np.int8),
            "link_number": nobody,
            "member_id": nobody,
        },
        schema=LINES,
    )
    return EMPTY._replace(refused=refused, findings=judgement.findings, lines=lines)


def concluded(
    centre: Centre,
    group: Group,
    chunks: list[Chunk],
    pending: Iterator[pl.DataFrame],
    decide: Callable[[Outcome], Outcome] = lambda found: found,
) -> Outcome:
    """What became of a group's lines, left as stages for the result files.

    Args:
        decide: what must be known beyond the files; gets and gives the whole outcome.
    """
    if not chunks:
        return EMPTY
    content, judgement = judged(centre, group, receptions_of(centre, group), chunks)
    refused, remarked = beyond_shares(centre, content, judgement.rejected)
    found = outcome(content, judgement, refused, chunks)._replace(remarked=remarked)
    found = decide(found)
    stage = stage_of(centre, group.number, group.attempt)
    for chunk in chunks:
        share = found.lines[chunk.row : chunk.row + chunk.rows]
        stage.put(f"{chunk.number:05d}.outcome", share)
    return settled(centre, group, chunks, found, pending)


def taken_lines(
    centre: Centre,
    chunks: Sequence[Chunk],
    found: Outcome,
    section: str,
    items: Mapping[str, pl.DataType],
) -> pl.DataFrame:
    """The accepted lines of files that are not refused, in order of the group's rows.

    Returns:
        `row` of the group, PLACE, and these items, empty where no line of a chunk has any.
    """
    parts = [pl.DataFrame(schema={ROW: pl.UInt32(), **items})]
    for chunk in chunks:
        name = f"{chunk.number:05d}.{section}"
        stage = stage_of(centre, chunk.group, chunk.attempt)
        if stage.holds(name):
            frame = stage.get(name)
            missing = items.keys() - {*frame.columns}
            empty = [pl.lit(None, items[item]).alias(item) for item in missing]
            parts.append(frame.with_columns(empty).select(ROW, *items))
    lines = pl.concat(parts).sort(ROW)
    came_to = found.lines.select(*PLACE, "class")[lines[ROW]]
    whole = pl.concat([lines.rename({ROW: "row"}), came_to], how="horizontal")
    taken = (pl.col("class") == ACCEPTED) & ~pl.col("reception").is_in(list(found.refused))
    return whole.filter(taken).drop("class").with_columns(pl.col("row", *PLACE).cast(pl.Int64))


def with_codes(found: Outcome, judged: pl.DataFrame, field: str) -> Outcome:
    """The outcome with the classes and findings of lines that came to a code.

    Args:
        judged: `row`, `code`; a remark leaves its line accepted.
    """
    if judged.is_empty():
        return found
    letter = pl.col("code").str.head(1)
    classes = judged.select(
        "row", kind=letter.replace_strict(CLASSES, default=ACCEPTED, return_dtype=pl.Int8)
    )
    lines = (
        found.lines.with_row_index("row")
        .with_columns(pl.col("row").cast(pl.Int64))
        .join(classes, on="row", how="left", maintain_order="left")
        .with_columns(pl.coalesce("kind", "class").alias("class"))
        .drop("row", "kind")
    )
    findings = judged.select("row", field=pl.lit(field), code="code")
    return found._replace(lines=lines, findings=pl.concat([found.findings, findings]))


def typed_lines(centre: Centre, reception: int, chunks: Sequence[Chunk], kind: int) -> pl.DataFrame:
    """Lines of a file that came to one class, in line order.

    Returns:
        line_number, record_number, and of the lines' own items those that have any value.
    """
    parts = [pl.DataFrame(schema={"line_number": pl.Int64, "record_number": pl.Int64})]
    for chunk in chunks:
        stage = stage_of(centre, chunk.group, chunk.attempt)
        came_to = stage.get(f"{chunk.number:05d}.outcome")
        mine = (pl.col("reception") == reception) & (pl.col("class") == kind)
        for _, frame in typed_sections(centre, chunk):
            told = came_to[frame[ROW] - chunk.row]
            told = told.cast({"line_number": pl.Int64})
            whole = pl.concat([told, frame.drop(ROW)], how="horizontal").filter(mine)
            parts.append(whole.drop("reception", "insurer", "class", "link_number", "member_id"))
    return pl.concat(parts, how="diagonal").sort("line_number")


def conclude(
    centre: Centre,
    transaction: Connection,
    group: Group,
    found: Outcome,
    results: Sequence[Rendered],
    *,
    written: bool = False,
) -> Iterator[Reception]:
    """Counts, findings and results of a group into the ledger, which commits it.

    Args:
        written: tables have to take its files first; then `commit.finish` closes its receptions.

    Yields:
        each reception that is accepted, closed in this transaction if nothing is left to do.
    """
    counts, findings = counts_of(found), findings_of(found)
    rendered = {item.reception: item for item in results}
    for reception in receptions_of(centre, group):
        number = reception.number
        Ledger.put_findings(transaction, number, findings.get(number, []))
        refusal = found.refused.get(number)
        if refusal:
            turn_away(centre, transaction, reception, refusal, centre.ledger.counts(number))
            continue
        Ledger.put_counts(transaction, number, counts.get(number, []))
        told: dict[str, object] = {
            "remarks": remarks_of(reception, found),
            "judged_at": centre.now(),
        }
        if number in rendered:
            result = rendered[number]
            told |= {"result_sha256": result.sha256, "result_lines": result.lines}
        if written:
            Ledger.set(transaction, number, **told)
        else:
            close(centre, transaction, reception, "accepted", None, **told)
        yield reception
    Ledger.set_group(transaction, group.number, "written" if written else "committed")
