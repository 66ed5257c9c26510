"""Mistakes in the written bytes, each of which refuses the whole file.

Too large a file (F102) is a matter of the format's limit, not of bytes made here.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from koukan.codecs.text import encode
from koukan.errors import UsageError
from koukan.formats.model import Format
from koukan.rules.checkdigits import complete
from koukan.samples.vocabulary import PREFECTURE

Spoil = Callable[[bytes, Format], bytes]
STRANGER = f"{complete('insurer_number', np.array([699999])).item():08d}"  # in no sample site


@dataclass(frozen=True)
class FileFault:
    """One way to spoil a file.

    Args:
        code: what the file is refused with.
        syntaxes: the syntaxes for which the mistake exists.
    """

    code: str
    spoil: Spoil
    rename: Callable[[str], str] = str
    syntaxes: tuple[str, ...] = ("csv", "fixed")

    def __call__(self, name: str, content: bytes, form: Format) -> tuple[str, bytes]:
        """Name and bytes of the spoilt file.

        Args:
            content: a good file of newly registered persons: at least three, and for the codes
                of shares (F120, F121) more lines than the format's floor for them.

        Raises:
            UsageError: this mistake does not exist in the format's syntax.
        """
        if form.file.syntax not in self.syntaxes:
            raise UsageError("samples.syntax", code=self.code, format=form.name)
        return self.rename(name), self.spoil(content, form)


def _offsets(form: Format) -> dict[str, int]:
    """Where the leading fields of a line begin."""
    separator = 1 if form.file.syntax == "csv" else 0
    found, position = {}, 0
    for item in form.common:
        found[item.name] = position
        position += item.length + separator
        if item.name == "insurer_code":
            break
    return found


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
        start = _offsets(form)[name]
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
        number = found.group(2)
        more = b"%0*d" % (len(number), int(number) + 1)
        return content[: found.start(2)] + more + content[found.end(2) :]

    return spoil


def _utf8(content: bytes, form: Format) -> bytes:
    return content.decode(form.file.encoding).encode("utf-8")


def _undecodable(content: bytes, form: Format) -> bytes:
    """A byte that no encoding has, in every address."""
    encoding = form.file.encoding
    first, rest = encode(PREFECTURE[0], encoding), encode(PREFECTURE[1:], encoding)
    return content.replace(first + rest, b"\xff" * len(first) + rest)


def _all_changes(content: bytes, form: Format) -> bytes:
    """Every new registration becomes a change without a member id."""
    comma = b"," if form.file.syntax == "csv" else b""
    return re.sub(rb"(?m)^(\d{10}%s0[1-9]%s)1" % (comma, comma), rb"\g<1>3", content)


def _other_layout(content: bytes, form: Format) -> bytes:
    known = next(item.sample for item in form.control if item.name == "layout_code").encode()
    return content.replace(known, known[:-1] + b"X", 1)


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
    "utf8": FileFault("F109", _utf8, syntaxes=("csv",)),
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
    "control_sequence": FileFault("F119", _one_more(rb"(00,?MR.*?)(\d{6})(?=,?\d{8}$)")),
    "undecodable": FileFault("F120", _undecodable),
    "rejects": FileFault("F121", _all_changes),
    "stranger": FileFault("F201", _middle(_at("insurer_code", STRANGER.encode()))),
}
"""Key -> mistake. The layout's own code, counts and totals stand where the format puts them."""
