"""The demo's two nights: good files first, then a night with everything that can go wrong.

Both are seeded: the same seed and sizes lay the same bytes, and come with what koukan must make of
them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import polars as pl

from koukan.formats.load import require_catalogue
from koukan.formats.model import Format
from koukan.samples.allotment import places, shares
from koukan.samples.draws import Ints
from koukan.samples.expected import Counts, ExpectedNight, Outcome
from koukan.samples.faults import FILE_FAULTS, ROW_FAULTS
from koukan.samples.laying import (
    EARLIER_DAY,
    NIGHT_DAY,
    Night,
    earlier_file,
    earlier_persons,
    registered,
)
from koukan.samples.population import Population
from koukan.samples.registration import Frames, SampleInsurer, joined
from koukan.samples.scenario import (
    GOOD_FILES,
    INSURERS,
    SCENARIO,
    SampleSender,
    Scenario,
    site_toml,
)
from koukan.samples.shares import Share, plan_faults, share_frames
from koukan.samples.writing import PART, file_name, write_file
from koukan.shipped import formats_folder

__all__ = [
    "EARLIER_DAY",
    "NIGHT_DAY",
    "SCENARIO",
    "Scenario",
    "lay_earlier_night",
    "lay_night",
    "site_toml",
]

# A refused file frees its number and would make a gap for the next: each is its sender's last.
SPOILT = (
    ("kenpo-a", 3, "torn"),
    ("kenpo-b", 3, "utf8"),
    ("kokuho-kumiai", 3, "quote"),
    ("kouki-rengo", 3, "count"),
    ("nhi-aggregation", 4, "nuls"),
    ("chikyo", 3, "carriage_returns"),
    ("shigaku", 3, "gzip"),
)
GAP = ("kyokai", 5)  # 000004 never comes
AGAIN = ("kokkyo", 3)  # the bytes of the earlier night's file
OTHER_BYTES = ("chikyo", 1)  # under the name of the earlier night's file
STRANGER = ("fukushi", 3, "kenpo-a")  # speaks for an insurer that is not its own
WRONG_DOOR = ("city-a", 1)  # a city's own terminal is no door for 市町村国保
HALF_WRITTEN = ("kenpo-b", 4)
BAD_SHARE = 0.01  # of the night's persons


def _formats(formats: Mapping[str, Format] | None) -> Mapping[str, Format]:
    return require_catalogue(formats_folder()).formats if formats is None else formats


def lay_earlier_night(
    root: Path,
    seed: int,
    persons: int = 20_000,
    *,
    formats: Mapping[str, Format] | None = None,
) -> ExpectedNight:
    """Lay one good file of each sender, all persons newly registered, into the site's inboxes.

    Args:
        root: the site; inboxes are `exchange/<sender>/inbox/<door>` below it.
        formats: definitions to write by; those that koukan ships when absent.

    Raises:
        UsageError: too few persons for eleven insurers.
    """
    night = Night(root, Population(seed), _formats(formats), EARLIER_DAY, persons)
    by_insurer = earlier_persons(persons)
    for sender in SCENARIO.good_senders():
        name, content = earlier_file(night, sender, by_insurer)
        night.lay(sender, name, content)
        lines = {code: 3 * len(by_insurer[code]) for code in sender.insurers}
        counts = {code: Counts(number, number) for code, number in lines.items()}
        night.expect(sender, name, "accepted", counts=counts)
    return ExpectedNight(tuple(night.files), night.next_person)


def lay_night(
    root: Path,
    seed: int,
    lines: int = 200_000,
    earlier: int = 20_000,
    *,
    formats: Mapping[str, Format] | None = None,
) -> ExpectedNight:
    """Lay the night with everything in it into the site's inboxes.

    Args:
        lines: data lines in all files that are not refused (accepted, duplicate, held), exactly.
        earlier: the persons of the earlier night, whose result files must lie in the outboxes
            (`exchange/<sender>/outbox`).

    Raises:
        UsageError: a result file is missing, or the night is too small for every fault.
    """
    by_insurer = earlier_persons(earlier)
    night = Night(root, Population(seed), _formats(formats), NIGHT_DAY, earlier)
    members = registered(root, night.formats, by_insurer, night.population)
    few = min(max(lines // 10_000, 6), 200)  # persons of each file that is not good
    held = 2 * 3 * few
    again = 3 * sum(len(by_insurer[code]) for code in SCENARIO.sender(AGAIN[0]).insurers)
    _good_files(night, lines - held - again, members)
    for name, sequence, fault in SPOILT:
        _spoilt(night, SCENARIO.sender(name), sequence, fault, few)
    for (name, sequence), code in ((GAP, "H101"), (OTHER_BYTES, "H102")):
        _whole(night, SCENARIO.sender(name), sequence, few, ("held", code))
    name, sequence, stranger = STRANGER
    refused: tuple[Outcome, str] = ("refused", "F201")
    _whole(night, SCENARIO.sender(name), sequence, few, refused, insurer=INSURERS[stranger][0])
    _whole(night, SCENARIO.sender(WRONG_DOOR[0]), WRONG_DOOR[1], few, ("refused", "F202"))
    _half_written(night, SCENARIO.sender(HALF_WRITTEN[0]), HALF_WRITTEN[1], few)
    _again(night, SCENARIO.sender(AGAIN[0]), AGAIN[1], by_insurer)
    return ExpectedNight(tuple(night.files), night.next_person)


def _good_files(night: Night, lines: int, members: Mapping[str, pl.DataFrame]) -> None:
    each = max(1, round(BAD_SHARE * lines / 3 / len(ROW_FAULTS)))
    added = sum(fault.added for fault in ROW_FAULTS.values()) * each
    extra = (lines - added) % 3  # repeated lines make the sum exact
    where = places()
    found = shares(night, where, (lines - added - extra) // 3, members)
    plans = plan_faults(found, each, "D301", extra)
    for number, (name, sequence, _) in enumerate(GOOD_FILES):
        own = [
            (share, plan)
            for place, share, plan in zip(where, found, plans, strict=True)
            if place.file == number
        ]
        _good_file(night, SCENARIO.sender(name), sequence, own)


def _good_file(
    night: Night, sender: SampleSender, sequence: int, own: list[tuple[Share, Counter[str]]]
) -> None:
    first = 1
    parts: list[Frames] = []
    counts: dict[str, Counts] = {}
    faults: Counter[str] = Counter()
    for share, plan in own:
        code = share.insurer.code
        frames, counts[code], persons = share_frames(
            share,
            plan,
            form=night.form(sender),
            population=night.population,
            seed=(night.population.seed, sequence, int(code)),
            as_of=night.day,
            first_record_number=first,
        )
        first += persons
        parts.append(frames)
        faults.update(plan)
    written = write_file(
        night.inbox(sender),
        night.form(sender),
        joined(parts),
        sender=sender.name,
        sequence=sequence,
        creation_date=night.day,
    )
    night.expect(sender, written.name, "accepted", counts=counts, faults=faults)


def _spoilt(night: Night, sender: SampleSender, sequence: int, fault: str, few: int) -> None:
    insurer = SCENARIO.insurer(sender.insurers[0])
    good = night.rendered(sender, sequence, night.frames(sender, insurer, night.take(few)))
    name, content = FILE_FAULTS[fault](*good, night.form(sender))
    night.lay(sender, name, content)
    night.expect(sender, name, "refused", FILE_FAULTS[fault].code)


def _whole(
    night: Night,
    sender: SampleSender,
    sequence: int,
    few: int,
    outcome: tuple[Outcome, str],
    *,
    insurer: SampleInsurer | None = None,
) -> None:
    """A file without any fault in itself."""
    insurer = insurer or SCENARIO.insurer(sender.insurers[0])
    frames = night.frames(sender, insurer, night.take(few))
    name, content = night.rendered(sender, sequence, frames)
    night.lay(sender, name, content)
    held = {insurer.code: Counts(received=3 * few, held=3 * few)}
    night.expect(sender, name, *outcome, counts=held if outcome[0] == "held" else None)


def _half_written(night: Night, sender: SampleSender, sequence: int, few: int) -> None:
    insurer = SCENARIO.insurer(sender.insurers[0])
    frames = night.frames(sender, insurer, night.take(few))
    name, content = night.rendered(sender, sequence, frames)
    night.lay(sender, name + PART, content[: len(content) // 2])
    night.expect(sender, name + PART, "not received")


def _again(
    night: Night, sender: SampleSender, sequence: int, by_insurer: Mapping[str, Ints]
) -> None:
    """The earlier night's file, byte for byte, under the next number's name."""
    before = Night(night.root, night.population, night.formats, EARLIER_DAY, 0)
    _, content = earlier_file(before, sender, by_insurer)
    name = file_name(night.form(sender), sender.name, sequence)
    night.lay(sender, name, content)
    lines = {code: 3 * len(by_insurer[code]) for code in sender.insurers}
    counts = {code: Counts(received=number, duplicate=number) for code, number in lines.items()}
    night.expect(sender, name, "duplicate", "D101", counts=counts)
