"""request: the open questions of many insurers become one file for the register's side.

Flow 3, step 2: one request for each kind and mode, at most so many questions long; it names no
insurer. Rendered piece by piece and sealed under a key of its own. Nothing leaves here: `send` lays
it out, a bulk one only after an approval over its hash.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

import polars as pl

from koukan.codecs import render
from koukan.codecs.gate import TOTAL_MODULUS
from koukan.engine import asking, entrusted
from koukan.engine.centre import Centre
from koukan.errors import IntegrityError
from koukan.flows import identity
from koukan.formats.model import Format
from koukan.ledger import asking as repeats
from koukan.ledger import identity as asked
from koukan.ledger.identity import Questions
from koukan.sites import Job, Sender
from koukan.sites.schedule import JST

PIECE = 50_000  # questions that are text at the same time, by worker
SECTION = "request"


class Slice(NamedTuple):
    """Some questions of one file, in their order.

    Args:
        span: positions among which the `rows` questions stand, where not all of them are open.
    """

    reception: int
    generation: int
    first: int
    rows: int
    span: int | None = None

    @property
    def width(self) -> int:
        return self.rows if self.span is None else self.span


class Piece(NamedTuple):
    """A task's share of a request."""

    request: int
    number: int
    kind: str
    first_line: int  # レコード識別番号 of its first record
    slices: tuple[Slice, ...]


def run(centre: Centre, job: Job) -> None:
    """Cut requests until no question waits for one."""
    cut_all(centre, job, (identity.IMMEDIATE, identity.BULK))


def run_immediate(centre: Centre, job: Job) -> None:
    """Cut those of immediate questions alone.

    Bulk ones wait for the job's own time: all that came by then share a request and its approval.
    """
    cut_all(centre, job, (identity.IMMEDIATE,))


def cut_all(centre: Centre, job: Job, modes: Collection[str]) -> None:
    partner = centre.site.partner(identity.SYSTEM)
    waiting = [item for item in asked.unrequested(centre.ledger) if item.questions.mode in modes]
    repeated = asking.due(centre, modes)
    if partner is None or not (waiting or repeated):
        return
    limit = centre.site.identity.request_rows
    with centre.log.operation("request", job=job.name) as operation:
        requests = rows = 0
        for kind, mode in sorted({(item.kind, item.mode) for item, _, _ in waiting}):
            mine = [
                Slice(item.reception, item.generation, first, rows)
                for item, first, rows in waiting
                if (item.kind, item.mode) == (kind, mode)
            ]
            for slices in shared_out(mine, limit):
                rows += cut(centre, partner, kind, mode, slices)
                requests += 1
        for kind, mode in sorted({(item.kind, item.mode) for item in repeated}):
            files = [item for item in repeated if (item.kind, item.mode) == (kind, mode)]
            for slices, whole in asked_again(centre, files, limit):
                rows += cut(centre, partner, kind, mode, slices, again=whole)
                requests += 1
        operation.note(requests=requests, rows=rows)


def shared_out(slices: Sequence[Slice], limit: int) -> Iterator[list[Slice]]:
    """Slices in lots of at most `limit` rows; one that does not fit is divided.

    No lot has two of one file: a request holds one stretch of its questions.
    """
    lot: list[Slice] = []
    room = limit
    for whole in slices:
        rest = whole
        if lot and any(item.reception == whole.reception for item in lot[-1:]):
            yield lot
            lot, room = [], limit
        while rest.rows:
            part = rest._replace(rows=min(rest.rows, room))
            lot.append(part)
            room -= part.rows
            rest = rest._replace(first=rest.first + part.rows, rows=rest.rows - part.rows)
            if not room:
                yield lot
                lot, room = [], limit
    if lot:
        yield lot


def asked_again(
    centre: Centre, files: Sequence[Questions], limit: int
) -> Iterator[tuple[list[Slice], set[int]]]:
    """Open questions of these files in lots, and which files a lot leaves nothing of."""
    lot: list[Slice] = []
    whole: set[int] = set()
    room = limit
    for item in files:
        places = asking.places_of(centre, item)
        while len(places):
            some, places = places[: min(room, PIECE)], places[min(room, PIECE) :]
            first, span = int(some[0]), int(some[-1] - some[0]) + 1
            lot.append(Slice(item.reception, item.generation, first, len(some), span))
            room -= len(some)
            if not len(places):
                whole.add(item.reception)
            if not room:
                yield lot, whole
                lot, whole, room = [], set(), limit
    if lot:
        yield lot, whole


