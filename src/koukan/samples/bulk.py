"""One big file of one insurer, written piece by piece: for measuring and for `koukan sample`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import BinaryIO

import numpy as np

from koukan.formats.model import Format
from koukan.samples.expected import Counts
from koukan.samples.faults import ROW_FAULTS, inject_all
from koukan.samples.population import Population
from koukan.samples.registration import Frames, SampleInsurer, registration_frames
from koukan.samples.writing import WrittenFile, write_file

PIECE = 30_000  # persons in memory at the same time


def codes_without_history(insurer: SampleInsurer, *, equal_sections: bool = False) -> list[str]:
    """Row codes that a file of new persons of this insurer can bring about by itself.

    Args:
        equal_sections: only those that leave every person with one line of each section.
    """
    own = "welfare" if insurer.welfare else "insured"
    return [
        code
        for code, fault in ROW_FAULTS.items()
        if fault.needs in ("new", own)
        and not fault.history
        and not (equal_sections and fault.added)
    ]


@dataclass(frozen=True)
class Bulk:
    """The written file, what its lines must come to, and code -> persons with that fault."""

    file: WrittenFile
    counts: Counts
    faults: Mapping[str, int]


@dataclass
class _Tally:
    added: int = 0
    rejected: int = 0
    duplicate: int = 0
    faults: Counter[str] = field(default_factory=Counter)


def write_bulk(
    target: Path | BinaryIO,
    form: Format,
    *,
    seed: int,
    insurer: SampleInsurer,
    persons: int,
    sender: str,
    as_of: date,
    sequence: int = 1,
    first_person: int = 0,
    bad_persons: int = 0,
    codes: Sequence[str] | None = None,
) -> Bulk:
    """Write a file of newly registered persons, `bad_persons` of them with a fault.

    Args:
        bad_persons: R303 takes two for one.
        codes: the faults, in turns; all that need no history when absent.

    Raises:
        UsageError: a code is not one of those that new persons can have.
    """
    chosen = codes_without_history(insurer) if codes is None else list(codes)
    tally = _Tally()
    population = Population(seed)

    def pieces() -> Iterator[Frames]:
        for start in range(0, persons, PIECE):
            stop = min(start + PIECE, persons)
            frames: Frames = registration_frames(
                form,
                population.people(first_person + start, first_person + stop),
                insurer=insurer,
                as_of=as_of,
                first_record_number=start + 1,
            )
            # Bad ones up to a person are in proportion: their number does not depend on PIECE.
            bad = [bad_persons * bound // persons for bound in (start, stop)]
            yield _with_faults(frames, range(*bad), chosen, seed + start, tally)

    written = write_file(
        target, form, pieces(), sender=sender, sequence=sequence, creation_date=as_of
    )
    received, rejected, duplicate = written.lines, tally.rejected, tally.duplicate
    counts = Counts(received, received - rejected - duplicate, rejected, duplicate)
    return Bulk(written, counts, dict(sorted(tally.faults.items())))


def _with_faults(
    frames: Frames, bad: range, codes: Sequence[str], seed: int, tally: _Tally
) -> Frames:
    if not bad or not codes:
        return frames
    height = frames["basic"].height
    positions = np.random.default_rng(seed).permutation(height)[: 2 * len(bad)]
    turns = np.arange(bad.start, bad.stop) % len(codes)
    plan, used = {}, 0
    for number, code in enumerate(codes):
        count = int((turns == number).sum()) * (2 if code == "R303" else 1)
        if count:
            plan[code] = positions[used : used + count]
            used += count
    changed, expected = inject_all(frames, plan)
    for item in expected:
        tally.rejected += item.rejected
        tally.duplicate += item.duplicate
        tally.faults[item.code] += item.persons
    return changed
