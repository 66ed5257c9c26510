"""The byte gate: the first reader of every file, and the only one that trusts nothing.

No parser is safe as a first reader: they pad torn rows, drop rows behind a stray quote, read
CR-only files as nothing and unpack archives behind `.csv`. So bytes pass here first, in sub-blocks
of two MiB that stay in cache, over numpy columns and never by a loop over rows. What passes has:
one line end throughout, no control character, a control record first and an end record last, the
exact field count (or byte length) in every record, well-formed leading fields, and counts and
control totals that agree. The result is a verdict of counts; nothing of the content is kept.

In every data record the leading fields have fixed length, so that person, type and insurer stand at
known offsets: レコード識別番号 10, レコード種別コード 2, and where records speak for insurers also
保険者コード 8. Lines of a national system speak for none: they are counted under `NOBODY`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from koukan.codecs.digits import (
    Bytes,
    Ints,
    counted_before,
    eight_digits,
    two_digits,
    words_of,
)
from koukan.codecs.text import decode
from koukan.formats.model import Field, Format

BLOCK = 2 * 1024 * 1024  # temporaries of a block this size stay in cache
CUT = 24 * 1024 * 1024  # a place to cut the file into tasks at least every so many bytes
END_CODE, CONTROL_CODE = b"99", b"00"
TOTAL_MODULUS = 10**18
NOBODY = "00000000"  # 保険者コード of lines that name no insurer
ARCHIVES = (
    b"\x1f\x8b",
    b"PK\x03\x04",
    b"\x28\xb5\x2f\xfd",
    b"BZh",
    b"\xfd7zXZ",
    b"7z\xbc\xaf",
    b"%PDF",
)
MARKS = (b"\xef\xbb\xbf", b"\xfe\xff", b"\xff\xfe")


@dataclass(frozen=True)
class Cut:
    """A line boundary: `offset` bytes and `rows` data records lie before it."""

    offset: int
    rows: int


@dataclass
class Verdict:
    """What the gate found. `code` is None when the file passed."""

    code: str | None = None
    line: int = 0
    rows: int = 0
    control: dict[str, str] = field(default_factory=dict)
    insurers: dict[str, int] = field(default_factory=dict)  # 保険者コード -> records
    first_lines: dict[str, int] = field(default_factory=dict)  # 保険者コード -> first line
    cuts: list[Cut] = field(default_factory=list)  # start of the data, cuts, end of the data


class Refused(Exception):
    """Ends the reading, no error: a code of rejects.toml and the line, 0 when no line is meant."""

    def __init__(self, code: str, line: int = 0) -> None:
        super().__init__(code)
        self.code = code
        self.line = line


@dataclass(frozen=True)
class Layout:
    """Offsets of the leading fields and the size of each record type, from the definition."""

    csv: bool
    separators: tuple[int, ...]  # offsets of the commas between the leading fields
    number: int
    type: int
    insurer: int | None  # None: the records name none
    head: int  # bytes of the leading fields with their separators
    sizes: npt.NDArray[np.int32]  # by type code: commas in a line (csv) or its bytes (fixed); -1


class _Key:
    """A format as a key, by identity: it is large to compare."""

    def __init__(self, form: Format) -> None:
        self.form = form

    def __hash__(self) -> int:
        return id(self.form)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and other.form is self.form


def layout_of(form: Format) -> Layout:
    """Where the leading fields of a format's records stand; worked out once for each format."""
    return _layout(_Key(form))


@lru_cache(maxsize=32)
def _layout(key: _Key) -> Layout:
    form = key.form
    csv = form.file.syntax == "csv"
    offsets, separators, position = {}, [], 0
    for item in form.leading:
        offsets[item.name] = position
        position += item.slot
        if csv:
            separators.append(position)
            position += 1
    sizes = np.full(100, -1, np.int32)
    for record in form.records:
        fields = form.fields(record)
        width = sum(item.slot for item in fields)
        sizes[int(record.code)] = len(fields) - 1 if csv else width
    return Layout(
        csv=csv,
        separators=tuple(separators),
        number=offsets["record_number"],
        type=offsets["record_type_code"],
        insurer=offsets.get("insurer_code"),
        head=position,
        sizes=sizes,
    )


