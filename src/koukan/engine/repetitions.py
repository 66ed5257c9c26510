"""Lines of a group whose content is compared: by two hashes, worked out where the lines lie."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from koukan.codecs.records import line_offsets, lines_of
from koukan.engine import originals
from koukan.engine.centre import Centre
from koukan.engine.groups import Chunk, stage_of
from koukan.engine.steps.validate import STRETCH, STRETCHES, content_of
from koukan.rules.register import Ints, Lines, duplicate_candidates, duplicates

FEW = 8  # asked lines stand in less than one of so many stretches
SEEDS = (0x6B6F756B, 0x616E3031)  # two hashes of 64 bits: equal content, not only equal hash


class Digest(NamedTuple):
    """Lines of a chunk whose content is to be compared."""

    chunk: Chunk
    rows: tuple[int, ...]
    skip: int


def repeated_lines(
    centre: Centre, chunks: list[Chunk], lines: Lines, skip: int
) -> tuple[Ints, Ints, Ints]:
    """What `duplicates` gives.

    Args:
        skip: bytes of レコード識別番号 with its separator.
    """
    rows = duplicate_candidates(lines)
    return duplicates(lines, rows, digests(centre, chunks, rows, skip))


def digest(centre: Centre, item: Digest) -> list[npt.NDArray[np.uint64]]:
    """Task: hashes of lines behind their レコード識別番号; compared within this run only."""
    behind = lines_asked(centre, item).bin.slice(item.skip)
    return [behind.hash(seed=seed).to_numpy() for seed in SEEDS]


def lines_asked(centre: Centre, item: Digest) -> pl.Series:
    """The lines themselves.

    Where they are few, and of one file, nothing is opened but the stretches in which they stand.
    """
    chunk, rows = item.chunk, np.array(item.rows)
    found, stretch = np.unique(rows // STRETCH, return_inverse=True)
    if len(chunk.pieces) > 1 or len(found) * STRETCH * FEW > chunk.rows:
        return chosen(content_of(centre, chunk), rows)
    (piece,) = chunk.pieces
    stage = stage_of(centre, chunk.group, chunk.attempt)
    offsets = piece.start + stage.get(f"{chunk.number:05d}.{STRETCHES}")["offset"].to_numpy()
    parts = []
    with originals.open_original(
        centre, centre.ledger.reception(piece.reception).original
    ) as original:
        for place, number in enumerate(found.tolist()):
            content = original.read(int(offsets[number]), int(offsets[number + 1]))
            parts.append(chosen(content, rows[stretch == place] - number * STRETCH))
    return pl.concat(parts)


def chosen(content: bytes, rows: Ints) -> pl.Series:
    """Some of the lines that these bytes are."""
    lines = pl.Series("line", pl.from_arrow(lines_of(content, line_offsets(content))))
    found: pl.Series = lines[rows]
    return found


def digests(
    centre: Centre, chunks: list[Chunk], rows: Ints, skip: int
) -> list[npt.NDArray[np.uint64]]:
    """Hashes of the candidate lines, in their order."""
    items = []
    for chunk in chunks:
        inside = rows[(rows >= chunk.row) & (rows < chunk.row + chunk.rows)] - chunk.row
        if len(inside):
            items.append(Digest(chunk, tuple(inside.tolist()), skip))
    parts = list(centre.workers.map(digest, items))
    empty = np.zeros(0, np.uint64)
    return [np.concatenate([empty, *(part[n] for part in parts)]) for n in range(len(SEEDS))]
