"""Outbound files: frames of strings out as the bytes of a format, records in bulk."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from io import BytesIO
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from koukan.codecs.records import line_offsets, lines_of
from koukan.codecs.text import encode
from koukan.formats.model import Field, Format

BREAKING = r'[,"\r\n]'  # would shift fields: our own words must not hold them
_BREAKING = re.compile(BREAKING)
COUNTED = b',\n\r"'  # what would shift fields if a value had it
BLOCK = 1 << 17
Ints = npt.NDArray[np.int64]


def single(form: Format, fields: tuple[Field, ...], values: Mapping[str, str]) -> bytes:
    """The control or end record; what is not given has the definition's own value.

    Raises:
        ValueError: a value does not fit its field (a bug of ours, never a sender's).
    """
    fixed = form.file.syntax == "fixed"
    parts = []
    for item in fields:
        value = values.get(item.name) or item.value
        if not (value or fixed or item.required):
            parts.append(b"")  # most fields of most records
            continue
        content = encode(value, form.file.encoding)
        fits = len(value) <= item.length and (len(content) <= item.slot or not fixed)
        breaking = not fixed and _BREAKING.search(value)
        if not fits or breaking or (item.required and not value):
            raise ValueError(f"{form.name}.{item.name}: a value does not fit its field")
        parts.append(content.ljust(item.slot) if fixed else content)
    return (b"" if fixed else b",").join(parts) + form.file.line_end


def control(form: Format, values: Mapping[str, str]) -> bytes:
    return single(form, form.control, {"record_type_code": "00", **values})


def end(form: Format, values: Mapping[str, str]) -> bytes:
    return single(form, form.end, {"record_type_code": "99", **values})


def record(form: Format, section: str, values: Mapping[str, str | None]) -> bytes:
    """One record, byte for byte as `records` renders it: for the few of a short file.

    Raises:
        ValueError: a value does not fit its field (a bug of ours).
    """
    kind = form.section(section)
    given = {name: value for name, value in values.items() if value is not None}
    return single(form, form.fields(kind), {**given, "record_type_code": kind.code})


def records(form: Format, section: str, frame: pl.DataFrame) -> bytes:
    """Records of one type from a frame of strings.

    A column that is missing has the definition's own value throughout, or none.
    """
    fields = form.fields(form.section(section))
    return _lines(form, fields, _filled(form, section, fields, frame))


def phrased(
    form: Format, section: str, columns: Mapping[str, Ints], phrases: pl.DataFrame, chosen: Ints
) -> pa.LargeBinaryArray:
    """Records of a delimited format: `numbers`, and behind them one of a few phrases.

    A phrase is rendered and encoded once, and its bytes are put behind the digits: where all lines
    of a large file are rejected, the same words follow a million times.

    Args:
        phrases: the last fields of the record type, in their order; strings.
        chosen: by record, the row of `phrases`.

    Raises:
        ValueError: a value does not fit its field (a bug of ours).
    """
    import pyarrow.compute as pc  # 25 ms, for those whose lines have words

    fields = form.fields(form.section(section))
    first = len(fields) - phrases.width
    ends = _lines(form, fields[first:], phrases)
    return pc.binary_join_element_wise(
        _numbered(form, section, fields[:first], columns, b","),
        lines_of(ends, line_offsets(ends)).take(pl.Series(chosen).to_arrow()),
        pa.scalar(b"", pa.large_binary()),
    )


def _filled(
    form: Format, section: str, fields: tuple[Field, ...], frame: pl.DataFrame
) -> pl.DataFrame:
    """These fields of a record type, in their order."""
    code = form.section(section).code
    given = set(frame.columns)
    return frame.select(
        pl.lit(code).alias(item.name)
        if item.name == "record_type_code"
        else pl.col(item.name)
        if item.name in given
        else pl.lit(item.value or None, pl.String).alias(item.name)
        for item in fields
    )


def as_given(form: Format, section: str, frame: pl.DataFrame) -> bytes:
    """Lines of a delimited format whose values go back as a sender gave them, of whatever length.

    The gate has let nothing through that would shift fields.
    """
    names = [item.name for item in form.fields(form.section(section))]
    content = _delimited(form, frame.select(names))
    return _encoded(form, content)


def _lines(form: Format, fields: tuple[Field, ...], frame: pl.DataFrame) -> bytes:
    _require_fit(form, fields, frame)
    if form.file.syntax != "csv":
        return encode(_padded(form, fields, frame), form.file.encoding)
    content = _delimited(form, frame)
    if not _whole(form, (frame.width, frame.height), content):
        raise _unfit(form, _breaking(fields, frame))
    return _encoded(form, content)


def _encoded(form: Format, content: bytes) -> bytes:
    """Text of UTF-8 as the format has it; what is ASCII is the same in both."""
    if form.file.encoding == "utf-8" or content.isascii():
        return content
    return encode(content.decode(), "cp932")


def _require_fit(form: Format, fields: tuple[Field, ...], frame: pl.DataFrame) -> None:
    """No text has more characters than bytes, and those are known without a look at it."""
    if frame.is_empty():
        return
    longest = frame.select(pl.all().str.len_bytes().max()).row(0, named=True)
    for item in fields:
        column = frame[item.name]
        long = (longest[item.name] or 0) > item.length
        if long and not item.is_ascii:
            long = bool((column.str.len_chars() > item.length).any())
        if long or (item.required and column.null_count()):
            raise _unfit(form, item.name)


def _whole(form: Format, shape: tuple[int, int], content: bytes) -> bool:
    """Whether no value shifts fields: as many separators and line ends as there have to be.

    Counting them in the text, in blocks that stay in cache, is far faster than a look into each
    value. In CP932 none of them is a part of another character.

    Args:
        shape: fields and records.
    """
    fields, rows = shape
    text = np.frombuffer(content, np.uint8)
    found = np.zeros(len(COUNTED), np.int64)
    for at in range(0, len(text), BLOCK):
        block = text[at : at + BLOCK]
        found += [np.count_nonzero(block == one) for one in COUNTED]
    returns = rows * form.file.line_end.count(b"\r")
    return found.tolist() == [(fields - 1) * rows, rows, returns, 0]


def _breaking(fields: tuple[Field, ...], frame: pl.DataFrame) -> str:
    """The first field with a value that would shift fields."""
    names = [item.name for item in fields]
    found = frame.select(pl.col(name).str.contains(BREAKING).any() for name in names)
    return next(name for name in names if found[name].item())


def _delimited(form: Format, frame: pl.DataFrame) -> bytes:
    content = BytesIO()
    frame.write_csv(
        content,
        include_header=False,
        quote_style="never",
        null_value="",
        line_terminator=form.file.line_end.decode(),
    )
    return content.getvalue()


def _padded(form: Format, fields: tuple[Field, ...], frame: pl.DataFrame) -> str:
    end = form.file.line_end.decode()
    lines = frame.select(line=pl.concat_str(*(padded(item) for item in fields), pl.lit(end)))
    return str(lines["line"].str.join("").item())


def padded(item: Field) -> pl.Expr:
    """A fixed-width field: the value with half-width spaces behind it, in bytes as its slot has."""
    value = pl.col(item.name).fill_null("")
    if item.is_ascii:
        return value.str.pad_end(item.slot)
    # CP932 takes one byte for these and two for everything else.
    single = value.str.count_matches("[\u0020-\u007e\uff61-\uff9f]").cast(pl.Int64)
    return value.str.pad_end(item.slot - value.str.len_chars().cast(pl.Int64) + single)


def _unfit(form: Format, name: str) -> ValueError:
    return ValueError(f"{form.name}.{name}: a value does not fit its field")


def numbers(form: Format, section: str, columns: Mapping[str, Ints]) -> pa.LargeBinaryArray:
    """Records whose fields are whole numbers or empty, byte for byte as `records` renders them.

    Digits go straight into the bytes of the file, without a string for any of them. Numbers fill
    a field of one length with zeros in front; where a field may be shorter, lines are rendered in
    runs of one shape: ascending values, as line numbers are, make few of them.

    Args:
        columns: by field name, all of one length; a missing one is empty throughout.

    Raises:
        ValueError: a value does not fit its field (a bug of ours, never a sender's).
    """
    fields = form.fields(form.section(section))
    return _numbered(form, section, fields, columns, form.file.line_end)


def _numbered(
    form: Format,
    section: str,
    fields: tuple[Field, ...],
    columns: Mapping[str, Ints],
    ending: bytes,
) -> pa.LargeBinaryArray:
    """The first fields of records as `numbers` has them, with an ending behind."""
    given = [item for item in fields if item.name in columns]
    for item in fields[1:]:
        values = columns.get(item.name)
        if item.required if values is None else not _fits(item, values):
            raise _unfit(form, item.name)
    bounds = np.array([0, len(columns[given[0].name])])
    widths = {item.name: _widths(item, columns[item.name]) for item in given}
    changes = [np.flatnonzero(np.diff(width)) + 1 for width in widths.values()]
    parts, lengths = [], []
    for start, stop in pairwise(np.unique(np.concatenate([bounds, *changes])).tolist()):
        blanks = {name: b"0" * int(width[start]) for name, width in widths.items()}
        code = form.section(section).code.encode()
        texts = [code, *(blanks.get(item.name, b"") for item in fields[1:])]
        line = b",".join(texts) + ending
        table = np.empty((stop - start, len(line)), np.uint8)
        table[:] = np.frombuffer(line, np.uint8)
        end = -1
        for item, text in zip(fields, texts, strict=True):
            end += 1 + len(text)
            if item.name in columns:
                _write_digits(table, end, len(text), columns[item.name][start:stop])
        parts.append(table.data)
        lengths.append(np.full(stop - start, len(line), np.int64))
    ends = np.cumsum(np.concatenate([np.zeros(1, np.int64), *lengths]))
    return lines_of(b"".join(parts), ends)


def _fits(item: Field, values: Ints) -> bool:
    return not len(values) or bool(values.min() >= 0 and values.max() < 10**item.length)


def _widths(item: Field, values: Ints) -> Ints:
    """How many digits each value takes."""
    if item.is_ascii and item.shortest == item.length:
        return np.broadcast_to(np.int64(item.length), len(values))
    powers = 10 ** np.arange(item.shortest, item.length, dtype=np.int64)
    return item.shortest + np.searchsorted(powers, values, side="right")


@cache
def _digits(count: int) -> npt.NDArray[np.unsignedinteger]:
    """The text of each number of so many digits as one integer of as many bytes."""
    places = 10 ** np.arange(count)[::-1]
    digits = np.arange(10**count)[:, None] // places % 10 + ord("0")
    return digits.astype(np.uint8).view(f"u{count}").ravel()


def _write_digits(table: npt.NDArray[np.uint8], end: int, width: int, values: Ints) -> None:
    """Write numbers into rows of bytes, right-aligned before column `end`, four digits at once."""
    while width:
        count = next(size for size in (4, 2, 1) if size <= width)
        values, rest = values // 10**count, values
        low = rest - values * 10**count
        width, end = width - count, end - count
        places = (len(table),), f"u{count}", table.data, end, table.strides[:1]
        np.ndarray(*places)[:] = _digits(count)[low]


def merged(parts: Sequence[tuple[Ints, pa.LargeBinaryArray]]) -> pa.LargeBinaryArray:
    """Rendered lines of several parts by ascending number; lines of one number keep their order.

    Args:
        parts: for each line its number, and the lines.
    """
    if len(parts) == 1:
        return parts[0][1]
    order = np.argsort(np.concatenate([numbers for numbers, _ in parts]), kind="stable")
    return pa.concat_arrays([lines for _, lines in parts]).take(pl.Series(order).to_arrow())
