"""Single: rules over lines of which each stands alone (a question, a confirmation of receipt).

Two look beyond one line: レコード識別番号 must name one line of its file, and the same content a
second time is a duplicate of the first.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from koukan.rules.checks import FINDINGS
from koukan.rules.register import Ints, Mask, Small

Hashes = npt.NDArray[np.uint64]
SEEDS = (0x6B6F756B, 0x616E3032)  # two hashes of 64 bits: equal content, not only equal hash
BETWEEN = "\x1f"  # no good line has it in a field
NUMBERS = 10**10  # レコード識別番号 have ten digits
NUMBER_TWICE, REPEATED = "R306", "D301"


@dataclass(frozen=True)
class Lines:
    """All data lines of a group; `reception` is the position of the file in the group."""

    reception: Small
    record_number: Ints
    insurer: Small
    bad: Mask  # a rule over the single line rejects it
    content: tuple[Hashes, Hashes]  # two hashes of what the line says behind its number


@dataclass(frozen=True)
class Judgement:
    """What the rules over lines say; `findings` are theirs alone (row, field, code)."""

    findings: pl.DataFrame
    rejected: Mask
    duplicate: Mask


def content_of(frame: pl.DataFrame, names: Collection[str]) -> tuple[Hashes, Hashes]:
    """Two hashes of what each line says in these fields; a column that is missing is empty."""
    given = set(frame.columns)
    fields = [
        pl.col(name).cast(pl.String).fill_null("") if name in given else pl.lit("")
        for name in names
    ]
    # The row's own length, also where no field is given at all.
    said = frame.with_columns(pl.concat_str(*fields, separator=BETWEEN).alias(BETWEEN))[BETWEEN]
    first, second = (said.hash(seed).to_numpy() for seed in SEEDS)
    return first, second


def judge(lines: Lines) -> Judgement:
    """Reject lines that share a number, and find those that repeat another line.

    A line repeats the first good one of its file and insurer with the same content.
    """
    twice = _several(lines.reception, lines.record_number)
    rejected = lines.bad | twice
    duplicate = np.zeros(len(rejected), np.bool_)
    good = np.flatnonzero(~rejected)
    good = good[_repeated(lines.content[0][good])]  # nearly none: what is held grows with these
    frame = pl.DataFrame(
        {
            "reception": lines.reception[good],
            "insurer": lines.insurer[good],
            "one": lines.content[0][good],
            "other": lines.content[1][good],
        }
    )
    first = frame.select(~pl.struct(pl.all()).is_first_distinct().alias("again"))
    duplicate[good] = first["again"].to_numpy()
    findings = pl.concat([_found(twice, NUMBER_TWICE), _found(duplicate, REPEATED)])
    return Judgement(findings, rejected, duplicate)


def _several(reception: Small, number: Ints) -> Mask:
    """Lines whose number another line of the file has, too."""
    return _repeated(reception.astype(np.int64) * NUMBERS + number)


def _repeated(values: Ints | Hashes) -> Mask:
    """Which values are there more than once."""
    found = np.zeros(len(values), np.bool_)
    if not np.all(values[1:] > values[:-1]):  # as a file's own numbers usually are
        order = np.argsort(values)
        same = values[order[1:]] == values[order[:-1]]
        found[order[1:][same]] = found[order[:-1][same]] = True
    return found


def _found(mask: Mask, code: str) -> pl.DataFrame:
    rows = pl.DataFrame({"row": np.flatnonzero(mask)}, schema={"row": pl.Int64})
    return rows.select("row", field=pl.lit("record_number"), code=pl.lit(code)).match_to_schema(
        FINDINGS
    )
