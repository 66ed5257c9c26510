"""validate: every line of a group is decoded, typed and checked, chunk by chunk.

Each chunk leaves sealed stages: the typed columns of each section, the numbers that later rules
need (in line order), and the rows that failed as strings. Reject codes are worked out for those
alone: by the pandera schema where they are few, by the same rules as expressions where many.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from koukan.codecs.records import Decoded, decode_piece, line_offsets
from koukan.engine import originals
from koukan.engine.centre import Centre
from koukan.engine.filling import Filling
from koukan.engine.groups import Chunk, cut, is_large, receptions_of, stage_of
from koukan.engine.stages import Stage
from koukan.engine.workers import AHEAD
from koukan.flows.registration import FORMATS
from koukan.ledger import Group
from koukan.rules.checks import FINDINGS
from koukan.rules.fitting import SPAN
from koukan.rules.line_keys import KEYS, room_for
from koukan.rules.register import Ints
from koukan.rules.validate import BAD, PROVEN, Settled, Validator, validators

ROW = "__row"  # line of the group, from 0
FEW = 20_000  # bad rows of a group that one task explains
STRETCH = 512  # lines: where every so many begin is kept, to find few lines again
STRETCHES = "stretches"  # the stage that tells it, by byte of the chunk; at last where it ends
Columns = dict[str, npt.NDArray[Any]]
STAGED_KEYS = pl.Schema({**KEYS, **SPAN})
STAGED_KEYS["undecodable"] = pl.Boolean()


class Checked(NamedTuple):
    """What a chunk held."""

    number: int
    bad: int


def content_of(centre: Centre, chunk: Chunk) -> bytes:
    """The chunk's data lines, one after another."""
    parts = []
    for piece in chunk.pieces:
        reception = centre.ledger.reception(piece.reception)
        with originals.open_original(centre, reception.original) as original:
            parts.append(original.read(piece.start, piece.stop))
    return parts[0] if len(parts) == 1 else b"".join(parts)


def check(centre: Centre, chunk: Chunk) -> Checked:
    """Task: decode and check one chunk; write its stages."""
    stage = stage_of(centre, chunk.group, chunk.attempt)
    bundle = centre.bundle_of(centre.ledger.reception(chunk.pieces[0].reception))
    compiled = validators(bundle)
    keys = room_for(STAGED_KEYS, chunk.rows)
    bad, few = 0, centre.site.limits.pandera_rows
    content = content_of(centre, chunk)
    offsets = line_offsets(content)
    stretches = np.append(offsets[:-1:STRETCH], offsets[-1:])
    stage.put(f"{chunk.number:05d}.{STRETCHES}", pl.DataFrame({"offset": stretches}), small=True)
    for decoded in decode_piece(bundle.form, content, offsets):
        section = decoded.record.section
        rows = pl.Series(ROW, decoded.rows + chunk.row, dtype=pl.UInt32)  # as polars counts rows
        failed, settled = _section(stage, chunk, compiled[section], decoded, rows=rows, keys=keys)
        if len(failed) > few:  # why, at once: kept until then they are as large again
            found = compiled[section].details(decoded.frame, rows=failed, settled=settled)
            stage.put(f"{chunk.number:05d}.{section}.why", _of_group(found, rows))
        elif len(failed):
            kept = decoded.frame[failed].hstack([rows[failed]])
            stage.put(f"{chunk.number:05d}.{section}.failed", kept, small=True)
        bad += len(failed)
    stage.put(f"{chunk.number:05d}.keys", pl.DataFrame(keys, schema=STAGED_KEYS), small=True)
    return Checked(chunk.number, bad)


def _section(
    stage: Stage,
    chunk: Chunk,
    validator: Validator,
    decoded: Decoded,
    *,
    rows: pl.Series,
    keys: Columns,
) -> tuple[Ints, Settled]:
    """Check the lines of one section.

    Args:
        rows: `ROW` of its lines.
        keys: `STAGED_KEYS` of the chunk, to be filled.

    Returns:
        which of its lines failed, and which rules none of them can have broken.
    """
    section = decoded.record.section
    flagged, settled = validator.check(
        decoded.frame,
        suspicious=decoded.suspicious,
        proven=PROVEN,
        coded=validator.form.name in FORMATS,
    )
    for column in validator.numbers(decoded.frame, flagged):
        keys[column.name][decoded.rows] = column.to_numpy()
    bad = np.flatnonzero(flagged.drop_in_place(BAD).to_numpy())
    stage.put(f"{chunk.number:05d}.{section}", flagged.hstack([rows]))
    odd = bad if decoded.suspicious is None else decoded.suspicious
    if len(odd):
        unread = validator.undecodable(decoded.frame[odd]).to_numpy()
        keys["undecodable"][decoded.rows[odd[unread]]] = True
    return bad, settled


