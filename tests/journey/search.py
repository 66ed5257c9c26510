"""Search files for anybody's number, name or token, in every form in which they might leak.

A form of a number is twelve digits at a fixed distance from each other with fixed bytes between
them, so that all twelve-digit windows of a file are found at once and looked up among thousands of
numbers. Names are found by the wide space between surname and given name.

What is found is a leak and no accident. The shortest patterns are 64 bits long (integers, halves of
tokens): among 10 MB of random bytes and 2,000 persons with some ten such patterns each, one would
turn up by chance once in 10^8 searches. The shortest name has five characters, at least 80 bits.
Digits that are none of a person's (times, line numbers) hit one of 2,000 among 10^11 numbers as
seldom.
"""

from __future__ import annotations

import base64
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from koukan.codecs.text import encode

Bytes = npt.NDArray[np.uint8]
Words = npt.NDArray[np.uint64]
Found = set[tuple[str, str]]  # form, value

SPACE = "　"
NAME_ENCODINGS = ("cp932", "utf-8", "utf-16-le", "utf-16-be")


class DigitForm(NamedTuple):
    """Twelve digits, each `zero` plus its value in its last varying byte.

    Args:
        unit: the bytes of the digit 0.
        place: which of them carries the digit.
    """

    name: str
    unit: bytes
    place: int


DIGIT_FORMS = (
    DigitForm("ascii", b"0", 0),
    DigitForm("utf-16-le", "0".encode("utf-16-le"), 0),
    DigitForm("utf-16-be", "0".encode("utf-16-be"), 1),
    DigitForm("wide cp932", "０".encode("cp932"), 1),
    DigitForm("wide utf-8", "０".encode(), 2),
    DigitForm("wide utf-16-le", "０".encode("utf-16-le"), 0),
    DigitForm("wide utf-16-be", "０".encode("utf-16-be"), 1),
)


@dataclass
class Needles:
    """What is sought: persons' numbers (digits), names, and tokens (their two halves)."""

    numbers: list[str]
    names: list[str]
    tokens: tuple[Words, Words]
    _values: Words = field(init=False)
    _halves: Words = field(init=False)
    _names: dict[str, dict[int, dict[int, set[bytes]]]] = field(init=False)
    _text: set[bytes] = field(init=False)

    def __post_init__(self) -> None:
        self._values = np.unique(np.array([int(number) for number in self.numbers], np.uint64))
        self._halves = np.unique(np.concatenate(self.tokens))
        self._names = {encoding: named(self.names, encoding) for encoding in NAME_ENCODINGS}
        self._text = {text[:16] for token in self.token_bytes() for text in base64_forms(token)}

    def token_bytes(self) -> list[bytes]:
        """Tokens as 16 bytes, and with each half turned round, as little-endian words lie."""
        high, low = self.tokens
        big = np.stack([high, low], axis=1)
        return [row.tobytes() for words in (big.astype(">u8"), big.astype("<u8")) for row in words]

    def find(self, content: bytes) -> Found:
        """Every value that stands in the content, with its form."""
        data = np.frombuffer(content, np.uint8)
        found: Found = set()
        for form in DIGIT_FORMS:
            found |= {(form.name, f"{value:012d}") for value in self._digits(data, form)}
        found |= {(form, f"{value:012d}") for form, value in self._integers(data)}
        for encoding in NAME_ENCODINGS:
            found |= {(f"name {encoding}", name) for name in self._named(content, encoding)}
        found |= {("token", f"{half:016x}") for half in self._raw(data)}
        found |= {("token hex", f"{half:016x}") for half in self._hexadecimal(data)}
        found |= {("token base64", text.decode()) for text in self._base64(content, data)}
        return found

    def _digits(self, data: Bytes, form: DigitForm) -> Iterator[int]:
        stride = len(form.unit)
        size = len(data) - 12 * stride + 1
        if size <= 0:
            return
        units = len(data) - stride + 1
        digit = (data - form.unit[form.place])[form.place : form.place + units]
        is_unit = digit < 10
        for place, byte in enumerate(form.unit):
            if place != form.place:
                is_unit &= data[place : place + units] == byte
        whole = is_unit[:size].copy()
        for number in range(1, 12):
            whole &= is_unit[number * stride : number * stride + size]
        starts = np.flatnonzero(whole)
        values = np.zeros(len(starts), np.uint64)
        for number in range(12):
            values = values * np.uint64(10) + digit[starts + number * stride]
        yield from among(values, self._values)

    def _integers(self, data: Bytes) -> Iterator[tuple[str, int]]:
        size = len(data) - 7
        for name, order in (("integer le", range(7, -1, -1)), ("integer be", range(8))):
            if size <= 0:
                return
            first, second, third, *_ = order  # below 10**12 the three highest bytes are 0
            small = (data[first : first + size] | data[second : second + size]) == 0
            small &= data[third : third + size] == 0
            yield from (
                (name, value)
                for value in among(words_at(data, np.flatnonzero(small), order), self._values)
            )

    def _raw(self, data: Bytes) -> Iterator[int]:
        for start in range(0, max(len(data) - 7, 0), 1 << 22):
            places = np.arange(start, min(start + (1 << 22), len(data) - 7))
            for order in (range(8), range(7, -1, -1)):
                yield from among(words_at(data, places, order), self._halves)

    def _hexadecimal(self, data: Bytes) -> Iterator[int]:
        lower = data | 0x20
        letter, digit = lower - ord("a"), data - ord("0")
        nibble = np.where(digit < 10, digit, letter + 10)
        starts = runs((digit < 10) | (letter < 6), 16)
        values = np.zeros(len(starts), np.uint64)
        for place in range(16):
            values = values << np.uint64(4) | nibble[starts + place].astype(np.uint64)
        yield from among(values, self._halves)
        yield from among(values.byteswap(), self._halves)

    def _base64(self, content: bytes, data: Bytes) -> Iterator[bytes]:
        lower = data | 0x20
        allowed = (lower - ord("a") < 26) | (data - ord("0") < 10)
        for sign in b"+/-_":
            allowed |= data == sign
        for start in runs(allowed, 16).tolist():
            text = content[start : start + 16].replace(b"-", b"+").replace(b"_", b"/")
            if text in self._text:
                yield text

    def _named(self, content: bytes, encoding: str) -> Iterator[str]:
        space = SPACE.encode(encoding)
        surnames = self._names[encoding]
        at = content.find(space)
        while at >= 0:
            for before, givens in surnames.items():
                if before <= at:
                    for length, names in givens.items():
                        text = content[at - before : at + len(space) + length]
                        if text in names:
                            yield text.decode(encoding)
            at = content.find(space, at + 1)


