"""What lies there, counted anew: originals, results, table rows, outbox files, the operation log.

Tasks for `koukan.engine.verify`. They know the ledger only as the list of what to look at, and give
back counts and names. Nothing is held whole in memory but a block of a file and one column of rows.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from koukan.codecs.gate import Gate, whole_lines
from koukan.engine import entrusted, originals
from koukan.engine.centre import Centre
from koukan.engine.seen import Seen
from koukan.errors import IntegrityError, KoukanError, SecretError
from koukan.flows.registration import FORMER
from koukan.flows.results import line_result
from koukan.formats.model import Format
from koukan.keys.secret import open_regular
from koukan.ledger import Reception
from koukan.tables import encrypted
from koukan.tables.table import DataFile

Ints = npt.NDArray[np.int64]

BLOCK = 2 * 1024 * 1024
GONE = -1  # lines of a sealed file that does not open, or is not what was sealed
FRAME = 2  # control and end record
CLASSES = 3  # 処理結果区分: accepted 1, rejected 2, duplicate 3
COLUMNS = ("line_number", "processing_result_class")
COMMITTING = (
    "commit",
    "ask",
    "split",
    "take_in",
    "confirm",
    "allot",
    "extract",
)  # operations that commit a group


class Look(NamedTuple):
    """One reception to look at; `erasing` when its erasure may have been killed half-way."""

    reception: int
    erasing: bool


class Found(NamedTuple):
    """What was found of a reception. None: there is nothing to look at.

    Args:
        problems: keys with the names that belong to them.
        verdict: of the gate: code, line, data lines, data lines by insurer.
        classes: lines of the result that were accepted, rejected, duplicate.
    """

    problems: tuple[tuple[str, dict[str, str]], ...] = ()
    verdict: tuple[str | None, int, int, dict[str, int]] | None = None
    classes: tuple[int, int, int] | None = None


class Rows(NamedTuple):
    """Files of one partition of a table."""

    table: str
    files: tuple[DataFile, ...]


def look(centre: Centre, item: Look) -> Found:
    """Task: original and result of one reception."""
    reception = centre.ledger.reception(item.reception)
    if reception.original_erased:
        return Found()
    path = originals.original_path(centre, reception.original)
    if item.erasing and not path.exists():
        return Found()  # the next erasure finishes it and writes its record
    found = read_original(centre, reception)
    if reception.result_sha256 is None:
        return found
    rows = found.verdict[2] if found.verdict else reception.rows
    result = read_result(centre, reception, rows)
    return Found(found.problems + result.problems, found.verdict, result.classes)


def read_original(centre: Centre, reception: Reception) -> Found:
    """Hash, length and the gate's verdict, all in one pass."""
    if not definition_stands(centre, reception.definition):
        return Found((("verify.definition", {"format": reception.format}),))
    try:
        with originals.open_original(centre, reception.original) as original:
            seen = Seen(original.blocks(BLOCK))
            verdict = Gate(centre.bundle_of(reception).form).read(seen)
            for _ in seen:  # the gate stops at what refuses a file; the hash does not
                pass
    except (IntegrityError, SecretError) as error:
        require_damage(error)
        return Found((("verify.original_broken", {"path": reception.original}),))
    if (seen.sha256, seen.length) != (reception.sha256, reception.length):
        return Found((("verify.original_other", {"path": reception.original}),))
    return Found(verdict=(verdict.code, verdict.line, verdict.rows, dict(verdict.insurers)))


def require_damage(error: KoukanError) -> None:
    """Goes on for what is wrong with the file or its own key; raises what is wrong with us."""
    if not isinstance(error, IntegrityError) and error.key != "keys.key_absent":
        raise error


def sealed_lines(
    centre: Centre, reception: int, ordinal: int, sha256: str, *, beside: int = 0
) -> int:
    """Lines of a sealed file that a package is made of; `GONE` when it is not what was sealed.

    Args:
        beside: lines that do not count, as control and end record.
    """
    digest, lines = hashlib.sha256(), 0
    try:
        for block in entrusted.result_blocks(centre, reception, ordinal):
            digest.update(block)
            lines += block.count(b"\n")
    except (IntegrityError, SecretError) as error:
        require_damage(error)
        return GONE
    return lines - beside if digest.hexdigest() == sha256 else GONE


def definition_stands(centre: Centre, digest: str) -> bool:
    """Whether the definition that a reception was read by is still there, unaltered."""
    try:
        content = centre.folder("definitions", f"{digest}.json").read_bytes()
    except FileNotFoundError:
        return False
    return hashlib.sha256(content).hexdigest() == digest


def read_result(centre: Centre, reception: Reception, rows: int) -> Found:
    """Every one of `rows` data lines has its result; classes are counted by line."""
    form = centre.catalogue.formats[line_result(reception.format) or ""]
    name = reception.original
    try:
        with originals.read_result(centre, name) as result:
            seen = Seen(result.blocks(BLOCK))
            tally = Tally(form)
            for piece in whole_lines(seen, form.file.max_line_bytes):
                tally.add(piece)
    except (IntegrityError, SecretError) as error:
        require_damage(error)
        return Found((("verify.result_broken", {"path": name}),))
    gap = tally.gap(rows)
    if gap:
        return Found((("verify.result_lines", {"path": name, "line_number": str(gap)}),))
    if (seen.sha256, tally.records) != (reception.result_sha256, reception.result_lines):
        return Found((("verify.result_other", {"path": name}),))
    return Found(classes=tally.counted())


