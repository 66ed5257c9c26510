"""Data records that passed the gate become frames of strings, one for each record type.

Types are split on raw bytes before anything is parsed: each type then has its own header and one
width. Fixed-width records become delimited by a unit separator between their byte slices, so that
one path follows. Strings only; an empty field is null; nothing is judged here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from koukan.codecs.gate import BLOCK, Layout, layout_of
from koukan.codecs.text import REPLACEMENT, decode, find
from koukan.errors import IntegrityError
from koukan.formats.model import Format, Record

UNIT_SEPARATOR = 0x1F
# Characters that CP932 can hold and no rule lets pass, as UTF-8: a byte of the private area, the
# mark of a character that was lost on the way, and what undefined bytes become.
PRIVATE, GETA, REPLACED = b"\xee", "〓".encode(), REPLACEMENT.encode()
MANY = 10_000  # of them in one piece: then the rules look at every row


@dataclass(frozen=True)
class Decoded:
    """All records of one type in a piece: strings by field name with their row positions."""

    record: Record
    frame: pl.DataFrame
    rows: npt.NDArray[np.int64]
    suspicious: npt.NDArray[np.int64] | None  # see `suspicious_rows`


def line_offsets(content: bytes) -> npt.NDArray[np.int64]:
    """Where each line starts, and at last where the content ends (behind a line feed)."""
    ends = _line_feeds(np.frombuffer(content, np.uint8)) + 1
    return np.concatenate((np.zeros(1, np.int64), ends))


def lines_of(content: bytes, offsets: npt.NDArray[np.int64]) -> pa.LargeBinaryArray:
    """The lines with their line ends as one Arrow column over the same memory."""
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(content)]
    return pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(offsets) - 1, buffers)


def chosen_lines(lines: pa.LargeBinaryArray, mask: npt.NDArray[np.bool_]) -> pa.LargeBinaryArray:
    """Lines by a flag for each, one behind another. `pa.array` would load pandas, where it is."""
    return lines.filter(pl.Series(mask).to_arrow())


def joined(lines: pa.LargeBinaryArray) -> memoryview:
    """The bytes of a contiguous binary column."""
    offsets = np.frombuffer(lines.buffers()[1], np.int64)
    first, last = offsets[lines.offset], offsets[lines.offset + len(lines)]
    return memoryview(lines.buffers()[2]).cast("B")[int(first) : int(last)]


def type_codes(
    content: bytes, offsets: npt.NDArray[np.int64], layout: Layout
) -> npt.NDArray[np.uint8]:
    """レコード種別コード of every line; the gate has proven the digits."""
    octets = np.frombuffer(content, np.uint8)
    at = offsets[:-1] + layout.type
    return (octets[at] - np.uint8(48)) * np.uint8(10) + octets[at + 1] - np.uint8(48)


def decode_piece(
    form: Format, content: bytes, offsets: npt.NDArray[np.int64] | None = None
) -> Iterator[Decoded]:
    """Frames of the record types found in whole data lines, in the definition's order.

    One after another, so that no more than one need be in memory.

    Args:
        offsets: `line_offsets` of the content, where they are known.

    Raises:
        IntegrityError: the parser did not see the rows that the gate counted.
    """
    if not content:
        return
    if offsets is None:
        offsets = line_offsets(content)
    types = type_codes(content, offsets, layout_of(form))
    lines = lines_of(content, offsets)
    for record in form.records:
        mask = types == int(record.code)
        rows = np.flatnonzero(mask)
        if len(rows):
            chosen = lines if len(rows) == len(types) else chosen_lines(lines, mask)
            yield _decoded(form, record, joined(chosen), rows)


def _decoded(
    form: Format, record: Record, content: memoryview, rows: npt.NDArray[np.int64]
) -> Decoded:
    fields = form.fields(record)
    fixed = form.file.syntax == "fixed"
    octets = _delimited(content, [item.slot for item in fields]) if fixed else content
    separator = chr(UNIT_SEPARATOR) if fixed else ","
    head = separator.join(item.name for item in fields).encode() + form.file.line_end
    text, clean = decode(octets, form.file.encoding, head=head)
    frame = pl.read_csv(
        text,
        infer_schema=False,
        quote_char=None,
        separator=separator,
        eol_char="\n",
    )
    if frame.height != len(rows):
        raise IntegrityError("decode.rows", format=form.name)
    if fixed:
        trimmed = pl.all().str.strip_chars_end(" ")
        frame = frame.select(pl.when(trimmed != "").then(trimmed).name.keep())
    suspicious = suspicious_rows(text, form.file.encoding, clean=clean, start=len(head))
    return Decoded(record, frame, rows, suspicious)


def _delimited(content: memoryview, slots: list[int]) -> memoryview:
    """Records of one byte length with a separator written between their slices."""
    octets = np.frombuffer(content, np.uint8)
    width = sum(slots)
    ends = np.flatnonzero(octets[width:][:2] == 10)
    length = width + int(ends[0]) + 1
    table = octets.reshape(-1, length)
    # A delimiter inside a slice would shift the fields behind it: the gate let none through, since
    # 0x1F is a control character and never a trail byte of CP932.
    result = np.full((table.shape[0], length + len(slots) - 1), UNIT_SEPARATOR, np.uint8)
    source = target = 0
    for index, slot in enumerate(slots):
        stop = slot if index < len(slots) - 1 else length - source
        result[:, target : target + stop] = table[:, source : source + stop]
        source, target = source + stop, target + stop + 1
    return result.reshape(-1).data


def suspicious_rows(
    text: bytes, encoding: str, *, clean: bool, start: int = 0
) -> npt.NDArray[np.int64] | None:
    """Rows that certainly hold a character which the rules forbid; None: all must be looked at.

    Of what CP932 can hold these are the private area (in UTF-8 it begins with EE), the geta mark,
    and the replacement character of undefined bytes; no rule lets any of them pass in any field.
    So a few bytes are searched for, and no row is looked at. UTF-8 can hold many more.

    Args:
        clean: every byte was defined, so there is no replacement character.
        start: where the first row begins.
    """
    if encoding != "cp932":
        return np.zeros(0, np.int64) if text.isascii() else None
    if clean and text.isascii():
        return np.zeros(0, np.int64)
    found = [_places(text, mark, start) for mark in (PRIVATE, GETA)]
    if not clean:
        found.append(_places(text, REPLACED, start))
    places = np.sort(np.concatenate(found))
    if len(places) >= MANY:
        return None
    if not len(places):
        return places
    feeds = _line_feeds(np.frombuffer(text, np.uint8)[start : places[-1]])
    return np.unique(np.searchsorted(feeds, places - start))


def _places(text: bytes, mark: bytes, start: int) -> npt.NDArray[np.int64]:
    """Where a mark stands in a text from `start` on.

    Nearly always there is none, which the C library tells faster than anything. Where there is one,
    all others are found at once, in blocks that stay in cache.
    """
    first = find(text, mark, start)
    octets = np.frombuffer(text, np.uint8)
    parts = [np.zeros(0, np.int64)]
    for at in range(first, len(text), BLOCK) if first >= 0 else ():
        block = octets[at : at + BLOCK + len(mark) - 1]
        begins = max(len(block) - len(mark) + 1, 0)
        hits = block[:begins] == mark[0]
        for place, octet in enumerate(mark[1:], 1):
            hits &= block[place : place + begins] == octet
        parts.append(np.flatnonzero(hits) + at)
    return np.concatenate(parts)


def _line_feeds(octets: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """Where they stand: byte by byte, which neither `find` nor a regular expression is as fast
    as, and others may run meanwhile; in blocks that stay in cache.
    """
    parts = [np.zeros(0, np.int64)]
    for start in range(0, len(octets), BLOCK):
        parts.append(np.flatnonzero(octets[start : start + BLOCK] == ord("\n")) + start)
    return np.concatenate(parts)
