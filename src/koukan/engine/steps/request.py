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
from koukan.engine import entrusted
from koukan.engine.centre import Centre
from koukan.errors import IntegrityError
from koukan.flows import identity
from koukan.formats.model import Format
from koukan.ledger import identity as asked
from koukan.sites import Job, Sender
from koukan.sites.schedule import JST

PIECE = 50_000  # questions that are text at the same time, by worker
SECTION = "request"


class Slice(NamedTuple):
    """Some questions of one file, in their order."""

    reception: int
    generation: int
    first: int
    rows: int


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
    if partner is None or not waiting:
        return
    with centre.log.operation("request", job=job.name) as operation:
        requests = rows = 0
        for kind, mode in sorted({(item.kind, item.mode) for item, _, _ in waiting}):
            mine = [
                Slice(item.reception, item.generation, first, rows)
                for item, first, rows in waiting
                if (item.kind, item.mode) == (kind, mode)
            ]
            for slices in shared_out(mine, centre.site.identity.request_rows):
                cut(centre, partner, kind, mode, slices)
                requests, rows = requests + 1, rows + sum(item.rows for item in slices)
                centre.observe("request cut", step="request")
        operation.note(requests=requests, rows=rows)


def shared_out(slices: Sequence[Slice], limit: int) -> Iterator[list[Slice]]:
    """Slices in lots of at most `limit` rows; one that does not fit is divided."""
    lot: list[Slice] = []
    room = limit
    for whole in slices:
        rest = whole
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


def cut(centre: Centre, partner: Sender, kind: str, mode: str, slices: Sequence[Slice]) -> None:
    """Write one request, piece by piece, then make it known."""
    number, sequence = asked.next_request(centre.ledger, partner.name)
    form = centre.catalogue.formats[identity.REQUEST]
    entrusted.start_request(centre, number)
    rows = sum(item.rows for item in slices)
    entrusted.seal_piece(centre, number, 0, head(centre, form, kind, mode, sequence))
    pieces = plan(number, kind, slices)
    for done, _ in enumerate(centre.workers.map(write, pieces), 1):
        centre.observe("rendered", step="request", done=done, total=len(pieces))
    entrusted.seal_piece(centre, number, len(pieces) + 1, end(form, rows))
    digest, length = hashlib.sha256(), 0
    for block in entrusted.request_blocks(centre, number):
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
    parts = [
        {"reception": item.reception, "first": item.first, "rows": item.rows} for item in slices
    ]
    with centre.ledger.begin() as transaction:
        asked.put_request(transaction, values, parts)


def plan(request: int, kind: str, slices: Sequence[Slice]) -> list[Piece]:
    """Pieces of some 50,000 questions, their lines numbered through."""
    pieces, line = [], 1
    for number, lot in enumerate(shared_out(slices, PIECE), 1):
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
            pl.col("position").is_between(item.first, item.first + item.rows - 1)
        )
        for item in piece.slices
    ]
    for item, frame in zip(piece.slices, frames, strict=True):
        if frame.height != item.rows:
            raise IntegrityError("engine.questions_missing", reception=item.reception)
    form = centre.catalogue.formats[identity.REQUEST]
    content = records(form, piece.kind, pl.concat(frames), piece.first_line)
    entrusted.seal_piece(centre, piece.request, piece.number, content)
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
