"""The demo's second night: every event that an insurer can tell, and what only several files show.

One person for each: first they are registered, then something is told of them, by the 被保険者枝番
of the answers. Beside the events stand the mistakes that need an earlier file, and what the review
behind the night tells. The same seed lays the same bytes, and each act says what comes of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import polars as pl

from koukan.formats.load import require_catalogue
from koukan.formats.model import Format
from koukan.samples.edits import with_fields
from koukan.samples.expected import Counts, ExpectedNight
from koukan.samples.laying import NIGHT_DAY, Night, results_of
from koukan.samples.population import Population
from koukan.samples.registration import Frames, SampleInsurer, joined
from koukan.samples.scenario import CSV, FIXED, INSURERS, SCENARIO, SampleSender
from koukan.shipped import formats_folder

LINES = 3  # of a person
BASE = {  # what everybody has, so that an act names only what differs
    "qualification_date": "20260101",
    "issue_date": "20260101",
    "valid_from_date": "20260101",
    "valid_to_date": None,
}
COMING = {"member_class_code": "2"}
WAITS = {"my_number": None}
LOST = {"disqualification_date": "20260401", "loss_reason": "03"}
OTHER_DAY = {"qualification_date": "20251201", "issue_date": "20251201"}
OTHER_DAY |= {"valid_from_date": "20251201"}
Fields = Mapping[str, str | None]
NOTHING: Fields = MappingProxyType({})


class Act(NamedTuple):
    """One person: how it is registered, and what is told of it then.

    Args:
        insurer: its name among the scenario's.
        name: within the insurer; `like` names another act whose person it is.
        first: fields of the registration.
        process: 処理種別コード of what is told then; empty: nothing is.
        then: its fields; {number:NAME} and {member:NAME} stand for those of another act.
        code: why that is rejected.
    """

    insurer: str
    name: str
    process: str = ""
    first: Fields = NOTHING
    then: Fields = NOTHING
    code: str = ""
    like: str = ""


SEVENTY = "seventy"  # has a certificate for the elderly, too, before it may begin
ELDERLY = "elderly_certificate"
ACTS = (
    Act("kenpo-a", "corrected", "5", then=OTHER_DAY),
    Act("kenpo-a", "cancelled", "6"),
    Act("kenpo-a", "withdrawn", "7", COMING, COMING),
    Act("kenpo-a", "parted", "8", {"my_number": "{number:stranger}"},
        {"my_number": "{number:stranger}", "new_my_number": "{number:parted}"}),
    Act("kenpo-a", "joined", "3", then={"new_my_number": "{number:elsewhere}"}),
    Act("kenpo-a", "twice", "3", WAITS, {**WAITS, "new_member_id": "{member:once}"}),
    Act("kenpo-a", "once"),
    Act("kenpo-a", "numbered", "3", WAITS),
    Act("kenpo-a", "waiting", first={**WAITS, **COMING}),
    Act("kenpo-a", "lost", "4", then={**LOST, "valid_to_date": "20260331"}),
    Act("kenpo-a", "again", "2", then=OTHER_DAY),  # W411: its first spell is open
    Act("kenpo-a", "shared"),  # W412: another insurer has it, too
    Act("kenpo-a", "long", "4", then={**LOST, "valid_to_date": "20270331"}),  # W413
    Act("kenpo-a", "old", first={"birth_date": "19500401"}),  # W422
    Act("kenpo-a", SEVENTY, first={"birth_date": "19560402"}),  # W421
    Act("kenpo-a", "never", "4", then={**OTHER_DAY, **LOST, "valid_to_date": None}, code="R411"),
    Act("kenpo-a", "nothing", "6", then=OTHER_DAY, code="R412"),
    Act("kenpo-a", "stays", "7", then=COMING, code="R413"),
    Act("kenpo-a", "taken"),
    Act("kenpo-a", "takes", "3", WAITS, code="R406", like="taken"),
    Act("kenpo-b", "elsewhere"),
    Act("kenpo-b", "shared-too", like="shared"),
    Act("mihon-shi", "moved", "3", then={"new_insurer_code": "{insurer:shiken-shi}"}),
)  # fmt: skip
SENDERS = ("kenpo-a", "kenpo-b", "nhi-aggregation")


def lay_registrations(root: Path, seed: int, first_person: int) -> ExpectedNight:
    """Register everybody, in the first file of each sender.

    Args:
        first_person: nobody of the population from this number on occurs in any other file.
    """
    stage = _Stage.of(root, seed, first_person)
    for sender in SENDERS:
        stage.lay(sender, 1, [act for act in ACTS if act.insurer in _speaks_for(sender)])
    return ExpectedNight(tuple(stage.night.files), first_person + len(ACTS) + 1)


def lay_events(root: Path, seed: int, first_person: int) -> ExpectedNight:
    """Tell what is told of them, in the second file of each sender.

    Raises:
        UsageError: the answer to a first file is missing.
    """
    stage = _Stage.of(root, seed, first_person)
    for sender in SENDERS:
        own = [act for act in ACTS if act.insurer in _speaks_for(sender)]
        found = results_of(root, stage.night.formats, _sender(sender), 1)
        stage.members.update({own[number - 1].name: member for number, member in found})
    for sender in SENDERS:
        told = [act for act in ACTS if act.insurer in _speaks_for(sender) and act.process]
        if told:
            stage.lay(sender, 2, told, then=True)
    return ExpectedNight(tuple(stage.night.files), first_person + len(ACTS) + 1)


def _sender(name: str) -> SampleSender:
    """The sender with the format that it does not use else, in which its numbers begin with 1."""
    usual = SCENARIO.sender(name)
    return replace(usual, format=CSV if usual.format == FIXED else FIXED)


def _speaks_for(sender: str) -> list[str]:
    codes = SCENARIO.sender(sender).insurers
    return [name for name, (insurer, *_) in INSURERS.items() if insurer.code in codes]


class _Stage(NamedTuple):
    """Who everybody is."""

    night: Night
    persons: dict[str, int]
    numbers: dict[str, str]
    members: dict[str, str]  # as soon as they are known

    @classmethod
    def of(cls, root: Path, seed: int, first_person: int) -> _Stage:
        population = Population(seed)
        formats: Mapping[str, Format] = require_catalogue(formats_folder()).formats
        night = Night(root, population, formats, NIGHT_DAY, first_person)
        names = [act.name for act in ACTS if not act.like] + ["stranger"]
        persons = {name: first_person + place for place, name in enumerate(names)}
        persons |= {act.name: persons[act.like] for act in ACTS if act.like}
        order = np.array(list(persons.values()), np.int64)
        numbers = dict(zip(persons, population.numbers(order).to_list(), strict=True))
        return cls(night, persons, numbers, {})

    def lay(self, name: str, sequence: int, acts: Sequence[Act], *, then: bool = False) -> None:
        """One sender's file, and what must become of it."""
        sender = _sender(name)
        parts = [self.frames(sender, act, place, then=then) for place, act in enumerate(acts, 1)]
        file, content = self.night.rendered(sender, sequence, joined(parts))
        self.night.lay(sender, file, content)
        counts: dict[str, Counts] = {}
        for act in acts:
            lines = LINES + (act.name == SEVENTY)
            wrong = lines if then and act.code else 0
            code = INSURERS[act.insurer][0].code
            before = counts.get(code, Counts())
            counts[code] = before + Counts(lines, lines - wrong, wrong)
        faults = Counter(act.code for act in acts if then and act.code)
        self.night.expect(sender, file, "accepted", counts=counts, faults=faults)

    def frames(self, sender: SampleSender, act: Act, place: int, *, then: bool) -> Frames:
        """The lines of one person."""
        insurer: SampleInsurer = INSURERS[act.insurer][0]
        person = np.array([self.persons[act.name]], np.int64)
        frames = self.night.frames(sender, insurer, person, place)
        values = {**BASE, **act.first}
        if then:
            own = {"process_type_code": act.process, "member_id": self.members[act.name]}
            values = {**BASE, **own, **act.then}
        if act.name == SEVENTY:
            frames = {**frames, ELDERLY: _elderly(self.night.form(sender), frames["certificate"])}
        filled = {name: self.filled(value) for name, value in values.items()}
        return {section: _edited(frame, filled) for section, frame in frames.items()}

    def filled(self, value: str | None) -> str | None:
        """A value, where it names another act's number or member."""
        if value is None or not value.startswith("{"):
            return value
        kind, _, name = value.strip("{}").partition(":")
        if kind == "insurer":
            return INSURERS[name][0].code
        return (self.numbers if kind == "number" else self.members)[name]


def _elderly(form: Format, certificate: pl.DataFrame) -> pl.DataFrame:
    """A certificate for the elderly with the days of the one that everybody has."""
    record = form.section(ELDERLY)
    own = {"record_type_code": record.code, "contribution_ratio": "020"}
    return certificate.select(
        pl.lit(own[item.name]).alias(item.name)
        if item.name in own
        else pl.col(item.name)
        if item.name in certificate.columns
        else pl.lit(None, pl.String).alias(item.name)
        for item in form.fields(record)
    )


def _edited(frame: pl.DataFrame, values: Fields) -> pl.DataFrame:
    known = {name: value for name, value in values.items() if name in frame.columns}
    return with_fields(frame, frame["record_number"], **known)