def whole_lines(blocks: Iterable[bytes], line_limit: int) -> Iterator[bytes]:
    """The same bytes, cut behind line feeds; the last piece may lack one."""
    rest = b""
    for block in blocks:
        end = block.rfind(b"\n")
        if end < 0:
            rest += block
            if len(rest) > line_limit + BLOCK:
                yield rest  # a line far too long: let the checks name it
                rest = b""
            continue
        yield b"".join((rest, memoryview(block)[: end + 1]))  # copied once
        rest = block[end + 1 :]
    if rest:
        yield rest


class Gate:
    """Reads one file through; `verdict` tells what was found."""

    def __init__(self, form: Format) -> None:
        self.form = form
        self.layout = layout_of(form)
        self.verdict = Verdict()
        self._counts = np.zeros(100, np.int64)
        self._total = 0
        self._offset = 0
        self._line = 1  # number of the next line
        self._utf8_japanese = form.file.encoding == "cp932"  # may the file be UTF-8 instead?
        self._wide = False
        self._end: bytes | None = None

    def read(self, blocks: Iterable[bytes]) -> Verdict:
        """Take the content in blocks of any size.

        Returns:
            the verdict; its `code` names what is wrong with the first line that is wrong, however
            the blocks were cut.
        """
        try:
            for piece in whole_lines(blocks, self.form.file.max_line_bytes):
                self._first_fault(piece)
            self._finish()
        except Refused as refused:
            self.verdict.code, self.verdict.line = refused.code, refused.line
        return self.verdict

    def _first_fault(self, piece: bytes) -> None:
        """The checks of a piece go kind by kind: what they name need not be its first wrong line.

        Another look at the lines before it ends after as many rounds as there are kinds.
        """
        try:
            self._piece(piece)
        except Refused as refused:
            before = refused.line - self._line
            if before > 0:
                feeds = np.flatnonzero(np.frombuffer(piece, np.uint8) == 10)
                self._first_fault(piece[: int(feeds[before - 1]) + 1])
            raise

    def _piece(self, piece: bytes) -> None:
        if self._offset == 0 and piece.startswith(ARCHIVES + MARKS):
            raise Refused("F104" if piece.startswith(ARCHIVES) else "F109")
        room = self.form.file.max_bytes - self._offset
        if len(piece) > room:
            if within := piece.rfind(b"\n", 0, room) + 1:
                self._first_fault(piece[:within])
            raise Refused("F102")
        content = np.frombuffer(piece, np.uint8)
        feeds = np.flatnonzero(content == 10)
        self._bytes(piece, content, feeds)
        self._encoding(piece)
        starts = np.concatenate((np.zeros(1, np.int64), feeds[:-1] + 1))
        ends = feeds - (len(self.form.file.line_end) - 1)
        first = 0
        if self._offset == 0:
            self._control(piece[: int(ends[0])])
            first = 1
            self.verdict.cuts.append(Cut(int(feeds[0]) + 1, 0))
        elif self._end is not None:
            raise Refused("F113", self._line)  # something follows the end record
        last = len(feeds)
        end_at = self._end_record(content, starts, ends, first)
        if end_at is not None:
            if end_at != last - 1:
                raise Refused("F113", self._line + end_at + 1)
            last = end_at
        if last > first:
            self._records(content, starts[first:last], ends[first:last], self._line + first)
        if end_at is not None:
            self._end = piece[int(starts[end_at]) : int(ends[end_at])]
        data_end = int(starts[last]) if last < len(starts) else len(piece)
        if self._offset + data_end - self.verdict.cuts[-1].offset >= CUT or end_at is not None:
            self.verdict.cuts.append(Cut(self._offset + data_end, self.verdict.rows))
        self._offset += len(piece)
        self._line += len(feeds)

    def _bytes(self, piece: bytes, content: Bytes, feeds: Ints) -> None:
        """No line too long, no control characters, one line end, no quote."""
        lengths = np.diff(feeds, prepend=-1, append=len(content) - 1)  # at last what is torn
        long = lengths > self.form.file.max_line_bytes
        if long.any():
            self._name_long(content, feeds, int(long.argmax()))
        crlf = len(self.form.file.line_end) == 2
        controls = int(np.count_nonzero(content < 32))
        expected = len(feeds) * (2 if crlf else 1)
        good_ends = not crlf or (
            len(feeds) > 0 and feeds[0] > 0 and bool(np.all(content[feeds - 1] == 13))
        )
        if controls != expected or not good_ends or b"\x7f" in piece:
            self._name_control(content, feeds)
        if not piece.endswith(b"\n"):
            raise Refused("F106", self._line + len(feeds))
        if b'"' in piece:
            raise Refused("F108", self._line + int(np.searchsorted(feeds, piece.find(b'"'))))

    def _name_long(self, content: Bytes, feeds: Ints, at: int) -> None:
        """A line is too long; wrong characters before the limit explain more than its length."""
        start = int(feeds[at - 1]) + 1 if at else 0
        self._name_control(content[: start + self.form.file.max_line_bytes], feeds[:at])
        raise Refused("F116", self._line + at)

    def _name_control(self, content: Bytes, feeds: Ints) -> None:
        """Only on the way to a refusal: which of the two it is, and where."""
        odd = ((content < 32) & (content != 10) & (content != 13)) | (content == 127)
        if odd.any():
            at = int(odd.argmax())
            raise Refused("F107", self._line + int(np.searchsorted(feeds, at)))
        returns = np.flatnonzero(content == 13)
        if len(self.form.file.line_end) == 1:
            if returns.size:
                raise Refused("F105", self._line + int(np.searchsorted(feeds, returns[0])))
            return
        lone_feeds = feeds[np.isin(feeds - 1, returns, invert=True)]
        lone_returns = returns[np.isin(returns + 1, feeds, invert=True)]
        torn = len(content) - 1  # a return as the very last byte is a torn line, not a wrong one
        lone = np.concatenate((lone_feeds, lone_returns[lone_returns != torn]))
        if lone.size:
            raise Refused("F105", self._line + int(np.searchsorted(feeds, lone.min())))

    def _encoding(self, piece: bytes) -> None:
        """A file that reads as Japanese UTF-8 throughout was not written in CP932."""
        if not self._utf8_japanese or piece.isascii():
            return
        try:
            text = piece.decode("utf-8")
        except UnicodeDecodeError:
            self._utf8_japanese = False
            return
        points = np.frombuffer(text.encode("utf-32-le"), np.uint32)
        wide = points[points > 127]
        japanese = ((wide >= 0x3000) & (wide < 0xA000)) | ((wide >= 0xF900) & (wide < 0xFB00))
        japanese |= (wide >= 0xFF01) & (wide < 0xFFEF)
        self._utf8_japanese = bool(japanese.all())
        self._wide = self._wide or bool(wide.size)

    def _control(self, line: bytes) -> None:
        values = self.split(line, self.form.control)
        if values is None or values["record_type_code"] != CONTROL_CODE.decode():
            raise Refused("F112", 1)
        expected = {item.name: item.sample for item in self.form.control}
        if any(values[name] != expected[name] for name in ("record_number", "layout_code")):
            raise Refused("F112", 1)
        self.verdict.control = values

    def _end_record(self, content: Bytes, starts: Ints, ends: Ints, first: int) -> int | None:
        """Index of the first end record among the lines, if one is there."""
        at = starts[first:] + self.layout.type
        inside = at + 1 < ends[first:]
        at = np.where(inside, at, 0)
        nine = np.uint8(END_CODE[0])
        found = np.flatnonzero(inside & (content[at] == nine) & (content[at + 1] == nine))
        return int(found[0]) + first if found.size else None

    def _records(self, content: Bytes, starts: Ints, ends: Ints, line: int) -> None:
        """Leading fields, types, field counts of the data records of one piece."""

        def refuse(code: str, wrong: npt.NDArray[np.bool_]) -> None:
            if wrong.any():
                raise Refused(code, line + int(wrong.argmax()))

        shape = self.layout
        refuse("F118", ends - starts < shape.head)
        codes, type_ok = two_digits(content, starts + shape.type)
        known = shape.sizes[np.where(type_ok, codes, 0)] >= 0
        refuse("F111", ~(known & type_ok))
        words = words_of(content)
        high, high_ok = eight_digits(words[starts + shape.number])
        low, low_ok = two_digits(content, starts + shape.number + 8)
        wrong = ~(high_ok & low_ok)
        insurers = np.zeros(1, np.int64)
        if shape.insurer is not None:
            insurers, insurer_ok = eight_digits(words[starts + shape.insurer])
            wrong |= ~insurer_ok
        for separator in shape.separators:
            wrong |= content[starts + separator] != 44
        refuse("F118", wrong)
        if shape.csv:
            commas = counted_before(content == 44, np.concatenate((starts, ends[-1:])))
            refuse("F110", np.diff(commas) != shape.sizes[codes])
        else:
            refuse("F117", ends - starts != shape.sizes[codes])
        self._counts += np.bincount(codes, minlength=100)
        self._total += int((high * 100 + low).sum())
        self._insurers(insurers, len(starts), line)
        self.verdict.rows += len(starts)

    def _insurers(self, insurers: Ints, rows: int, line: int) -> None:
        if (insurers == insurers[0]).all():
            found = [(int(insurers[0]), rows, 0)]
        else:
            values, first, counts = np.unique(insurers, return_index=True, return_counts=True)
            found = list(zip(values.tolist(), counts.tolist(), first.tolist(), strict=True))
        for value, count, first_at in found:  # as many as insurers, not rows
            code = f"{value:08d}"
            self.verdict.insurers[code] = self.verdict.insurers.get(code, 0) + count
            self.verdict.first_lines.setdefault(code, line + first_at)

    def _finish(self) -> None:
        if self._offset == 0:
            raise Refused("F103")
        if self._utf8_japanese and self._wide:
            raise Refused("F109")
        if self._end is None:
            raise Refused("F113", self._line - 1)
        values = self.split(self._end, self.form.end)
        if values is None:
            raise Refused("F113", self._line - 1)
        counts = {"record_count": self.verdict.rows}
        for record in self.form.records:
            counts[f"{record.section}_count"] = int(self._counts[int(record.code)])
        if any(int(values[name]) != count for name, count in counts.items()):
            raise Refused("F114", self._line - 1)
        if int(values["control_total"]) != self._total % TOTAL_MODULUS:
            raise Refused("F115", self._line - 1)

    def split(self, line: bytes, fields: tuple[Field, ...]) -> dict[str, str] | None:
        """A control or end record by name; None when it is not as the definition says."""
        text, clean = decode(line, self.form.file.encoding)
        if not clean:
            return None
        if self.form.file.syntax == "csv":
            parts = text.decode().split(",")
        else:
            if len(line) != sum(item.slot for item in fields):
                return None
            offsets = np.cumsum([0, *(item.slot for item in fields)]).tolist()
            parts = [
                line[start:stop].decode("ascii", "replace").rstrip(" ")
                for start, stop in pairwise(offsets)
            ]
        if len(parts) != len(fields):
            return None
        for item, value in zip(fields, parts, strict=True):
            if not _well_formed(item, value):
                return None
        return {item.name: value for item, value in zip(fields, parts, strict=True)}


def _well_formed(item: Field, value: str) -> bool:
    if not value:
        return not item.required
    if not item.shortest <= len(value) <= item.length:
        return False
    return value.isascii() and (item.type not in ("digits", "date") or value.isdigit())
