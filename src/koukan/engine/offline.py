"""The offline checker: what a sender can know of a file before sending it.

No site, no keys, no network; the gate, the schemas and the rules over lines are the engine's own,
so codes and sentences are those of a real reception. What needs the history (R4…, W4…), the
site's rights (F2…) or the file that is mended (F122, R307) cannot be known here.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO, NamedTuple, overload

import numpy as np
import numpy.typing as npt
import polars as pl

from koukan.codecs.gate import Cut, Gate, Verdict
from koukan.codecs.records import Decoded, decode_piece, line_offsets, lines_of
from koukan.errors import TransientError, UsageError
from koukan.exchange.folder import safe_name
from koukan.flows import identity, registration
from koukan.formats import Bundle, Catalogue, bundle
from koukan.formats.model import Format, Reason
from koukan.rules import single
from koukan.rules.acknowledge import sentence
from koukan.rules.checks import FINDINGS
from koukan.rules.fitting import SPAN, Days, misfits, span_columns
from koukan.rules.line_keys import KEYS, NONE, key_columns, room_for
from koukan.rules.register import (
    NEW,
    Ints,
    Judgement,
    Lines,
    Mask,
    companions,
    duplicate_candidates,
    duplicates,
    judge,
)
from koukan.rules.shares import beyond
from koukan.rules.validate import BAD, Validator, validators
from koukan.sites.schedule import day_of
from koukan.sites.settings import Limits

BLOCK = 2 * 1024 * 1024
FIRST_LINE = 2  # of the data; the control record is line 1
SEEDS = (1, 2)  # two hashes of 64 bits: equal content, not only equal hash
WORDS = ("field", "code", "label", "title", "text", "action")
COUNTS = ("received", "accepted", "rejected", "duplicate")


@dataclass(frozen=True)
class Finding:
    """One thing about one line, in the words of its result. No value of a field is in it."""

    line: int
    record_number: str
    section: str
    field: str
    label: str
    code: str
    title: str
    text: str
    action: str


class Findings(Sequence[Finding]):
    """All findings by line, field and code; kept as columns, made into objects where asked for."""

    def __init__(self, frame: pl.DataFrame) -> None:
        self._frame = frame

    def __len__(self) -> int:
        return self._frame.height

    @overload
    def __getitem__(self, at: int) -> Finding: ...
    @overload
    def __getitem__(self, at: slice) -> Findings: ...
    def __getitem__(self, at: int | slice) -> Finding | Findings:
        if isinstance(at, slice):
            return Findings(self._frame[at])
        return Finding(**self._frame.row(range(len(self))[at], named=True))

    def parts(self, rows: int) -> Iterator[pl.DataFrame]:
        """All of them as frames of so many rows, columns named as in `Finding`."""
        return self._frame.iter_slices(rows)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Findings) and self._frame.equals(other._frame)

    __hash__ = None  # type: ignore[assignment]

    def __iter__(self) -> Iterator[Finding]:
        return (Finding(**row) for row in self._frame.iter_rows(named=True))


@dataclass(frozen=True)
class Judged:
    """What the rules say of a file's lines; `findings` are row, field, code, in that order."""

    lines: Lines
    rejected: Mask
    duplicate: Mask
    findings: pl.DataFrame


@dataclass(frozen=True)
class Report:
    """What is known of a file.

    Args:
        form: name of the format; empty when the file's name is none's and none was named.
        code: why the whole file would be refused, or None.
        line: where, or 0.
        rows: data lines.
        counts: lines received, accepted, rejected, duplicate, as far as the file alone tells; all 0
            when the gate refuses it.
        findings: of single lines, also of a file that would be refused for its name or its shares.
    """

    form: str
    code: str | None
    line: int
    rows: int
    counts: dict[str, int]
    findings: Findings


