"""Seeded draws by counter: what is drawn for index i does not depend on what else is asked for."""

from __future__ import annotations

import hashlib
from datetime import date
from functools import cache

import numpy as np
import numpy.typing as npt
import polars as pl

Ints = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]
EPOCH = date(1970, 1, 1)
FIRST_DAY, LAST_DAY = date(1900, 1, 1), date(2099, 12, 31)
# The body of a 個人番号 has eleven digits: a high part of six and a low part of five.
HIGH, LOW = 1_000_000, 100_000
ROUNDS = 4


def _mix(words: Words) -> Words:
    """The finalizer of splitmix64: a bijection of 64-bit words that spreads every bit."""
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))


class Draws:
    """Draws of one seed; each name is a stream of its own.

    Args:
        seed: any number; the same seed draws the same on every machine and release.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def words(self, stream: str, index: Ints) -> Words:
        """64 bits for each index."""
        digest = hashlib.sha256(f"{self._seed}/{stream}".encode()).digest()
        key = np.uint64(int.from_bytes(digest[:8], "little"))
        return _mix(index.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + key)

    def below(self, stream: str, index: Ints, limit: int) -> Ints:
        """A number from 0 to `limit` - 1 for each index."""
        return (self.words(stream, index) % np.uint64(limit)).astype(np.int64)

    def eleven_digits(self, index: Ints) -> Ints:
        """A permutation of the numbers below 10**11: different indices, different numbers.

        A Feistel network over the two parts, so that nothing has to be kept to stay unique.
        """
        high, low = index // LOW, index % LOW
        for turn in range(ROUNDS):
            high = (high + self.below(f"high {turn}", low, HIGH)) % HIGH
            low = (low + self.below(f"low {turn}", high, LOW)) % LOW
        return high * LOW + low


def day_number(day: date) -> int:
    """Days since 1970-01-01."""
    return (day - EPOCH).days


@cache
def _day_texts() -> pl.Series:
    days = pl.date_range(FIRST_DAY, LAST_DAY, eager=True)
    return days.dt.strftime("%Y%m%d")


def day_text(days: Ints) -> pl.Series:
    """YYYYMMDD of day numbers between 1900 and 2099."""
    return _day_texts().gather(days - day_number(FIRST_DAY))