class Failed(NamedTuple):
    """The failed rows of some sections in some chunks."""

    reception: int  # any of the group's: names the definition
    group: int
    attempt: int
    sections: tuple[str, ...]
    chunks: tuple[int, ...]
    declared: bool  # by the pandera schema, or by expressions


def explain(centre: Centre, item: Failed) -> pl.DataFrame:
    """Task: findings (row of the group, field, code) of failed rows. No value of a field in it.

    Where many of a chunk failed, they were found when it was checked.
    """
    stage = stage_of(centre, item.group, item.attempt)
    compiled = validators(centre.bundle_of(centre.ledger.reception(item.reception)))
    found = [FINDINGS.to_frame()]
    for section in item.sections:
        names = [f"{chunk:05d}.{section}" for chunk in item.chunks]
        known = [f"{name}.why" for name in names if stage.holds(f"{name}.why")]
        found += map(stage.get, known)
        for name in known:
            stage.done_with(name)
        frames = [stage.get(f"{name}.failed") for name in names if stage.holds(f"{name}.failed")]
        if frames:
            found.append(_why(compiled[section], pl.concat(frames), declared=item.declared))
    return pl.concat(found)


def _why(validator: Validator, failed: pl.DataFrame, *, declared: bool) -> pl.DataFrame:
    """Findings of failed rows, `ROW` among their columns."""
    strings = failed.drop(ROW)
    found = validator.details_with_pandera(strings) if declared else validator.details(strings)
    return _of_group(found, failed[ROW])


def _of_group(found: pl.DataFrame, rows: pl.Series) -> pl.DataFrame:
    """Findings by line of the group."""
    return found.with_columns(row=rows.gather(found["row"]).cast(pl.Int64))


def explained(centre: Centre, failed: Sequence[Failed]) -> Iterator[pl.DataFrame]:
    """Findings of single lines (row of the group, field, code), in parts.

    They are being worked out from now on: ask for them when they are needed.
    """
    return centre.workers.map(explain, failed, ahead=AHEAD)


def run(centre: Centre, group: Group) -> tuple[list[Chunk], list[Failed]]:
    """Check a group, and leave the numbers of all its lines: `STAGED_KEYS`.

    Returns:
        its chunks, and which of their lines are still to be explained.
    """
    receptions = receptions_of(centre, group)
    chunks = cut(group, receptions)
    stage = stage_of(centre, group.number, group.attempt)
    stage.create(sealed=is_large(chunks))
    numbers = Filling(sum(chunk.rows for chunk in chunks))
    with centre.log.operation("validate", group=group.number) as operation:
        bad = 0
        # A query of few columns leaves a core idle now and then: one task more has work for it.
        checks = zip(chunks, centre.workers.map(check, chunks, more=1), strict=True)
        for done, (chunk, checked) in enumerate(checks, 1):
            bad += checked.bad
            name = f"{chunk.number:05d}.keys"
            numbers.put(chunk.row, stage.get(name))
            stage.done_with(name)  # what they hold is never in memory twice
            centre.observe("validated", step="validate", done=done, total=len(chunks))
        declared = bad <= centre.site.limits.pandera_rows
        every = tuple(chunk.number for chunk in chunks)
        # What a task takes is the same for some rows as for all of them.
        sections = tuple(record.section for record in centre.bundle_of(receptions[0]).form.records)
        shares = [(sections, every)]
        if not declared and bad > FEW:
            shares = [((section,), (number,)) for section in sections for number in every]
        elif is_large(chunks):  # nothing is beside it that keeps both cores busy
            shares = [((section,), every) for section in sections]
        items = [
            Failed(receptions[0].number, group.number, group.attempt, *share, declared)
            for share in shares
        ]
        operation.note(rows=sum(chunk.rows for chunk in chunks), files=len(receptions))
    stage.leave_numbers(numbers.columns())
    return chunks, items if bad else []
