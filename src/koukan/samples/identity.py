"""The demo's questions: what insurers ask 住基ネット about their members in the night.

Seeded like the nights of registration files, and with what koukan must make of every file. What the
answers come to is told by the counterpart (scripts/counterparts/juki_net.py --expect), not here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from koukan.errors import UsageError
from koukan.formats.load import require_catalogue
from koukan.formats.model import Format
from koukan.samples.draws import Ints
from koukan.samples.expected import Counts, ExpectedNight, Outcome
from koukan.samples.file_faults import FILE_FAULTS, QUESTION_FAULTS
from koukan.samples.laying import NIGHT_DAY, Night, earlier_persons
from koukan.samples.line_faults import inject_lines, line_faults
from koukan.samples.population import Population
from koukan.samples.questions import (
    BASIC_FOUR_QUERY,
    BULK,
    IMMEDIATE,
    MOST_IMMEDIATE,
    MY_NUMBER_QUERY,
    question_frames,
)
from koukan.samples.registration import Frames
from koukan.samples.residents import write_population
from koukan.samples.scenario import ASKING_DOOR, SCENARIO, SampleSender
from koukan.samples.shares import shared_out
from koukan.shipped import formats_folder

__all__ = ["lay_questions", "write_population"]

BAD_SHARE = 0.01  # of the lines
UNREADABLE = "R106"  # beyond its limit, the share of undecodable lines refuses the file
STRANGERS = 100  # of so many questions at least one is about somebody whom no register has
NOBODY = 5_000_000_000  # persons from here on are in no register and no registration file
LEAST = 40  # lines of the smallest file, so that it stays a good one with bad lines in it
FEW = 5  # lines of a file that is refused
SERVER_DOOR = "server_link"


@dataclass(frozen=True)
class _File:
    """A question file of one insurer.

    Args:
        share: of all questions of bulk files; 0 for immediate ones.
    """

    sender: str
    form: str
    sequence: int
    share: float = 0.0
    mode: str = BULK
    door: str = ASKING_DOOR


BULK_FILES = (
    _File("kyokai", MY_NUMBER_QUERY, 1, 0.28),
    _File("kyokai", BASIC_FOUR_QUERY, 1, 0.14),
    _File("kenpo-a", MY_NUMBER_QUERY, 1, 0.11),
    _File("kenpo-a", BASIC_FOUR_QUERY, 1, 0.07),
    _File("kenpo-b", MY_NUMBER_QUERY, 1, 0.05),
    _File("kouki-rengo", MY_NUMBER_QUERY, 1, 0.12),
    _File("kouki-rengo", BASIC_FOUR_QUERY, 1, 0.14),
    _File("kokkyo", MY_NUMBER_QUERY, 1, 0.04),
    _File("kokkyo", BASIC_FOUR_QUERY, 1, 0.03),
    _File("fukushi", BASIC_FOUR_QUERY, 1, 0.02),
)
IMMEDIATE_FILES = (
    _File("kenpo-b", BASIC_FOUR_QUERY, 1, mode=IMMEDIATE),
    _File("kokkyo", MY_NUMBER_QUERY, 2, mode=IMMEDIATE),
)
# A refused file frees its number: each is its sender's last of the format.
REFUSED = (
    (_File("city-a", MY_NUMBER_QUERY, 1), "F203"),  # 市町村国保 asks nothing here
    (
        _File("fukushi", BASIC_FOUR_QUERY, 2, mode=IMMEDIATE),
        "F203",
    ),  # a welfare office asks in bulk
    (_File("kenpo-a", MY_NUMBER_QUERY, 2, door=SERVER_DOOR), "F202"),  # questions by terminal only
)
SPOILT = (
    (_File("kouki-rengo", MY_NUMBER_QUERY, 2), FILE_FAULTS["count"]),
    (_File("kenpo-b", BASIC_FOUR_QUERY, 2), QUESTION_FAULTS["immediate"]),
)


def lay_questions(
    root: Path,
    seed: int,
    questions: int = 20_000,
    earlier: int = 20_000,
    *,
    formats: Mapping[str, Format] | None = None,
) -> ExpectedNight:
    """Lay question files of six senders into the site's inboxes, some of them refused.

    Args:
        root: the site; inboxes are `exchange/<sender>/inbox/<door>` below it.
        questions: of the bulk files, those that are left when bad lines are rejected, exactly;
            immediate ones come on top.
        earlier: the persons of the earlier night; an insurer asks about its own, and about further
            ones when these are too few.
        formats: definitions to write by; those that koukan ships when absent.

    Returns:
        what must become of every file; the register that is to answer (`write_population`) has
        the persons below its `persons`, and does not know all of them.

    Raises:
        UsageError: too few questions for every fault.
    """
    definitions = require_catalogue(formats_folder()).formats if formats is None else formats
    night = Night(root, Population(seed), definitions, NIGHT_DAY, earlier)
    sizes = shared_out(questions, [file.share for file in BULK_FILES])
    if sizes is None or min(sizes) < LEAST:
        raise UsageError("samples.too_small", code="R306")
    own = earlier_persons(earlier)
    for file, size, plan in zip(BULK_FILES, sizes, _plans(definitions, sizes), strict=True):
        _good_file(night, file, size, plan, own)
    for place, file in enumerate(IMMEDIATE_FILES):
        _good_file(night, file, MOST_IMMEDIATE - 3 * place, Counter(), own)
    for file, code in REFUSED:
        _refused_file(night, file, code)
    for file, fault in SPOILT:
        name, content = _rendered(night, file, night.take(MOST_IMMEDIATE + 1))
        name, content = fault(name, content, night.formats[file.form])
        night.lay(_sender(file), name, content)
        night.expect(_sender(file), name, "refused", fault.code)
    return ExpectedNight(tuple(night.files), night.next_person)


def _sender(file: _File) -> SampleSender:
    return replace(SCENARIO.sender(file.sender), format=file.form, doors=(file.door,))


def _plans(formats: Mapping[str, Format], sizes: list[int]) -> list[Counter[str]]:
    """By bulk file: how many lines carry each fault of its format."""
    plans: list[Counter[str]] = [Counter() for _ in sizes]
    for form in (MY_NUMBER_QUERY, BASIC_FOUR_QUERY):
        faults = line_faults(formats[form])
        weights = np.where([file.form == form for file in BULK_FILES], sizes, 0)
        carry = np.zeros(len(sizes))
        for code, fault in faults.items():
            unit = 2 if fault.pairs else 1
            count = max(1, round(BAD_SHARE * weights.sum() / len(faults) / unit))
            if code == UNREADABLE:
                plans[int(weights.argmax())][code] = count
                continue
            wish = weights / weights.sum() * count
            parts = shared_out(count, list((wish + carry).clip(min=0)))
            assert parts is not None  # without a limit all of it has room
            carry += wish - parts  # who got too few comes first next time
            for plan, part in zip(plans, parts, strict=True):
                plan[code] += part * unit
    return [Counter({code: count for code, count in plan.items() if count}) for plan in plans]


def _persons(night: Night, file: _File, count: int, own: Mapping[str, Ints]) -> Ints:
    """Whom the file asks about: the insurer's own first, some that nobody knows, then others."""
    insurer = SCENARIO.sender(file.sender).insurers[0]
    unknown = -(-count // STRANGERS)
    drawn = np.random.default_rng([night.population.seed, int(insurer), len(night.files)])
    members = drawn.permutation(own[insurer])[: count - unknown]
    others = night.take(count - unknown - len(members))
    strangers = NOBODY + len(night.files) * 10**6 + np.arange(unknown, dtype=np.int64)
    return drawn.permutation(np.concatenate([members, others, strangers]))


def _frames(night: Night, file: _File, persons: Ints) -> Frames:
    insurer = SCENARIO.insurer(SCENARIO.sender(file.sender).insurers[0])
    return question_frames(night.formats[file.form], night.population, persons, insurer=insurer)


def _rendered(night: Night, file: _File, persons: Ints) -> tuple[str, bytes]:
    frames = _frames(night, file, persons)
    mode = {"query_mode": file.mode}
    return night.rendered(_sender(file), file.sequence, frames, control=mode)


def _good_file(
    night: Night, file: _File, size: int, plan: Counter[str], own: Mapping[str, Ints]
) -> None:
    """A file of which `size` questions are left after its rejects."""
    form, sender = night.formats[file.form], _sender(file)
    faults = line_faults(form)
    rejected = sum(faults[code].rejected * count for code, count in plan.items())
    persons = _persons(night, file, size + rejected, own)
    drawn = np.random.default_rng([night.population.seed, size, len(night.files)])
    positions = iter(drawn.permutation(len(persons)))
    chosen = {code: np.fromiter(positions, np.int64, count) for code, count in plan.items()}
    frames, expected = inject_lines(form, _frames(night, file, persons), chosen)
    name, content = night.rendered(sender, file.sequence, frames, control={"query_mode": file.mode})
    night.lay(sender, name, content)
    added = sum(item.added for item in expected)
    repeated = sum(item.duplicate for item in expected)
    counts = Counts(len(persons) + added, size, rejected, repeated)
    night.expect(sender, name, "accepted", counts={sender.insurers[0]: counts}, faults=plan)


def _refused_file(night: Night, file: _File, code: str) -> None:
    outcome: Outcome = "refused"
    name, content = _rendered(night, file, night.take(FEW))
    night.lay(_sender(file), name, content)
    night.expect(_sender(file), name, outcome, code)
