"""What became of a group's lines: kept by person, as linking worked it out, and told by line."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import numpy as np
import polars as pl

from koukan.engine.centre import Centre
from koukan.engine.groups import Chunk, is_large, line_numbers_of, stage_of
from koukan.rules.register import Ints, Persons, Small
from koukan.rules.settling import Linked

COUNTED = {  # by line: the rest of `LINES` lies in stages, chunk by chunk
    "reception": pl.Int32,
    "insurer": pl.Int32,
    "class": pl.Int8,
}
LINES = {  # by line; no wider than it must be: a million lines take 37 MB
    "reception": pl.Int32,
    "line_number": pl.Int32,
    "record_number": pl.Int64,
    "insurer": pl.Int32,
    "class": pl.Int8,
    "link_number": pl.Int64,
    "member_id": pl.Int64,
}
# A further column where lines become another insurer's events: 保険者コード（変更後）.
HOME = "home"


class Fates(NamedTuple):
    """What became of a group's lines, no wider than it must be."""

    counts: pl.DataFrame  # by line: `COUNTED`
    record_number: Ints  # by line
    of_line: Small  # person of every line
    link: Ints  # by person
    member: Ints  # by person
    home: Small | None  # by person; None: no line becomes another insurer's event

    def of_chunk(self, chunk: Chunk) -> pl.DataFrame:
        """The columns of `LINES`, and `HOME` if any line of the group moves."""
        rows = slice(chunk.row, chunk.row + chunk.rows)
        person = self.of_line[rows]
        columns = {
            **self.counts[rows].to_dict(),
            "line_number": line_numbers_of([chunk]),
            "record_number": self.record_number[rows],
            "link_number": self.link[person],
            "member_id": self.member[person],
        }
        share = pl.DataFrame(columns, schema=LINES)
        if self.home is None:
            return share
        return share.with_columns(pl.Series(HOME, self.home[person], dtype=pl.Int32))


def fates_of(counts: pl.DataFrame, record_number: Ints, persons: Persons, linked: Linked) -> Fates:
    """Put together what linking came to.

    Args:
        counts, record_number: by line, as `Fates` have them.
    """
    moves = bool(np.any(linked.home != persons.insurer))
    home = linked.home if moves else None
    return Fates(counts, record_number, persons.of_line, linked.link, linked.member, home)


def leave(centre: Centre, chunks: list[Chunk], fates: Fates) -> None:
    """What became of the lines, as a stage for each chunk."""
    stage = stage_of(centre, chunks[0].group, chunks[0].attempt)
    for chunk in chunks:
        name = f"{chunk.number:05d}.outcome"
        if is_large(chunks):  # a third of what they would be, and asked for twice
            stage.promise(name, partial(fates.of_chunk, chunk))
        else:
            stage.put(name, fates.of_chunk(chunk))
