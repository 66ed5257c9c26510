"""Mistakes in the written bytes, each of which refuses the whole file.

Too large a file (F102) is a matter of the format's limit, not of bytes made here.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from koukan.codecs.text import encode
from koukan.errors import UsageError
from koukan.formats.model import Field, Format
from koukan.rules.checkdigits import complete
from koukan.samples.vocabulary import PREFECTURE

Spoil = Callable[[bytes, Format], bytes]
Fits = Callable[[Format], bool]
IMMEDIATE = b"1"  # 照会方式
NO_RECEPTION = b"9999999999"  # 受付番号 that is nobody's
STRANGER = f"{complete('insurer_number', np.array([699999])).item():08d}"  # in no sample site


@dataclass(frozen=True)
class FileFault:
    """One way to spoil a file.

    Args:
        code: what the file is refused with.
        syntaxes: the syntaxes for which the mistake exists.
        only: the formats among them for which it does; all when absent.
    """

    code: str
    spoil: Spoil
    rename: Callable[[str], str] = str
    syntaxes: tuple[str, ...] = ("csv", "fixed")
    only: Fits = lambda _: True

    def fits(self, form: Format) -> bool:
        """Whether files of this format can have the mistake."""
        return form.file.syntax in self.syntaxes and self.only(form)

    def __call__(self, name: str, content: bytes, form: Format) -> tuple[str, bytes]:
        """Name and bytes of the spoilt file.

        Args:
            content: a good file of newly registered persons, or of lines that stand for
                themselves: at least three, for the codes of shares (F120, F121) more than the
                format's floor for them, and for F206 more than an immediate question may have.

        Raises:
            UsageError: this mistake does not exist in files of the format.
        """
        if not self.fits(form):
            raise UsageError("samples.syntax", code=self.code, format=form.name)
        return self.rename(name), self.spoil(content, form)


def _offsets(form: Format, fields: Sequence[Field]) -> dict[str, int]:
    """Where fields begin that stand one behind another, each as long as it can be."""
    separator = 1 if form.file.syntax == "csv" else 0
    lengths = (item.slot + separator for item in fields)
    return dict(zip((item.name for item in fields), accumulate(lengths, initial=0), strict=False))


def _lines(content: bytes, form: Format) -> list[bytes]:
    return content.split(form.file.line_end)[:-1]


def _file(lines: list[bytes], form: Format) -> bytes:
    return b"".join(line + form.file.line_end for line in lines)


def _middle(edit: Callable[[bytes, Format], bytes]) -> Spoil:
    """Spoils the data line in the middle of the file."""

    def spoil(content: bytes, form: Format) -> bytes:
        lines = _lines(content, form)
        lines[len(lines) // 2] = edit(lines[len(lines) // 2], form)
        return _file(lines, form)

    return spoil


def _at(name: str, value: bytes) -> Callable[[bytes, Format], bytes]:
    """Writes over the beginning of a leading field."""

    def edit(line: bytes, form: Format) -> bytes:
        start = _offsets(form, form.leading)[name]
        return line[:start] + value + line[start + len(value) :]

    return edit


def _torn(content: bytes, form: Format) -> bytes:
    lines = _lines(content, form)
    half = len(lines) // 2
    return _file(lines[:half], form) + lines[half][: len(lines[half]) * 2 // 3]


def _one_more(pattern: bytes) -> Spoil:
    """Adds one to the last number that stands in the pattern's second group."""

    def spoil(content: bytes, form: Format) -> bytes:
        found = list(re.finditer(pattern.replace(b"$", form.file.line_end), content))[-1]
        more = _next_number(found.group(2))
        return content[: found.start(2)] + more + content[found.end(2) :]

    return spoil


def _utf8(content: bytes, form: Format) -> bytes:
    """The whole file in UTF-8.

    The gate knows it by characters of Japanese blocks throughout. With a hyphen from elsewhere in
    it the file would be refused, too, but for what cannot be read in it (F120).
    """
    return content.decode(form.file.encoding).replace("‐", "－").encode("utf-8")


def _undecodable(content: bytes, form: Format) -> bytes:
    """A byte that no encoding has, in every address."""
    encoding = form.file.encoding
    first, rest = encode(PREFECTURE[0], encoding), encode(PREFECTURE[1:], encoding)
    return content.replace(first + rest, b"\xff" * len(first) + rest)


def _all_rejected(content: bytes, form: Format) -> bytes:
    """Every new registration becomes a change without a member id, every other line wants items."""
    if any(item.name == "process_type_code" for item in form.common):
        comma = b"," if form.file.syntax == "csv" else b""
        return re.sub(rb"(?m)^(\d{10}%s0[1-9]%s)1" % (comma, comma), rb"\g<1>3", content)
    control, *lines, end = _lines(content, form)
    return _file([control, *(_wanting(line, form) for line in lines), end], form)