def among(values: Words, sought: Words) -> Iterator[int]:
    """Those of the values that are sought."""
    if len(sought) and len(values):
        at = np.minimum(np.searchsorted(sought, values), len(sought) - 1)
        yield from np.unique(values[sought[at] == values]).tolist()


def words_at(data: Bytes, places: npt.NDArray[np.int64], order: Iterable[int]) -> Words:
    """Eight bytes from each place as one number, the most significant first in `order`."""
    values = np.zeros(len(places), np.uint64)
    for place in order:
        values = values << np.uint64(8) | data[places + place].astype(np.uint64)
    return values


def runs(mask: npt.NDArray[np.bool_], length: int) -> npt.NDArray[np.int64]:
    """Where so many entries in a row are set."""
    size = len(mask) - length + 1
    if size <= 0:
        return np.zeros(0, np.int64)
    sums = np.concatenate([[0], np.cumsum(mask, dtype=np.int64)])
    return np.flatnonzero(sums[length:] - sums[:-length] == length)


def base64_forms(content: bytes) -> list[bytes]:
    """What of its base64 text stands fast, wherever in a longer text it begins."""
    found = []
    for before in range(3):
        text = base64.b64encode(bytes(before) + content)
        first = (before * 8 + 5) // 6
        found.append(text[first : (before + len(content)) * 8 // 6])
    return found


def encoded(text: str, encoding: str) -> list[bytes]:
    """In CP932 髙, 﨑 and others have two codes: Python writes one, Windows and we the other."""
    own = [encode(text, "cp932")] if encoding == "cp932" else []
    return [text.encode(encoding), *own]


def named(names: list[str], encoding: str) -> dict[int, dict[int, set[bytes]]]:
    """Encoded names by the lengths of what stands before and behind their space, in bytes."""
    found: dict[int, dict[int, set[bytes]]] = defaultdict(lambda: defaultdict(set))
    for name in names:
        before, _, behind = name.partition(SPACE)
        assert before and behind, "a name without a wide space would not be found"
        for first, text, last in zip(
            encoded(before, encoding),
            encoded(name, encoding),
            encoded(behind, encoding),
            strict=True,
        ):
            found[len(first)][len(last)].add(text)
    return {before: dict(givens) for before, givens in found.items()}


def names_of(people: pl.DataFrame) -> list[str]:
    """All names of persons: as written and in kana, other names too."""
    columns = ("name", "name_kana", "other_name", "other_name_kana", "head_name")
    return sorted({name for column in columns for name in people[column].drop_nulls()})


def files_below(root: Path) -> Iterator[tuple[str, bytes]]:
    """Relative path and content of every file; of a path, the name is content too."""
    for path in sorted(root.rglob("*")):
        relative = path.relative_to(root).as_posix()
        content = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
        yield relative, relative.encode() + b"\n" + content


def leaks(needles: Needles, root: Path) -> dict[str, Found]:
    """Files below the root in which anything is found. All are searched as one content."""
    paths, parts = [], []
    for path, content in files_below(root):
        paths.append(path)
        parts.append(content)
    if not needles.find(b"\x01".join(parts)):
        return {}
    found = {path: needles.find(part) for path, part in zip(paths, parts, strict=True)}
    return {path: hits for path, hits in found.items() if hits} or {"across files": {("", "")}}
