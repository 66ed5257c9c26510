"""Numbers and counts straight out of bytes, several bytes at once."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


def eight_digits(words: npt.NDArray[np.uint64]) -> tuple[Ints, Mask]:
    """Eight ASCII digits packed in a little-endian word: their value, and whether all are such."""
    high = words & np.uint64(0xF0F0F0F0F0F0F0F0)
    carry = (words + np.uint64(0x0606060606060606)) & np.uint64(0xF0F0F0F0F0F0F0F0)
    threes = np.uint64(0x3030303030303030)
    digits = words & np.uint64(0x0F0F0F0F0F0F0F0F)
    pairs = (digits * np.uint64(10) + (digits >> np.uint64(8))) & np.uint64(0x00FF00FF00FF00FF)
    fours = (pairs * np.uint64(100) + (pairs >> np.uint64(16))) & np.uint64(0x0000FFFF0000FFFF)
    value = (fours * np.uint64(10000) + (fours >> np.uint64(32))) & np.uint64(0xFFFFFFFF)
    return value.astype(np.int64), (high == threes) & (carry == threes)


def words_of(content: Bytes) -> npt.NDArray[np.uint64]:
    """An unaligned view: element i is the eight bytes from i on."""
    return np.ndarray((max(len(content) - 7, 0),), "<u8", buffer=content.data, strides=(1,))


def two_digits(content: Bytes, at: Ints) -> tuple[Ints, Mask]:
    """Two ASCII digits at each place: their value, and whether they are such."""
    tens, ones = content[at] - np.uint8(48), content[at + 1] - np.uint8(48)
    return tens.astype(np.int64) * 10 + ones, (tens < 10) & (ones < 10)


def counted_before(found: Mask, places: Ints) -> Ints:
    """How many are true before each place: sums of eight at once, and the rest of one such word."""
    words = np.zeros(len(found) // 8 + 1, np.uint64)
    words.view(np.bool_)[: len(found)] = found
    sums = np.zeros(len(words), np.int64)
    np.cumsum(np.bitwise_count(words[:-1]), out=sums[1:])
    at, rest = places >> 3, (places & 7).astype(np.uint64) << np.uint64(3)
    below = (np.uint64(1) << rest) - np.uint64(1)
    counted: Ints = sums[at] + np.bitwise_count(words[at] & below)
    return counted