def cut(
    centre: Centre,
    partner: Sender,
    kind: str,
    mode: str,
    slices: Sequence[Slice],
    *,
    again: Collection[int] = (),
) -> int:
    """Write one request, piece by piece, then make it known; its questions.

    Args:
        again: files of which all open questions are asked again with it.
    """
    number, sequence = asked.next_request(centre.ledger, partner.name)
    form = centre.catalogue.formats[identity.REQUEST]
    place = entrusted.request_name(number)
    entrusted.start_request(centre, place)
    rows = sum(item.rows for item in slices)
    entrusted.seal_piece(centre, place, 0, head(centre, form, kind, mode, sequence))
    pieces = plan(number, kind, slices)
    for done, _ in enumerate(centre.workers.map(write, pieces), 1):
        centre.observe("rendered", step="request", done=done, total=len(pieces))
    entrusted.seal_piece(centre, place, len(pieces) + 1, end(form, rows))
    digest, length = hashlib.sha256(), 0
    for block in entrusted.request_blocks(centre, place):
        digest.update(block)
        length += len(block)
    values = {
        "number": number,
        "partner": partner.name,
        "kind": kind,
        "mode": mode,
        "name": f"JQ_koukan_{sequence:06d}.dat",
        "sequence": sequence,
        "rows": rows,
        "sha256": digest.hexdigest(),
        "length": length,
        "state": "cut",
        "created_at": centre.now(),
    }
    with centre.ledger.begin() as transaction:
        asked.put_request(transaction, values, parts_of(slices))
        repeats.cut(transaction, set(again), number)
    centre.observe("request cut", step="request")
    return rows


def parts_of(slices: Sequence[Slice]) -> list[dict[str, object]]:
    """One stretch of positions for each file."""
    found: dict[int, tuple[int, int]] = {}
    for item in slices:
        first, last = found.get(item.reception, (item.first, item.first))
        found[item.reception] = (first, max(last, item.first + item.width))
    return [
        {"reception": reception, "first": first, "rows": last - first}
        for reception, (first, last) in found.items()
    ]


def plan(request: int, kind: str, slices: Sequence[Slice]) -> list[Piece]:
    """Pieces of some 50,000 questions, their lines numbered through."""
    pieces, line = [], 1
    gaps = any(item.span is not None for item in slices)  # such a slice cannot be divided
    lots = ([item] for item in slices) if gaps else shared_out(slices, PIECE)
    for number, lot in enumerate(lots, 1):
        pieces.append(Piece(request, number, kind, line, tuple(lot)))
        line += sum(item.rows for item in lot)
    return pieces


def write(centre: Centre, piece: Piece) -> int:
    """Task: render and seal one piece; its rows.

    Raises:
        IntegrityError: the sealed questions are not those that the ledger knows.
    """
    frames = [
        entrusted.open_questions(centre, item.reception, item.generation).filter(
            pl.col("position").is_between(item.first, item.first + item.width - 1)
        )
        for item in piece.slices
    ]
    for item, frame in zip(piece.slices, frames, strict=True):
        if frame.height != item.rows:
            raise IntegrityError("engine.questions_missing", reception=item.reception)
    form = centre.catalogue.formats[identity.REQUEST]
    content = records(form, piece.kind, pl.concat(frames), piece.first_line)
    entrusted.seal_piece(centre, entrusted.request_name(piece.request), piece.number, content)
    return sum(frame.height for frame in frames)


def records(form: Format, kind: str, questions: pl.DataFrame, first_line: int) -> bytes:
    """Questions as lines of the request; the conditions are those of the definition."""
    lines = pl.int_range(first_line, first_line + pl.len(), dtype=pl.Int64)
    shown = questions.select(
        *identity.SEARCH_ITEMS[kind],
        record_number=_digits(lines, 10),
        request_record_number=_digits(pl.col("request_record_number"), identity.REQUEST_DIGITS),
        main_search_condition=identity.search_condition(kind),
    )
    return render.records(form, SECTION, shown)


def _digits(number: pl.Expr, length: int) -> pl.Expr:
    return number.cast(pl.String).str.zfill(length)


def head(centre: Centre, form: Format, kind: str, mode: str, sequence: int) -> bytes:
    """The control record."""
    values = {
        "file_sequence": f"{sequence:06d}",
        "creation_date": centre.clock().astimezone(JST).strftime("%Y%m%d"),
        "query_mode": mode,
        "query_type": identity.TYPES[kind],
    }
    return render.control(form, values)


def end(form: Format, rows: int) -> bytes:
    """The end record; the control total is that of the line numbers."""
    total = rows * (rows + 1) // 2 % TOTAL_MODULUS
    count = f"{rows:08d}"
    values = {"record_count": count, "request_count": count, "control_total": f"{total:018d}"}
    return render.end(form, values)
