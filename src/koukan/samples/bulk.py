"""One big file, written piece by piece: for measuring and for `koukan sample`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

import numpy as np

from koukan.errors import UsageError
from koukan.formats.model import Format
from koukan.samples.answers import FOUND
from koukan.samples.draws import Ints
from koukan.samples.expected import Counts
from koukan.samples.faults import ROW_FAULTS, Expectation, Persons, inject_all
from koukan.samples.line_faults import inject_lines, line_faults
from koukan.samples.population import Population
from koukan.samples.registration import Frames, SampleInsurer, joined, registration_frames
from koukan.samples.writing import WrittenFile, write_file

PIECE = 30_000  # persons in memory at the same time
PAIRS = "R303"  # takes persons by twos
Plan = Mapping[str, Persons]  # code -> positions of persons, or of lines that stand for themselves
Inject = Callable[[Frames, Plan], tuple[Frames, list[Expectation]]]
Make = Callable[[range, int], Frames]  # persons and the record number of the first


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
    """What the faults of all pieces come to."""

    rejected: int = 0
    duplicate: int = 0
    held: int = 0
    faults: Counter[str] = field(default_factory=Counter)

    def with_faults(
        self,
        frames: Frames,
        turns: Mapping[str, int],
        fitting: Ints,
        *,
        seed: int,
        inject: Inject,
    ) -> Frames:
        """Put faults into persons or lines that are drawn by the seed.

        Args:
            turns: code -> how many carry it.
            fitting: positions of those who can.

        Raises:
            UsageError: more faults than can be carried.
        """
        if not turns:
            return frames
        if sum(turns.values()) > len(fitting):
            raise UsageError("samples.too_small", code=next(iter(turns)))
        drawn = np.random.default_rng(seed).permutation(fitting)
        bounds = np.cumsum([0, *turns.values()])
        plan = {
            code: drawn[start:stop]
            for code, start, stop in zip(turns, bounds, bounds[1:], strict=False)
        }
        changed, expected = inject(frames, plan)
        for item in expected:
            self.rejected += item.rejected
            self.duplicate += item.duplicate
            self.held += item.held
            self.faults[item.code] += item.persons
        return changed


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
    whole_record: bool = False,
    beside: Sequence[SampleInsurer] = (),
) -> Bulk:
    """Write a file of newly registered persons, `bad_persons` of them with a fault.

    Args:
        bad_persons: R303 takes two for one.
        codes: the faults, in turns; all that need no history when absent.
        whole_record: with lines of the sections that not every person has.
        beside: the file is of these insurers as well, of each as many persons; a fault is given to
            those who can have it.

    Raises:
        UsageError: a code is not one of those that new persons can have.
    """
    tally = _Tally()
    population = Population(seed)
    insurers = (insurer, *beside)

    def share(own: SampleInsurer, numbers: range, bad: range) -> Frames:
        """One insurer's persons of a piece; they have consecutive numbers."""
        first = first_person + numbers.start
        frames = registration_frames(
            form,
            population.people(first, first + len(numbers)),
            insurer=own,
            as_of=as_of,
            first_record_number=numbers.start + 1,
            whole_record=whole_record,
        )
        able = codes_without_history(own)
        chosen = able if codes is None else [code for code in codes if code in able or not beside]
        turns = _turns(bad, chosen, paired={PAIRS})
        while turns[PAIRS] and turns.total() > len(numbers):
            turns[PAIRS] -= 2  # where nearly everybody has a fault there is no room for its second
        everybody = np.arange(len(numbers))
        drawn = seed + numbers.start
        return tally.with_faults(frames, turns, everybody, seed=drawn, inject=inject_all)

    def pieces() -> Iterator[Frames]:
        for start in range(0, persons, PIECE):
            count = min(PIECE, persons - start)
            bounds = [start + count * place // len(insurers) for place in range(len(insurers) + 1)]
            # Bad ones up to a person are in proportion: their number does not depend on PIECE.
            bad = [bad_persons * bound // persons for bound in bounds]
            parts = [
                share(own, range(*numbers), range(*faulty))
                for own, numbers, faulty in zip(
                    insurers, pairwise(bounds), pairwise(bad), strict=True
                )
            ]
            yield joined(parts)

    written = write_file(
        target, form, pieces(), sender=sender, sequence=sequence, creation_date=as_of
    )
    return _bulk(written, tally)


def write_lines(
    target: Path | BinaryIO,
    form: Format,
    make: Make,
    *,
    seed: int,
    rows: int,
    sender: str,
    as_of: date,
    sequence: int = 1,
    control: Mapping[str, str] | None = None,
    bad_rows: int = 0,
    codes: Sequence[str] = (),
) -> Bulk:
    """Write a file whose lines stand for themselves, `bad_rows` of them with a fault.

    Args:
        make: gives the frames of these persons, one line each.
        bad_rows: a code that takes two lines counts as one.
        codes: the faults, in turns.

    Raises:
        UsageError: a code is not one of those that the format can have.
    """
    tally = _Tally()
    paired = {code for code, fault in line_faults(form).items() if fault.pairs}

    inject = partial(inject_lines, form)

    def pieces() -> Iterator[Frames]:
        number = 1
        for start in range(0, rows, PIECE):
            stop = min(start + PIECE, rows)
            bad = [bad_rows * bound // rows for bound in (start, stop)]
            turns = _turns(range(*bad), codes, paired=paired)
            frames = make(range(start, stop), number)
            fitting = _fitting(form, frames)
            frames = tally.with_faults(frames, turns, fitting, seed=seed + start, inject=inject)
            number += sum(frame.height for frame in frames.values())
            yield frames

    written = write_file(
        target,
        form,
        pieces(),
        sender=sender,
        sequence=sequence,
        creation_date=as_of,
        control=control,
    )
    return _bulk(written, tally)


def _bulk(written: WrittenFile, tally: _Tally) -> Bulk:
    bad = (tally.rejected, tally.duplicate, tally.held)
    counts = Counts(written.lines, written.lines - sum(bad), *bad)
    return Bulk(written, counts, dict(sorted(tally.faults.items())))


def _turns(bad: range, codes: Sequence[str], *, paired: Collection[str]) -> Counter[str]:
    """Code -> how many persons or lines carry it when the codes take turns."""
    turns = Counter(number % len(codes) for number in bad if codes)
    found: Counter[str] = Counter()
    for place, code in enumerate(codes):  # in their order, wherever the piece begins
        if turns[place]:
            found[code] += turns[place] * (2 if code in paired else 1)
    return found


def _fitting(form: Format, frames: Frames) -> Ints:
    """Positions of the lines that can carry every fault of the format."""
    frame = next(iter(frames.values()))  # formats of more sections have no faults
    if any(fault.found for fault in line_faults(form).values()):
        return (frame["answer_class"] == FOUND).arg_true().to_numpy().astype(np.int64)
    return np.arange(frame.height)
