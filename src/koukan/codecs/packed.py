"""Short strings as packed integers: tests of digits and characters on all rows at once.

polars keeps a string of up to twelve bytes inside its view of sixteen, behind its length and with
zeros after it (the Arrow layout of string views). So most fields of the field's layouts can be read
as integers where they lie, without a look at one string after another.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from koukan.codecs.digits import Ints, Mask, eight_digits

LONGEST = 12  # bytes inside a view
VIEW = 16
NOWHERE = np.uint8(255)  # among fewer values
Words = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Packed:
    """A column without absent values. What is longer than `LONGEST` has its length only."""

    length: npt.NDArray[np.uint32]  # in bytes
    first: Words  # eight bytes
    rest: Words  # the four behind them, zeros after the end


def packed(column: pl.Series) -> Packed:
    """The views of a column of strings; it must not hold an absent one."""
    array = column.rechunk().to_arrow(compat_level=pl.CompatLevel.newest())
    count = (len(array),)
    if not len(array):
        return Packed(*(np.zeros(count, kind) for kind in (np.uint32, np.uint64, np.uint64)))
    views, start = array.buffers()[1], VIEW * array.offset
    length = np.ndarray(count, "<u4", views, start, (VIEW,))
    first = np.ndarray(count, "<u8", views, start + 4, (VIEW,))
    rest = np.ndarray(count, "<u4", views, start + 12, (VIEW,)).astype(np.uint64)
    return Packed(length, first, rest)


def present(column: pl.Series) -> Mask | None:
    """By row of a column, whether it has a value; None: every row has. Takes no query."""
    if not column.null_count():
        return None
    array = column.rechunk().to_arrow(compat_level=pl.CompatLevel.newest())
    bits = np.frombuffer(array.buffers()[0], np.uint8)
    found = np.unpackbits(bits, count=array.offset + len(array), bitorder="little")
    return found[array.offset :].view(np.bool_)


def numbers(column: Packed, shortest: int, longest: int) -> tuple[Ints, Mask]:
    """Values of `shortest` to `longest` ASCII digits, and which rows are such; others have any."""
    values, right = np.zeros(len(column.length), np.int64), np.zeros(len(column.length), np.bool_)
    for digits in range(shortest, min(longest, LONGEST) + 1):
        here = column.length == digits
        if not here.any():
            continue
        found, good = _numbers(column, digits)
        if here.all():
            return found, good
        values = np.where(here, found, values)
        right |= here & good
    return values, right


def _numbers(column: Packed, digits: int) -> tuple[Ints, Mask]:
    """As if every row had so many bytes."""
    if digits <= 8:
        return eight_digits(_right_aligned(column.first, digits))
    high, high_ok = eight_digits(column.first)
    low, low_ok = eight_digits(_right_aligned(column.rest, digits - 8))
    return high * 10 ** (digits - 8) + low, high_ok & low_ok


def _right_aligned(words: Words, digits: int) -> Words:
    """The first bytes of each word behind as many "0" as make eight."""
    if digits == 8:
        return words
    zeros = np.uint64(int.from_bytes(b"0" * (8 - digits), "little"))
    return (words << np.uint64(8 * (8 - digits))) | zeros


def printable(column: Packed, shortest: int, longest: int) -> Mask:
    """Which rows are `shortest` to `longest` characters from "!" to "~"."""
    right = (column.length >= shortest) & (column.length <= min(longest, LONGEST))
    high = _every(0x80)
    for words, begin in ((column.first, 0), (column.rest, 8)):
        inside = _HIGH[np.clip(column.length, begin, begin + 8) - begin]
        right &= words & high == 0
        right &= (words + _every(0x80 - 0x21)) & inside == inside  # none below "!"
        right &= (words + _every(0x01)) & high == 0  # no 0x7F
    return right


def _every(octet: int) -> np.uint64:
    return np.uint64(int.from_bytes(bytes([octet] * 8), "little"))


# The highest bit of the first bytes of a word, by their number.
_HIGH = np.array([int.from_bytes(b"\x80" * count, "little") for count in range(9)], np.uint64)


def places(column: Packed, values: list[str]) -> npt.NDArray[np.uint8]:
    """By row, the place of its value among some of one or two bytes; `NOWHERE` where it is none."""
    known = np.full(2**16, NOWHERE, np.uint8)
    known[[int.from_bytes(value.encode(), "little") for value in values]] = np.arange(len(values))
    two = column.first & np.uint64(0xFFFF)
    length = 1 + (two > 0xFF)  # or the second byte is a zero of the value's own
    return np.where(column.length == length, known[two], NOWHERE)
