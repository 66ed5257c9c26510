"""Tasks that write data files from the stages of a group: what its lines say, in both tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from typing import NamedTuple

import numpy as np
import polars as pl

from koukan.engine.centre import Centre
from koukan.engine.fates import HOME
from koukan.engine.groups import Chunk, stage_of
from koukan.engine.steps.validate import ROW
from koukan.flows import registration
from koukan.flows.registration import FORMER, HISTORY, PARTITION
from koukan.rules.acknowledge import ACCEPTED
from koukan.rules.validate import KEPT
from koukan.tables.definition import BUCKET, MIXED
from koukan.tables.table import DataFile

EVENT_OF_LINE = ("link_number", "member_id", "reception", "line_number")
OUTCOME = (*EVENT_OF_LINE, "insurer", "class")


class Written(NamedTuple):
    """A data file of a table, not visible yet."""

    table: str
    file: DataFile


class Share(NamedTuple):
    """Lines of some sections in some chunks, to be written into both tables of the flow."""

    sections: tuple[str, ...]
    chunks: tuple[Chunk, ...]
    name: str  # of its data files


def write(centre: Centre, share: Share) -> Iterator[Written]:
    """Write the accepted lines of a share into 委託区画 and 資格履歴."""
    outcomes = cache(partial(outcome_of, centre))  # opened once, where they were sealed
    for section in share.sections:
        yield from write_section(centre, share, section, outcomes)


def write_section(
    centre: Centre, share: Share, section: str, outcomes: Callable[[Chunk], pl.DataFrame]
) -> Iterator[Written]:
    """Write the accepted lines of one section.

    One file of the 資格履歴 for all buckets: each costs some milliseconds, however few rows it has.
    `compact` puts them into their buckets.
    """
    events = events_of(centre, share.chunks, section, outcomes)
    if events is None:
        return
    accepted = np.flatnonzero(events.drop_in_place("class") == ACCEPTED)
    rows = registration.gathered(events, accepted)
    del events  # as large again
    for insurer, frame in registration.partition_frames(rows):
        where = {"insurer": insurer, "section": section}
        yield Written(PARTITION, centre.tables[PARTITION].write(where, frame, share.name))
    linked = registration.history_frame(rows)
    if linked.height:
        where = {BUCKET: MIXED, "section": section}
        yield Written(HISTORY, centre.tables[HISTORY].write(where, linked, share.name))


def outcome_of(centre: Centre, chunk: Chunk) -> pl.DataFrame:
    """What became of a chunk's lines, as far as tables have it: OUTCOME, and HOME if it differs."""
    outcome = stage_of(centre, chunk.group, chunk.attempt).get(f"{chunk.number:05d}.outcome")
    return outcome[[name for name in (*OUTCOME, HOME) if name in outcome.columns]]


def events_of(
    centre: Centre,
    chunks: Sequence[Chunk],
    section: str,
    outcomes: Callable[[Chunk], pl.DataFrame],
) -> pl.DataFrame | None:
    """Lines of a section with what became of them; None where no chunk has any.

    The parts are gone when it returns: they are as large again. Those that were not accepted are
    among them: each row is gathered once, where it is written, and left out there.
    """
    found = [
        chunk
        for chunk in chunks
        if stage_of(centre, chunk.group, chunk.attempt).holds(f"{chunk.number:05d}.{section}")
    ]
    if not found:
        return None
    parts = [chunk_events(centre, chunk, section, outcomes(chunk)) for chunk in found]
    # A chunk lacks the columns that it has no value of; in one piece, rows are gathered cheaply.
    return pl.concat(parts, how="diagonal", rechunk=True)


def chunk_events(centre: Centre, chunk: Chunk, section: str, outcome: pl.DataFrame) -> pl.DataFrame:
    """Lines of one section of a chunk, in line order: EVENT, insurer, class, own columns.

    Args:
        outcome: of all lines of the chunk, see `outcome_of`.
    """
    stage = stage_of(centre, chunk.group, chunk.attempt)
    typed = stage.get(f"{chunk.number:05d}.{section}")
    outcome = outcome[typed[ROW] - chunk.row]
    accepted = outcome["class"] == ACCEPTED
    if 2 * accepted.sum() < len(accepted):  # a copy of the few is less than all of the others
        typed, outcome = typed.filter(accepted), outcome.filter(accepted)
    columns = {name: outcome[name] for name in EVENT_OF_LINE}
    columns |= {name: typed[name] for name in KEPT}
    columns["group_number"] = pl.Series([chunk.group], dtype=pl.Int64).new_from_index(
        0, typed.height
    )
    own = [column for column in typed.get_columns() if column.name not in (ROW, *KEPT)]
    stage.done_with(f"{chunk.number:05d}.{section}")
    events = registration.event_columns(columns)
    return pl.DataFrame([*events, outcome["class"], *insurers_of(outcome), *own])


def insurers_of(outcome: pl.DataFrame) -> list[pl.Series]:
    """The insurer whose events the lines are; and the one that told them, where it is another."""
    own = outcome["insurer"]
    if HOME not in outcome.columns:
        return [own]
    home = outcome[HOME].alias("insurer")
    former = pl.DataFrame([registration.insurer_texts(own), own != home]).select(
        pl.when("insurer").then("insurer_code").alias(FORMER)
    )
    return [home, *former]