def check_file(
    path: Path,
    catalogue: Catalogue,
    format_name: str | None = None,
    *,
    language: str = "ja",
    now: datetime | None = None,
) -> Report:
    """Check one file as the centre would, without its history.

    Memory holds some 24 MiB of the file, and of every line its numbers.

    Args:
        format_name: which format it is; when absent, the file's name tells.
        language: of labels' sentences, ja or en.
        now: the time by whose day definitions hold; the present one when absent.

    Raises:
        UsageError: there is no such format, or no such file.
        TransientError: the file changed while it was read.
    """
    form = format_of(path, catalogue, format_name)
    if form is None:
        return _refused("", "F101", 0, 0)
    shown = safe_name(path.name)
    try:
        with path.open("rb") as file:
            before = _state(file)
            verdict = Gate(form).read(iter(lambda: file.read(BLOCK), b""))
            code, line = named(form, path.name, verdict)
            if verdict.code is not None:
                report = _refused(form.name, verdict.code, verdict.line, verdict.rows)
            else:
                today = day_of(now or datetime.now(UTC)).strftime("%Y%m%d")
                definition = bundle(catalogue, form.name, on=today)
                report = _check(file, definition, verdict, catalogue, language)
            if _state(file) != before:
                raise TransientError("offline.changed", file=shown)
    except OSError:
        raise UsageError("offline.no_file", file=shown) from None
    return replace(report, code=code, line=line) if code else report


def _state(file: BinaryIO) -> tuple[int, int]:
    status = os.fstat(file.fileno())
    return status.st_size, status.st_mtime_ns


def format_of(path: Path, catalogue: Catalogue, format_name: str | None) -> Format | None:
    """The named format, else the one whose pattern claims the file's name."""
    inbound = {
        name: form for name, form in catalogue.formats.items() if form.direction == "inbound"
    }
    if format_name is not None:
        if format_name not in inbound:
            known = ", ".join(sorted(inbound))
            raise UsageError("offline.no_format", format=safe_name(format_name), known=known)
        return inbound[format_name]
    claiming = (form for form in inbound.values() if form.file.expression.fullmatch(path.name))
    return next(claiming, None)


def named(form: Format, name: str, verdict: Verdict) -> tuple[str | None, int]:
    """F101 for a name that is not the format's, F119 for one that its control record denies."""
    match = form.file.expression.fullmatch(name)
    if match is None:
        return "F101", 0
    if verdict.code is not None:
        return None, 0
    parts, control = match.groupdict(), verdict.control
    sequence = int(parts["sequence"])
    other = parts.get("sender", control["sender"]) != control["sender"]
    if other or sequence != int(control["file_sequence"]) or not sequence:
        return "F119", 1
    return None, 0


def _refused(form: str, code: str, line: int, rows: int) -> Report:
    types = {item.name: pl.Int64 if item.name == "line" else pl.String for item in fields(Finding)}
    nothing = Findings(pl.DataFrame(schema=types))
    return Report(form, code, line, rows, dict.fromkeys(COUNTS, 0), nothing)


def _check(
    file: BinaryIO, definition: Bundle, verdict: Verdict, catalogue: Catalogue, language: str
) -> Report:
    """Single lines, then the rules over lines, of a file that passed the gate."""
    form = definition.form
    if not verdict.rows:
        return replace(_refused(form.name, "", 0, 0), code=None)
    if form.name in registration.FORMATS:
        judged = registered(file, definition, verdict)
    else:
        judged = alone(file, definition, verdict)
    rejected, repetitions = int(judged.rejected.sum()), int(judged.duplicate.sum())
    unreadable = judged.findings.filter(pl.col("code") == "R106")["row"].n_unique()
    accepted = verdict.rows - rejected - repetitions
    return Report(
        form.name,
        beyond(form, verdict.rows, unreadable, rejected),
        0,
        verdict.rows,
        dict(zip(COUNTS, (verdict.rows, accepted, rejected, repetitions), strict=True)),
        Findings(worded(form, judged, catalogue.reasons, language)),
    )


