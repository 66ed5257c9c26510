"""Tasks that render result files from the stages of a group, and seal them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import polars as pl

from koukan import durable
from koukan.codecs.text import Content
from koukan.engine import originals
from koukan.engine.centre import Centre
from koukan.engine.groups import Chunk, stage_of
from koukan.engine.lookup import side_by_side
from koukan.engine.lots import lots
from koukan.engine.receipts import control_of
from koukan.flows.results import line_result
from koukan.formats.model import Format
from koukan.ledger import Reception
from koukan.rules.acknowledge import (
    Worded,
    explanations,
    result_file,
    result_records,
    worded_records,
)

PART = 1 << 16  # lines; half as many where more than these have words


class Rendering(NamedTuple):
    """Result files of one reception, or of a lot of small ones, and the chunks with their lines."""

    receptions: tuple[int, ...]
    chunks: tuple[Chunk, ...]


class Rendered(NamedTuple):
    reception: int
    sha256: str
    lines: int


class Share(NamedTuple):
    """One reception's lines in a chunk, and what was found in them."""

    lines: pl.DataFrame
    findings: pl.DataFrame


class Part(NamedTuple):
    """What is rendered at once of a share."""

    share: Share
    worded: Worded | None  # of all lines of the share, where there are few words


def renderings(receptions: Sequence[Reception], chunks: Sequence[Chunk]) -> list[Rendering]:
    """All of these receptions, in lots."""
    holding = chunks_of(chunks)
    found = []
    for lot in lots(receptions, lambda reception: reception.length):
        numbers = tuple(reception.number for reception in lot)
        held = {chunk.number: chunk for number in numbers for chunk in holding.get(number, ())}
        found.append(Rendering(numbers, tuple(held.values())))
    return found


def chunks_of(chunks: Sequence[Chunk]) -> dict[int, tuple[Chunk, ...]]:
    """The chunks that hold lines of each reception."""
    holding: dict[int, list[Chunk]] = {}
    for chunk in chunks:
        for number in dict.fromkeys(piece.reception for piece in chunk.pieces):
            holding.setdefault(number, []).append(chunk)
    return {number: tuple(held) for number, held in holding.items()}


def render(centre: Centre, item: Rendering) -> list[Rendered]:
    """Task: render and seal the result files of a lot, chunk by chunk."""
    receptions = centre.ledger.receptions_of(item.receptions)
    form = centre.catalogue.formats[line_result(receptions[0].format) or ""]
    own = centre.bundle_of(receptions[0]).form
    told = explanations(own, centre.catalogue.reasons, found_in(centre, item.chunks))
    opened = {}
    if len(receptions) > 1:  # their lines lie in few chunks, each of them opened once
        opened = {chunk.number: shares_of(centre, chunk) for chunk in item.chunks}

    def shares(reception: Reception) -> Iterator[Share]:
        for chunk in item.chunks:
            held = opened.get(chunk.number) or shares_of(centre, chunk)
            if reception.number in held:
                yield held[reception.number]

    with durable.together():
        return [seal(centre, form, item, shares(item), told) for item in receptions]


def found_in(centre: Centre, chunks: Sequence[Chunk]) -> set[tuple[str, str]]:
    """Fields and codes of all that was found in some chunks: far fewer than there may be."""
    parts = [
        stage_of(centre, chunk.group, chunk.attempt)
        .get(f"{chunk.number:05d}.findings")
        .select("field", "code")
        .unique()
        for chunk in chunks
    ]
    return {pair for part in parts for pair in part.iter_rows()}


def seal(
    centre: Centre,
    form: Format,
    reception: Reception,
    shares: Iterator[Share],
    told: pl.DataFrame,
) -> Rendered:
    """Render and seal one reception's result file."""
    digest = hashlib.sha256()
    lines = 0

    def records_of(part: Part) -> tuple[Content, int]:
        worded = part.worded
        if worded is None:
            worded = worded_records(form, *part.share, told)
        return result_records(form, part.share.lines, worded)

    # Where all lines of a file have words, its result is most of the work of its commit.
    parts = (part for share in shares for part in parts_of(form, share, told))
    records = side_by_side(centre, records_of, parts)

    def pieces() -> Iterator[Content]:
        nonlocal lines
        for content, count in result_file(form, control_of(reception), records):
            digest.update(content)
            lines += count
            yield content

    originals.seal_result(centre, reception.original, pieces())
    return Rendered(reception.number, digest.hexdigest(), lines)


def parts_of(form: Format, share: Share, told: pl.DataFrame) -> Iterator[Part]:
    """A share in parts: what is rendered at once is all in memory, words above all.

    Few words are rendered for the whole share, as that costs some milliseconds; many with their
    part.
    """
    few = share.findings.height < PART
    worded = worded_records(form, *share, told) if few else None
    size = PART if few else PART // 2
    starts = range(0, share.lines.height, size)
    rows = share.lines["row"].to_numpy()[::size]
    places = np.searchsorted(share.findings["row"].to_numpy(), rows).tolist()
    bounds = pairwise([*places, share.findings.height])
    for start, (begin, end) in zip(starts, bounds, strict=True):
        yield Part(Share(share.lines[start : start + size], share.findings[begin:end]), worded)


def shares_of(centre: Centre, chunk: Chunk) -> dict[int, Share]:
    """A chunk's lines by reception: they stand one after another, as its pieces do."""
    stage = stage_of(centre, chunk.group, chunk.attempt)
    lines = stage.get(f"{chunk.number:05d}.outcome").with_row_index("row", offset=chunk.row)
    lines = lines.with_columns(pl.col("row").cast(pl.Int64))
    findings = stage.get(f"{chunk.number:05d}.findings")  # in ascending row
    owners = np.array([piece.reception for piece in chunk.pieces])
    ends = np.cumsum([piece.rows for piece in chunk.pieces])
    last = np.flatnonzero(np.append(owners[1:] != owners[:-1], True))
    bounds = [0, *ends[last].tolist()]
    places = np.searchsorted(findings["row"].to_numpy(), np.array(bounds) + chunk.row).tolist()
    return {
        int(owner): Share(lines[start:stop], findings[begin:end])
        for owner, (start, stop), (begin, end) in zip(
            owners[last], pairwise(bounds), pairwise(places), strict=True
        )
    }
