"""Who is one person, against the slow registry: drawn life courses, without a site."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import polars as pl
import pytest
from course_files import CODES, KINDS, SPEAKS_FOR
from life_acts import NUMBERS, Person
from life_courses import Courses
from slow_cases import take
from slow_registry import Link, Member, Registry

from koukan.rules.line_keys import NONE
from koukan.rules.persons import JOINED, PARTED, RENUMBERED, WITHDRAWN, People
from koukan.samples.population import Population

PERSONS, NIGHTS = 200, 5
ROW = {
    "act": pl.String,
    "insurer_code": pl.String,
    "member_id": pl.Int64,
    "link_number": pl.Int64,
    "survivor": pl.Int64,
    "rank": pl.Int64,
    "survivor_rank": pl.Int64,
    "successor": pl.Int64,
    "reception": pl.Int64,
    "group_number": pl.Int64,
}


@dataclass
class Writing(Registry):
    """The slow registry, which writes down what is a statement about persons."""

    rows: list[dict[str, object]] = field(default_factory=list)
    reception: int = 0
    group: int = 0

    def write(self, act: str, member: Member, **more: object) -> None:
        when = {"reception": self.reception, "group_number": self.group}
        row = {"act": act, "insurer_code": member[0], "member_id": member[1], **when, **more}
        self.rows.append({name: row.get(name) for name in ROW})

    def join(self, member: Member, one: Link, other: Link) -> None:
        super().join(member, one, other)
        self.write(JOINED, member, link_number=one, survivor=other, rank=one, survivor_rank=other)

    def part(self, member: Member, link: Link) -> None:
        names = self.both_names(member)
        lay = {event.link for event in self.events if event.member in names}
        lay |= {own for name, own in self.roster if name in names and own is not None}
        super().part(member, link)
        for own in sorted(lay):
            self.write(PARTED, member, link_number=own, survivor=link)

    def renumber(self, member: Member, successor: Member) -> None:
        super().renumber(member, successor)
        self.write(RENUMBERED, member, successor=successor[1])

    def frame(self) -> pl.DataFrame:
        """All statements, in no order."""
        return pl.DataFrame(self.rows, schema=ROW).sample(fraction=1.0, shuffle=True, seed=1)


def nights(seed: int) -> Iterator[Writing]:
    """A registry after each of some nights."""
    registry = Writing(KINDS, SPEAKS_FOR)
    numbers = Population(seed).numbers(np.arange(PERSONS * NUMBERS, dtype=np.int64)).to_list()
    persons = [Person(numbers[at : at + NUMBERS]) for at in range(0, len(numbers), NUMBERS)]
    courses = Courses(random.Random(seed), registry, CODES, persons, arrivals=PERSONS // NIGHTS)
    for registry.group in range(1, NIGHTS + 1):
        for file in courses.night():
            registry.reception += 1
            before = set(registry.withdrawn)
            answers = take(registry, file, registry.group, registry.reception)
            for member in sorted(registry.withdrawn - before):
                registry.write(WITHDRAWN, member)
            for statement in file.statements:
                courses.learn(statement, answers[statement.serial])
        yield registry


@pytest.mark.parametrize("seed", range(4))
def test_persons_members_and_their_events_are_the_slow_registrys(seed: int) -> None:
    for registry in nights(seed):
        people = People.of(registry.frame())
        links = np.arange(len(registry.links), dtype=np.int64)
        persons = [min(registry.person(link)) for link in links.tolist()]
        assert people.canonical(links).tolist() == persons
        assert_members(people, registry)
        assert_events(people, registry)
    assert {row["act"] for row in registry.rows} == {JOINED, PARTED, RENUMBERED, WITHDRAWN}


def assert_members(people: People, registry: Registry) -> None:
    insurers = np.array([int(insurer) for (insurer, _), _ in registry.roster])
    members = np.array([member for (_, member), _ in registry.roster])
    links = np.array([NONE if link is None else link for _, link in registry.roster])
    current = [registry.current(member)[1] for member, _ in registry.roster]
    assert people.current(insurers, members).tolist() == current
    left = [not registry.holds(member, link) for member, link in registry.roster]
    assert people.left(insurers, members, links).tolist() == left


def assert_events(people: People, registry: Registry) -> None:
    events = registry.events
    frame = pl.DataFrame(
        {
            "link_number": [event.link for event in events],
            "insurer_code": [event.member[0] for event in events],
            "member_id": [event.member[1] for event in events],
            "event": range(len(events)),
        }
    )
    shown = people.attribute(frame)
    found = dict(shown.select("event", "link_number").iter_rows())
    owners = {number: registry.belongs_to(event) for number, event in enumerate(events)}
    assert found == {
        number: min(registry.person(link)) for number, link in owners.items() if link is not None
    }
    looked_under: dict[int, set[int]] = defaultdict(set)
    asked = np.array(sorted(set(found.values())), np.int64)
    for index, link in zip(*(part.tolist() for part in people.raw_links(asked)), strict=True):
        looked_under[int(asked[index])].add(link)
    assert all(events[number].link in looked_under[link] for number, link in found.items())