def registered(file: BinaryIO, definition: Bundle, verdict: Verdict) -> Judged:
    """Lines of persons: those with one レコード識別番号 stand or fall together."""
    read = read_lines(file, definition, verdict)
    lines, form = read.lines, definition.form
    rows = duplicate_candidates(lines)
    twice = duplicates(lines, rows, digests(file, form, verdict.cuts, rows))
    judgement = judge(form, lines, *twice)
    of_line = judgement.persons.of_line
    fallen = judgement.rejected[of_line] & ~judgement.duplicate
    # Of what kind an insurer is, only a site knows.
    remarks = pl.concat([misfits(form, lines, of_line, read.days, {}), waiting(judgement)])
    silent = fallen | judgement.duplicate
    remarks = remarks.filter(pl.Series(~silent[remarks["row"].to_numpy()]))
    found = all_findings(judgement, pl.concat([judgement.findings, read.findings, remarks]))
    return Judged(lines, fallen, judgement.duplicate, found)


def waiting(judgement: Judgement) -> pl.DataFrame:
    """The remark on new persons without 個人番号, if they are accepted."""
    persons = judgement.persons
    waits = (persons.process == NEW) & (persons.my_number == NONE)
    rows = pl.DataFrame({"row": persons.first[waits].astype(np.int64)})
    return rows.with_columns(field=pl.lit("my_number"), code=pl.lit("W402"))


def alone(file: BinaryIO, definition: Bundle, verdict: Verdict) -> Judged:
    """Lines that stand alone: questions, receipts; of answers, what goes without the questions."""
    read = read_lines(file, definition, verdict, hashed=True)
    lines = read.lines
    if definition.form.name == identity.ANSWER:
        return Judged(lines, lines.bad, np.zeros(len(lines), np.bool_), read.findings)
    given = single.Lines(
        lines.reception, lines.record_number, lines.insurer, lines.bad, read.content
    )
    judgement = single.judge(given)
    found = pl.concat([judgement.findings, read.findings]).sort("row", "field", "code")
    return Judged(lines, judgement.rejected, judgement.duplicate, found)


class Read(NamedTuple):
    """All lines as numbers, and the findings of single ones."""

    lines: Lines
    days: Days
    content: tuple[single.Hashes, single.Hashes]  # two hashes of each line, if wanted
    findings: pl.DataFrame  # row, field, code


def read_lines(
    file: BinaryIO, definition: Bundle, verdict: Verdict, *, hashed: bool = False
) -> Read:
    """Decode and check all lines, piece by piece."""
    compiled = validators(definition)
    keys = room_for(pl.Schema({**KEYS, **SPAN}), verdict.rows)
    content = [np.zeros(verdict.rows if hashed else 0, np.uint64) for _ in single.SEEDS]
    parts = [FINDINGS.to_frame()]
    for start, piece in pieces(file, verdict.cuts):
        for decoded in decode_piece(definition.form, piece):
            numbers, found = check_section(compiled[decoded.record.section], decoded)
            rows = pl.Series(decoded.rows + start)
            place = rows.to_numpy()
            for name, column in keys.items():
                column[place] = numbers[name].to_numpy()
            if hashed:
                names = [item.name for item in decoded.record.own]
                for column, own in zip(
                    content, single.content_of(decoded.frame, names), strict=True
                ):
                    column[place] = own
            parts.append(found.with_columns(row=rows.gather(found["row"])))
    days = Days(*(keys.pop(name) for name in SPAN))
    lines = Lines(reception=np.zeros(verdict.rows, np.int64), **keys)
    return Read(lines, days, (content[0], content[1]), pl.concat(parts))