def _wanting(line: bytes, form: Format) -> bytes:
    """A line without what its record needs: in CSV the last such item, else its own first one."""
    if form.file.syntax == "csv":
        own, values = form.records[0].own, line.split(b",")
        needed = [place for place, item in enumerate(own, -len(own)) if item.required]
        values[needed[-1] if needed else -1] = b""
        return b",".join(values)
    start = sum(item.slot for item in form.common)
    stop = start + form.records[0].own[0].slot
    return line[:start] + b" " * (stop - start) + line[stop:]


def _in_control(name: str, edit: Callable[[bytes], bytes]) -> Spoil:
    """Changes a value of the control record, of the same length."""

    def spoil(content: bytes, form: Format) -> bytes:
        control, *rest = _lines(content, form)
        if form.file.syntax == "csv":
            values = control.split(b",")
            place = [item.name for item in form.control].index(name)
            values[place] = edit(values[place])
            return _file([b",".join(values), *rest], form)
        start = _offsets(form, form.control)[name]
        stop = start + next(item.slot for item in form.control if item.name == name)
        return _file([control[:start] + edit(control[start:stop]) + control[stop:], *rest], form)

    return spoil


def _next_number(value: bytes) -> bytes:
    return b"%0*d" % (len(value), int(value) + 1)


def _other_layout(content: bytes, form: Format) -> bytes:
    known = next(item.sample for item in form.control if item.name == "layout_code").encode()
    return content.replace(known, known[:-1] + b"X", 1)


def _has_japanese(form: Format) -> bool:
    return not all(item.is_ascii for item in form.all_fields)


def _has(name: str) -> Fits:
    return lambda form: any(item.name == name for item in form.all_fields)


def _line_end(value: bytes) -> Spoil:
    return lambda content, form: content.replace(form.file.line_end, value)


def _appended(value: bytes) -> Spoil:
    return lambda content, _: content + value


FILE_FAULTS: Mapping[str, FileFault] = {
    "name": FileFault("F101", lambda content, _: content, lambda name: f"copy of {name}"),
    "empty": FileFault("F103", lambda *_: b""),
    "gzip": FileFault("F104", lambda content, _: gzip.compress(content, mtime=0)),
    "carriage_returns": FileFault("F105", _line_end(b"\r")),
    "line_feeds": FileFault("F105", _line_end(b"\n")),
    "torn": FileFault("F106", _torn),
    "nuls": FileFault("F107", _appended(bytes(512))),
    "end_of_file_mark": FileFault("F107", _appended(b"\x1a")),
    "quote": FileFault("F108", _middle(lambda line, _: line[:-3] + b'"' + line[-3:])),
    "utf8": FileFault("F109", _utf8, syntaxes=("csv",), only=_has_japanese),
    "byte_order_mark": FileFault("F109", lambda content, _: b"\xef\xbb\xbf" + content),
    "field_count": FileFault("F110", _middle(lambda line, _: line + b","), syntaxes=("csv",)),
    "record_type": FileFault("F111", _middle(_at("record_type_code", b"77"))),
    "no_control": FileFault("F112", lambda content, form: _file(_lines(content, form)[1:], form)),
    "layout": FileFault("F112", _other_layout),
    "no_end": FileFault("F113", lambda content, form: _file(_lines(content, form)[:-1], form)),
    "twice": FileFault("F113", lambda content, _: content + content),
    "count": FileFault("F114", _one_more(rb"(9999999999,?99,?)(\d{8})")),
    "total": FileFault("F115", _one_more(rb"()(\d{18})$")),
    "long_line": FileFault(
        "F116", _middle(lambda line, form: line + b"0" * form.file.max_line_bytes)
    ),
    "record_length": FileFault("F117", _middle(lambda line, _: line + b" "), syntaxes=("fixed",)),
    "leading_fields": FileFault("F118", _middle(_at("record_number", b"X"))),
    "control_sequence": FileFault("F119", _in_control("file_sequence", _next_number)),
    "undecodable": FileFault("F120", _undecodable, only=_has("address")),
    "rejects": FileFault("F121", _all_rejected, only=lambda form: form.reject_share < 1),
    "original": FileFault(
        "F122",
        _in_control("original_reception_number", lambda _: NO_RECEPTION),
        only=_has("original_reception_number"),
    ),
    "stranger": FileFault(
        "F201",
        _middle(_at("insurer_code", STRANGER.encode())),
        only=lambda form: form.names_insurers,
    ),
}
"""Key -> mistake. The layout's own code, counts and totals stand where the format puts them."""

QUESTION_FAULTS: Mapping[str, FileFault] = {
    "immediate": FileFault(
        "F206", _in_control("query_mode", lambda _: IMMEDIATE), only=_has("query_mode")
    ),
}
"""The same for files of questions only."""


def file_faults(form: Format) -> dict[str, FileFault]:
    """Key -> mistake, of those that a file of this format can have."""
    asking = QUESTION_FAULTS if form.names_insurers else {}
    return {key: fault for key, fault in {**FILE_FAULTS, **asking}.items() if fault.fits(form)}
