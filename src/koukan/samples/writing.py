"""Frames become the bytes of an exchanged file: control record, lines in order, end record."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import BinaryIO

import polars as pl

from koukan.codecs.render import padded
from koukan.codecs.text import encode
from koukan.durable import publish
from koukan.formats.model import Field, Format

BLOCK = 50_000  # lines that are text at the same time
TOTAL_MODULUS = 10**18
PART = ".part"  # what a sender appends to the name of a file that it is still writing


@dataclass(frozen=True)
class WrittenFile:
    """What was written. `lines` are those between control and end record."""

    name: str
    lines: int
    sha256: str
    length: int  # bytes


def file_name(form: Format, sender: str, sequence: int) -> str:
    """The agreed name: the format's example with this sender and number in it."""
    found = form.file.expression.fullmatch(form.file.example)
    assert found is not None  # the definition was checked against its example
    name = form.file.example
    parts = {"sender": sender, "sequence": f"{sequence:06d}"}
    for group in sorted(parts, key=found.start, reverse=True):
        name = name[: found.start(group)] + parts[group] + name[found.end(group) :]
    return name


def write_file(
    target: Path | BinaryIO,
    form: Format,
    frames: Mapping[str, pl.DataFrame] | Iterable[Mapping[str, pl.DataFrame]],
    *,
    sender: str,
    sequence: int,
    creation_date: date,
    control: Mapping[str, str] | None = None,
) -> WrittenFile:
    """Write one whole file with right counts and control total.

    Args:
        target: a folder, in which the file gets its agreed name; a path; or an open binary file.
        frames: section -> lines, or pieces of them, one after another: what is in memory is one
            piece and a block of its text. Lines go out by record number, then section.
        control: further values of the control record, such as query_mode; what is not given is as
            the definition's sample says.

    Raises:
        UnicodeEncodeError: a value does not exist in the file's encoding.
    """
    pieces = [frames] if isinstance(frames, Mapping) else frames
    name = file_name(form, sender, sequence)
    writer = _Writer(form)
    head = {**(control or {}), "sender": sender, "file_sequence": f"{sequence:06d}"}
    head["creation_date"] = creation_date.strftime("%Y%m%d")
    if not isinstance(target, Path):
        for block in writer.blocks(head, pieces):
            target.write(block)
        return writer.written(name)
    final = target / name if target.is_dir() else target
    part = final.with_name(final.name + PART)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        for block in writer.blocks(head, pieces):
            file.write(block)
    publish(part, final, length=writer.length, replace=True)
    return writer.written(name)


@dataclass
class _Writer:
    """Counts while it renders."""

    form: Format
    lines: int = 0
    total: int = 0
    length: int = 0
    sections: dict[str, int] = field(default_factory=dict)
    hash: hashlib._Hash = field(default_factory=hashlib.sha256)

    def blocks(
        self, control: Mapping[str, str], pieces: Iterable[Mapping[str, pl.DataFrame]]
    ) -> Iterator[bytes]:
        yield self._seen(self._single(self.form.control, control))
        end = self.form.file.line_end.decode()
        for frames in pieces:
            lines = self._lines(frames)
            for start in range(0, lines.len(), BLOCK):
                block = lines.slice(start, BLOCK).str.join(end).item() + end
                yield self._seen(encode(block, self.form.file.encoding))
        yield self._seen(self._single(self.form.end, self._end()))

    def written(self, name: str) -> WrittenFile:
        return WrittenFile(name, self.lines, self.hash.hexdigest(), self.length)

    def _seen(self, block: bytes) -> bytes:
        self.hash.update(block)
        self.length += len(block)
        return block

    def _single(self, fields: tuple[Field, ...], values: Mapping[str, str]) -> bytes:
        """A control or end record: what is not given is as the definition's sample says."""
        row = pl.DataFrame({item.name: values.get(item.name, item.sample) for item in fields})
        line: str = row.select(self._line(fields)).item()
        return encode(line, self.form.file.encoding) + self.form.file.line_end

    def _end(self) -> dict[str, str]:
        counts = {f"{name}_count": f"{count:08d}" for name, count in self.sections.items()}
        total = f"{self.total % TOTAL_MODULUS:018d}"
        return {**counts, "record_count": f"{self.lines:08d}", "control_total": total}

    def _line(self, fields: tuple[Field, ...]) -> pl.Expr:
        if self.form.file.syntax == "csv":
            values = [pl.col(item.name).fill_null("") for item in fields]
            return pl.concat_str(values, separator=",")
        return pl.concat_str([padded(item) for item in fields])

    def _lines(self, frames: Mapping[str, pl.DataFrame]) -> pl.Series:
        """All lines of a piece; the lines of one person stand together, section by section."""
        parts = []
        for place, record in enumerate(self.form.records):
            frame = frames[record.section]
            name = record.section
            self.sections[name] = self.sections.get(name, 0) + frame.height
            part = frame.select(
                line=self._line(self.form.fields(record)),
                number=pl.col("record_number").cast(pl.Int64),
                place=pl.lit(place, pl.Int8),
            )
            parts.append(part)
        ordered = pl.concat(parts).sort("number", "place", maintain_order=True)
        self.lines += ordered.height
        self.total += int(ordered["number"].sum())
        return ordered["line"]