def check_section(validator: Validator, decoded: Decoded) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The numbers of the lines of one record type, and their findings (row in the frame)."""
    checked, settled = validator.check(decoded.frame, suspicious=decoded.suspicious)
    bad = checked[BAD]
    numbers = decoded.frame.with_columns(bad).select(
        *key_columns(validator.form, decoded.record, BAD)
    )
    spans = checked.with_columns(span_columns(decoded.record, checked.columns))
    numbers = numbers.hstack(spans.select(SPAN.names()))
    if not bad.any():
        return numbers, FINDINGS.to_frame()
    place = bad.arg_true().cast(pl.Int64)
    if len(place) > Limits().pandera_rows:
        found = validator.details(decoded.frame, rows=place.to_numpy(), settled=settled)
        return numbers, found
    found = validator.details_with_pandera(decoded.frame.filter(bad))
    return numbers, found.with_columns(row=place.gather(found["row"]))


def pieces(file: BinaryIO, cuts: Sequence[Cut]) -> Iterator[tuple[int, bytes]]:
    """Whole data lines between the gate's cuts, with the number of lines before them."""
    for start, stop in pairwise(cuts):
        file.seek(start.offset)
        content = file.read(stop.offset - start.offset)
        if len(content) != stop.offset - start.offset:
            raise TransientError("offline.changed", file=safe_name(Path(file.name).name))
        yield start.rows, content


def digests(
    file: BinaryIO, form: Format, cuts: Sequence[Cut], rows: Ints
) -> list[npt.NDArray[np.uint64]]:
    """Hashes of lines behind their レコード識別番号; compared within this check only."""
    skip = form.common[0].slot + (1 if form.file.syntax == "csv" else 0)
    parts: list[list[npt.NDArray[np.uint64]]] = [[np.zeros(0, np.uint64)] for _ in SEEDS]
    for (start, content), stop in (
        zip(pieces(file, cuts), cuts[1:], strict=True) if len(rows) else ()
    ):
        inside = rows[(rows >= start) & (rows < stop.rows)] - start
        if len(inside):
            lines = pl.Series(
                "line", pl.from_arrow(lines_of(content, line_offsets(content)).take(inside))
            )
            behind = lines.bin.slice(skip)
            for part, seed in zip(parts, SEEDS, strict=True):
                part.append(behind.hash(seed=seed).to_numpy())
    return [np.concatenate(part) for part in parts]


def all_findings(judgement: Judgement, found: pl.DataFrame) -> pl.DataFrame:
    """Findings of every rule, with those of repeated lines and of lines that fall with others."""
    whole = companions(judgement, found, judgement.rejected)
    repeated = pl.DataFrame({"row": np.flatnonzero(judgement.duplicate)}).with_columns(
        field=pl.lit("record_number"), code=pl.lit("D301")
    )
    return pl.concat([whole, repeated]).sort("row", "field", "code")


def worded(
    form: Format, judged: Judged, reasons: Mapping[str, Reason], language: str
) -> pl.DataFrame:
    """Findings with all that `Finding` says."""
    lines, found = judged.lines, judged.findings
    items = {item.name: item for item in form.all_fields}
    said = [
        {"field": name, "code": code, "label": items[name].label}
        | _words(reasons[code], items[name].length, language)
        for name, code in found.select("field", "code").unique().iter_rows()
    ]
    words = pl.DataFrame(said, schema=dict.fromkeys(WORDS, pl.String))
    place = found["row"].to_numpy()
    sections = {int(record.code): record.section for record in form.records}
    return (
        found.select(
            "field",
            "code",
            line=pl.col("row") + FIRST_LINE,
            record_number=pl.Series(lines.record_number[place]).cast(pl.String).str.zfill(10),
            section=pl.Series(lines.type[place]).replace_strict(sections, return_dtype=pl.String),
        )
        .join(words, on=["field", "code"], how="left", maintain_order="left")
        .select(item.name for item in fields(Finding))
    )


def _words(reason: Reason, length: int, language: str) -> dict[str, str]:
    if language == "en":
        text = reason.text_en.replace("{length}", str(length))
        return {"title": reason.title_en, "text": text, "action": reason.action_en}
    text = sentence(reason, length=length)
    return {"title": reason.title, "text": text, "action": reason.action}
