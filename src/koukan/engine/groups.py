"""Groups: receptions that are validated, linked and committed together.

A commit and a pandera call cost the same however few the rows, so small files share them. A group
is of one format definition, ascending in reception number, and bounded by bytes and files. An
answer of a national system is a group of its own, formed when it may be stored; so is a log of OQS.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from koukan.engine import storing
from koukan.engine.centre import Centre
from koukan.engine.stages import Stage
from koukan.flows import identity, online, registration, usage
from koukan.ledger import Group, Reception
from koukan.ledger.corrections import corrections_among

ALONE = (identity.ANSWER, usage.LOG, online.RESPONSE)  # of which each file is a group of its own
CHUNK = 16 * 1024 * 1024  # of original bytes: below, the fixed cost of a query shows


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
    """Cut a group's originals at the gate's line boundaries into chunks of some 16 MiB."""
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