class Tally:
    """Counts the lines of a result file, piece by piece.

    Results stand in the order of the lines, several for a line with several findings, so that the
    last line number and class are all that must be kept between pieces.
    """

    def __init__(self, form: Format) -> None:
        record = form.section("line_result")
        names = ",".join(item.name for item in form.fields(record))
        self._head = names.encode() + form.file.line_end  # gives short lines all columns, too
        self._start = f"{record.code},".encode()
        self._end = form.file.line_end
        self._classes = np.zeros(CLASSES + 1, np.int64)
        self._line, self._class = 1, 0  # the control record is line 1
        self._gap = 0
        self.records = 0

    def add(self, piece: bytes) -> None:
        """Whole lines of the file; control and end record are passed over."""
        content = self._data(piece)
        if not content:
            return
        # Only numbers are read, so that the text around them needs no decoding: no second byte of a
        # character of CP932 is a comma or a line feed.
        chosen = [pl.col(name).cast(pl.Int64, strict=False).fill_null(0) for name in COLUMNS]
        frame = pl.read_csv(
            self._head + content,
            infer_schema=False,
            quote_char=None,
            encoding="utf8-lossy",
            truncate_ragged_lines=True,
        ).select(chosen)
        self._count(*(frame[name].to_numpy() for name in COLUMNS))

    def gap(self, rows: int) -> int:
        """The first line that has no result of its own, in a file of so many data lines; or 0."""
        if not self._gap and self._line != rows + 1:
            return min(self._line, rows + 1) + 1
        return self._gap

    def counted(self) -> tuple[int, int, int]:
        """Lines that were accepted, rejected, duplicate."""
        return int(self._classes[1]), int(self._classes[2]), int(self._classes[3])

    def _data(self, piece: bytes) -> bytes:
        start = 0 if piece.startswith(self._start) else piece.find(self._end) + len(self._end)
        last = piece.rfind(self._end, 0, len(piece) - len(self._end)) + len(self._end)
        if last < len(self._end):
            last = 0
        stop = len(piece) if piece.startswith(self._start, last) else last
        return piece[start:stop]

    def _count(self, lines: Ints, classes: Ints) -> None:
        self.records += len(lines)
        before = np.concatenate(([self._line], lines[:-1]))
        same = np.concatenate(([self._class], classes[:-1]))
        step = lines - before
        wrong = (step != 1) & ((step != 0) | (classes != same))
        wrong |= (classes < 1) | (classes > CLASSES)
        if wrong.any() and not self._gap:
            self._gap = int(before[int(wrong.argmax())]) + 1
        first = classes[(step == 1) & ~wrong]
        self._classes += np.bincount(first, minlength=CLASSES + 1)
        self._line, self._class = int(lines[-1]), int(classes[-1])


def count_rows(centre: Centre, item: Rows) -> list[tuple[int, str, int, int]]:
    """Task: (reception, insurer, rows, waiting) of one partition; no insurer where none is kept.

    The insurer is the one whose lines they were: events may be another's since. Rows of persons who
    wait for their 個人番号 are in a 委託区画 only.
    """
    table = centre.tables[item.table]
    columns = table.definition.columns(item.files[0].partition)
    insurer = [name for name in (FORMER, "insurer_code") if name in columns]
    own = pl.coalesce(*insurer, pl.lit(item.files[0].partition.get("insurer", "")))
    without = pl.col("link_number").is_null() if FORMER in columns else pl.lit(value=False)
    by = ["reception", "insurer"]
    of_reception = pl.col("reception") if "reception" in columns else pl.lit(0, pl.Int64)
    lazies = [
        table.open_file(file)
        .with_columns(insurer=own, waits=without, reception=of_reception)
        .group_by(by)
        .agg(rows=pl.len(), waiting=pl.col("waits").sum())
        for file in item.files
    ]
    found = pl.concat(encrypted.collect_all(lazies, path=table.folder))
    return found.group_by(by).agg(pl.col("rows", "waiting").sum()).sort(by).rows()


def laid_out(path: Path) -> tuple[str, int] | None:
    """Hash and lines of a file in an outbox; None when its owner has taken it."""
    try:
        handle = open_regular(path)
    except FileNotFoundError:
        return None
    if handle is None:
        return "", 0  # something else lies there under its name
    lines = 0
    with os.fdopen(handle, "rb") as file:
        seen = Seen(iter(lambda: file.read(BLOCK), b""))
        for block in seen:
            lines += block.count(b"\n")
    return seen.sha256, lines


def logged_groups(folder: Path) -> set[int]:
    """Groups whose commit the operation log tells of."""
    found = set()
    markers = [b'"operation":"%s"' % name.encode() for name in COMMITTING]
    for path in sorted(folder.glob("operations-*.jsonl")):
        with path.open("rb") as file:
            for line in file:
                if line.endswith(b"\n") and any(marker in line for marker in markers):
                    found.add(int(json.loads(line)["where"].get("group", 0)))
    return found
