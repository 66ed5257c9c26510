"""Groups: receptions that are validated, linked and committed together.

A commit and a pandera call cost the same however few the rows, so small files share them. A group
is of one format definition, ascending in reception number, and bounded by bytes and files. An
answer of a national system is a group of its own, formed when it may be stored; so is a log of OQS.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from koukan.engine import storing
from koukan.engine.centre import Centre
from koukan.engine.memory import give_back
from koukan.engine.stages import Stage
from koukan.flows import identity, online, registration, usage
from koukan.ledger import Group, Reception
from koukan.ledger.corrections import corrections_among

ALONE = (identity.ANSWER, usage.LOG, online.RESPONSE)  # of which each file is a group of its own
CHUNK = 24 * 1024 * 1024  # of original bytes: below, the fixed cost of a query shows
LARGE = 2_000_000  # lines of a group: beyond, it is treated as one that memory may not hold


class Piece(NamedTuple):
    """Whole data lines of one original: bytes `start` to `stop`, from its record `row` on."""

    reception: int
    position: int  # of the reception in the group
    start: int
    stop: int
    row: int
    rows: int


class Chunk(NamedTuple):
    """A task's share of a group: pieces of one or many originals. `row` counts over the group."""

    group: int
    attempt: int
    number: int
    row: int
    rows: int
    pieces: tuple[Piece, ...]


def is_large(chunks: Sequence[Chunk]) -> bool:
    """Whether a group is so large that its memory counts for more than some of its time."""
    return sum(chunk.rows for chunk in chunks) > LARGE


def positions_of(chunks: Sequence[Chunk]) -> npt.NDArray[np.int32]:
    """Of each line the position of its file in the group. Of one file they take no room."""
    pieces = [piece for chunk in chunks for piece in chunk.pieces]
    positions = np.array([piece.position for piece in pieces], np.int32)
    counts = [piece.rows for piece in pieces]
    if pieces and np.all(positions == positions[0]):
        return np.broadcast_to(positions[0], sum(counts))
    return np.repeat(positions, counts)


def line_numbers_of(chunks: Sequence[Chunk]) -> npt.NDArray[np.int32]:
    """Of each line its number in its file; the control record is line 1."""
    pieces = [piece for chunk in chunks for piece in chunk.pieces]
    counts = [piece.rows for piece in pieces]
    before = np.cumsum([0, *counts[:-1]])
    firsts = np.array([piece.row + 2 for piece in pieces]) - before
    numbers = np.arange(sum(counts), dtype=np.int32)
    numbers += np.repeat(firsts.astype(np.int32), counts)
    return numbers


def relieve(chunks: Sequence[Chunk]) -> None:
    """Between the steps of a large group, which need other blocks each: freed memory goes back."""
    if is_large(chunks):
        give_back()


def choose(centre: Centre, formats: Collection[str]) -> list[list[Reception]]:
    """Admitted receptions of these formats that belong to no group yet, cut into groups."""
    limits = centre.site.limits
    chosen: list[list[Reception]] = []
    size = 0
    waiting = sorted(centre.ledger.receptions(state="admitted", formats=formats), key=order)
    mending = corrections_among(centre.ledger, [reception.number for reception in waiting])
    roots: set[int] = set()  # that the last group mends
    for reception in waiting:
        if reception.group_number is not None:
            continue
        alone = reception.format in ALONE
        if reception.format == identity.ANSWER and not storing.permission(centre, reception).given:
            continue
        last = chosen[-1] if chosen else None
        correction = mending.get(reception.number)
        root = {correction.root} if correction else set()
        fits = (
            last is not None
            and not alone
            and not roots & root  # what one correction mends, the next one must know
            and last[0].definition == reception.definition
            and size + reception.length <= limits.group_bytes
            and len(last) < limits.group_files
        )
        if fits and last is not None:
            last.append(reception)
            size += reception.length
            roots |= root
        else:
            chosen.append([reception])
            size, roots = reception.length, root
    return chosen


def order(reception: Reception) -> tuple[str, int]:
    """Registrations in the order in which they came; of other files those of a kind together."""
    registers = reception.format in registration.FORMATS
    return "" if registers else reception.definition, reception.number


def receptions_of(centre: Centre, group: Group) -> list[Reception]:
    """The group's receptions in ascending number."""
    return centre.ledger.receptions_of([number for number, _ in group.members])


def stage_of(centre: Centre, group: int, attempt: int) -> Stage:
    return Stage.of(centre.folder("stages"), centre.keyring, centre.kept, group, attempt)


def cut(group: Group, receptions: list[Reception]) -> list[Chunk]:
    """Cut a group's originals at the gate's line boundaries into chunks of some 24 MiB."""
    chunks: list[Chunk] = []
    pieces: list[Piece] = []
    size = row = 0

    def finish() -> None:
        nonlocal pieces, size, row
        if pieces:
            rows = sum(piece.rows for piece in pieces)
            number = len(chunks)
            chunks.append(Chunk(group.number, group.attempt, number, row, rows, tuple(pieces)))
            pieces, size, row = [], 0, row + rows

    for position, reception in enumerate(receptions):
        for (start, before), (stop, after) in zip(reception.cuts, reception.cuts[1:], strict=False):
            if after == before:
                continue
            if size and size + stop - start > CHUNK:
                finish()
            pieces.append(Piece(reception.number, position, start, stop, before, after - before))
            size += stop - start
    finish()
    return chunks
