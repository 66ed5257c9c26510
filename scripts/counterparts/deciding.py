"""Which answers go into which file of which tick: most as they should be, some wrong on purpose.

A bulk request of some size is answered over three ticks (a smaller one over two). The first file
has most answers. In it some are malformed, some say that a question cannot be answered, some
contradict each other, some stand there twice, and some are for questions that nobody asked; the
later files have answers that are late, half of the spoilt ones as they should have been, and again
some that were given before. A few questions are never answered. All of it is drawn by the seed and
the request's name: whoever plans again plans the same.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
from fixed_width import ANSWER, Head
from register import FOUND, NOBODY, UNANSWERABLE, answers

Ints = npt.NDArray[np.int64]
SMALL, MIDDLE = 60, 2_000  # questions: below, one file without anything wrong; below, two files
RARE = 1_000  # one in so many questions meets with each mishap, and at least one
LATE, LATER = 0.08, 0.02  # shares that come with the second and with the last file
STRANGERS = 2  # answers in each file to questions that nobody asked
BULK = "2"
# What a line is: as it should be, or spoilt (what is rejected is named by the code that it earns).
RIGHT, ALTERED, STRANGER, CONTRADICTION = "right", "altered", "stranger", "contradiction"
WRONG_DIGIT, ITEM_MISSING, NOT_ANSWERABLE = "R201", "R220", "R503"
REJECTED = (WRONG_DIGIT, ITEM_MISSING, NOT_ANSWERABLE)
MISHAPS = (*REJECTED, CONTRADICTION)


@dataclass(frozen=True)
class Part:
    """One answer file.

    Args:
        due: ticks from the one that took the request.
        lines: columns of `register.find`, and `spoil`.
    """

    due: int
    lines: pl.DataFrame


class _Deck:
    """Questions about found persons in a drawn order; what is taken is taken once."""

    def __init__(self, found: pl.DataFrame, draw: np.random.Generator) -> None:
        everybody = draw.permutation(found.height)
        is_found = (found["answer_class"] == FOUND).to_numpy()[everybody]
        self._all, self._pool, self._used = everybody, everybody[is_found], 0

    def take(self, count: int) -> Ints:
        """Positions; fewer where there are no more."""
        self._used += count
        return self._pool[self._used - count : self._used]

    def rest(self) -> Ints:
        """All others."""
        return self._all[~np.isin(self._all, self._pool[: self._used])]


def plan(name: str, head: Head, found: pl.DataFrame, *, seed: int) -> list[Part]:
    """Deal the answers of one request out over its files.

    Args:
        name: of the request file.
        found: what is known of each question (`register.find`).
    """
    draw = np.random.default_rng([seed, zlib.crc32(name.encode())])
    if head.mode != BULK or found.height < SMALL:
        return [Part(0, _lines(found, draw.permutation(found.height)))]
    deck = _Deck(found, draw)
    files = 2 if found.height < MIDDLE else 3
    dealt: list[list[pl.DataFrame]] = [[_strangers(found, draw)] for _ in range(files)]
    few = max(1, found.height // RARE)
    for place, mishap in enumerate(MISHAPS):
        later = 1 + place % (files - 1)
        _mishap(dealt, found, mishap, mended=deck.take(few), left=deck.take(few), later=later)
    _repetitions(dealt, found, deck, few)
    deck.take(few)  # never answered
    rest = deck.rest()
    late = round(len(rest) * LATE)
    end = late + round(len(rest) * LATER)
    dealt[0].append(_lines(found, rest[end:]))
    dealt[1].append(_lines(found, rest[:late]))
    dealt[-1].append(_lines(found, rest[late:end]))
    return [Part(due, _shuffled(pl.concat(some), draw)) for due, some in enumerate(dealt)]


def _mishap(
    dealt: list[list[pl.DataFrame]],
    found: pl.DataFrame,
    mishap: str,
    *,
    mended: Ints,
    left: Ints,
    later: int,
) -> None:
    """Spoilt answers in the first file; those to the `mended` questions come right `later`."""
    both = np.concatenate([mended, left])
    dealt[0].append(_lines(found, both, mishap))
    if mishap == CONTRADICTION:
        dealt[0].append(_lines(found, both))
    dealt[later].append(_lines(found, mended))


def _repetitions(
    dealt: list[list[pl.DataFrame]], found: pl.DataFrame, deck: _Deck, few: int
) -> None:
    """Answers that stand twice in the first file, that come again, and one that comes otherwise."""
    twice, again, last, altered = deck.take(few), deck.take(few), deck.take(few), deck.take(1)
    dealt[0].append(_lines(found, np.concatenate([twice, twice, again, last, altered])))
    dealt[1].append(_lines(found, again))
    dealt[-1] += [_lines(found, last), _lines(found, altered, ALTERED)]


def _lines(found: pl.DataFrame, positions: Ints, spoil: str = RIGHT) -> pl.DataFrame:
    return found[positions].with_columns(spoil=pl.lit(spoil))


def _strangers(found: pl.DataFrame, draw: np.random.Generator) -> pl.DataFrame:
    """Somebody's answers under numbers that are not in the request."""
    numbers: list[str] = []
    while len(numbers) < STRANGERS:
        number = f"{draw.integers(10**16):016d}"
        if not (found["request_record_number"] == number).any() and number not in numbers:
            numbers.append(number)
    lines = _lines(found, draw.integers(found.height, size=STRANGERS), STRANGER)
    return lines.with_columns(request_record_number=pl.Series(numbers))


def _shuffled(lines: pl.DataFrame, draw: np.random.Generator) -> pl.DataFrame:
    return lines[draw.permutation(lines.height)]


def written(register: pl.DataFrame, lines: pl.DataFrame) -> pl.DataFrame:
    """The lines of an answer file as they are written, spoilt as planned."""
    spoil = pl.Series("spoil", lines["spoil"])
    frame = answers(register, lines).with_columns(spoil)
    emptied = {NOT_ANSWERABLE: UNANSWERABLE, CONTRADICTION: NOBODY}
    nothing = pl.col("spoil").is_in(list(emptied))
    digit = (pl.col("my_number").str.tail(1).cast(pl.Int64) + 1) % 10
    wrong = pl.col("my_number").str.head(-1) + digit.cast(pl.String)
    frame = frame.with_columns(
        my_number=pl.when(pl.col("spoil") == WRONG_DIGIT)
        .then(wrong)
        .otherwise(pl.col("my_number")),
        address=pl.when(pl.col("spoil") == ALTERED)
        .then(pl.col("address") + "　別棟")
        .when(pl.col("spoil") != ITEM_MISSING)
        .then(pl.col("address")),
        answer_class=pl.col("spoil").replace_strict(emptied, default=pl.col("answer_class")),
    )
    items = [name for name in frame.columns if name in ANSWER]
    return frame.select(
        pl.col(name)
        if name in ("request_record_number", "answer_class")
        else pl.when(~nothing).then(pl.col(name))
        for name in items
    )
