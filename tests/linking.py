"""A group of persons to be linked, and what stands in the tables: both ways to link it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from itertools import groupby

import numpy as np
import polars as pl

from koukan.engine.linking import joined
from koukan.flows.registration import LINKS as STATED
from koukan.rules.joining import bind
from koukan.rules.line_keys import AS_INSURER, AS_MEMBER, NONE
from koukan.rules.link import (
    Batch,
    Issuable,
    Known,
    identify,
    insurer_target,
    member_target,
    number_target,
    states,
    tied,
)
from koukan.rules.persons import JOINED, PARTED, People
from koukan.rules.register import CHANGE, LOSS, NEW, PARTING, REENTRY, WITHDRAWAL, Persons
from koukan.rules.roster import ROWS, Roster
from koukan.rules.settling import HELD, Linked, parted, settle, settled_plainly

LINKS, MEMBERS = 1_000, 50_000  # what is issued in the test begins here
INSURERS = (71, 72, 73)  # the last is of another kind than the others


@dataclass(frozen=True)
class Person:
    reception: int
    process: int
    insurer: int
    my_number: int = NONE
    member_id: int = NONE
    target: int = NONE
    rejected: bool = False


@dataclass
class State:
    """What stands in the tables."""

    numbers: dict[int, int] = field(default_factory=dict)  # number -> raw link
    roster: list[tuple[int, int, int]] = field(default_factory=list)  # insurer, link, 枝番
    stated: list[dict[str, object]] = field(default_factory=list)  # of `person_links`
    groups: int = 0  # that were linked

    @property
    def people(self) -> People:
        return People.of(self.frame())

    def frame(self, more: tuple[dict[str, object], ...] = ()) -> pl.DataFrame:
        return pl.DataFrame([*self.stated, *more], schema=STATED, orient="row")

    def rows(self) -> pl.DataFrame:
        return pl.DataFrame(self.roster, schema=ROWS, orient="row")

    def row(self, told: dict[str, object], reception: int) -> dict[str, object]:
        """A statement as it stands in the table; links are issued in ascending order."""
        found = {name: told[name] for name in STATED if name in told}
        own = told["act"] == JOINED
        found["insurer_code"] = f"{told['insurer']:08d}"
        ranks = (told["link_number"], told["survivor"]) if own else (None, None)
        found["rank"], found["survivor_rank"] = ranks
        return {**found, "reception": reception, "group_number": self.groups}

    def copy(self) -> State:
        return deepcopy(self)


def ints(values: object) -> np.ndarray:
    return np.array(values, np.int64)


def persons_of(people: list[Person]) -> tuple[Persons, np.ndarray]:
    names = ("reception", "process", "insurer", "my_number", "member_id", "target")
    columns = {name: ints([getattr(person, name) for person in people]) for name in names}
    index = np.arange(len(people))
    persons = Persons(first=index, of_line=index, **columns)
    return persons, np.array([person.rejected for person in people], np.bool_)


def batch_of(people: list[Person], start: int, state: State) -> Batch:
    persons, rejected = persons_of(people)
    everybody, places = state.people, np.arange(start, start + len(people))
    roster = Roster.of(state.rows(), everybody)
    link = ints([state.numbers.get(number, NONE) for number in persons.my_number.tolist()])
    targets = np.where(number_target(persons), persons.target, NONE).tolist()
    person = everybody.canonical(link)
    moves = insurer_target(persons)
    home = np.where(moves, persons.target - AS_INSURER, persons.insurer)
    merged = np.where(member_target(persons), persons.target - AS_MEMBER, NONE)
    current = [everybody.current(persons.insurer, m) for m in (persons.member_id, merged)]
    owners = [roster.owners(persons.insurer, members) for members in current]
    known = Known(
        link=link,
        member=roster.members(persons.insurer, person),
        given=np.where(owners[0][0], current[0], NONE),
        owner=owners[0][1],
        target_link=ints([state.numbers.get(number, NONE) for number in targets]),
        target_member=np.where(owners[1][0], current[1], NONE),
        target_owner=owners[1][1],
        target_home=roster.members(home, np.where(moves, person, NONE)),
        target_allowed=moves & (home != persons.insurer) & (home != 73) & (persons.insurer != 73),
    )
    return Batch(persons, rejected, known, everybody, Issuable(LINKS + places, MEMBERS + places))


def link_part(people: list[Person], start: int, state: State) -> Linked:
    """Files at once, by the columnar rules as the step drives them."""
    batch = batch_of(people, start, state)
    identity = identify(batch)
    if not states(batch).any():
        linked = settled_plainly(batch, identity)
    else:
        plan = bind(batch, identity)
        told = tuple(rows_of(people, parted(plan), state))
        after = People.of(state.frame(told))
        right = np.where(plan.partings, after.canonical(plan.target), NONE)
        held = pl.DataFrame(
            [
                (
                    int(batch.people.canonical(ints([link]))[0]),
                    insurer,
                    int(batch.people.current(ints([insurer]), ints([member]))[0]),
                )
                for insurer, link, member in living(state)
                if link != NONE
            ],
            schema=HELD,
            orient="row",
        )
        stated = [
            (row["insurer_code"], row["member_id"], row["link_number"], row["survivor"])
            for row in active(state)
        ]
        witnessed = [
            plan.changes[at]
            and (f"{p.insurer:08d}", identity.member[at], plan.target[at], identity.link[at])
            in stated
            for at, p in enumerate(people)
        ]
        after_it = Roster.of(state.rows(), after)
        occupied = after_it.others(batch.persons.insurer, right, identity.member)
        linked = settle(
            plan, held, after=after, occupied=occupied, witnessed=np.array(witnessed, np.bool_)
        )
    learn(people, linked, state)
    return linked


def living(state: State) -> list[tuple[int, int, int]]:
    """Rows of rosters that hold."""
    return Roster.of(state.rows(), state.people).rows.rows()


def active(state: State) -> list[dict[str, object]]:
    """Joins that no later parting of their member has undone."""

    def told(row: dict[str, object], act: str) -> bool:
        return row["act"] == act

    def undone(row: dict[str, object]) -> bool:
        member = row["insurer_code"], row["member_id"]
        return any(
            told(other, PARTED)
            and (other["insurer_code"], other["member_id"]) == member
            and place(other) > place(row)
            for other in state.stated
        )

    return [row for row in state.stated if told(row, JOINED) and not undone(row)]


def rows_of(
    people: list[Person], statements: pl.DataFrame, state: State
) -> Iterator[dict[str, object]]:
    return (state.row(told, people[told["person"]].reception) for told in statements.to_dicts())


def place(row: dict[str, object]) -> tuple[object, object]:
    return row["group_number"], row["reception"]


def learn(people: list[Person], linked: Linked, state: State) -> None:
    for number, link in linked.numbers.select("my_number", "link_number").rows():
        assert number not in state.numbers
        state.numbers[number] = link
    state.roster += linked.roster.select(ROWS.names()).rows()
    state.stated += rows_of(people, linked.statements, state)


def files_of(people: list[Person]) -> Iterator[list[Person]]:
    return (list(file) for _, file in groupby(people, key=lambda person: person.reception))


def link_group(people: list[Person], state: State, start: int = 0) -> Linked:
    """One group: at once where that is allowed, else file by file."""
    if not tied(batch_of(people, start, state)):
        return link_part(people, start, state)
    parts = []
    for file in files_of(people):
        parts.append(link_part(file, start, state))
        start += len(file)
    return joined(parts)


def random_state(draws: random.Random) -> State:
    state = State()
    for number in draws.sample(range(1, 9), 5):
        state.numbers[number] = 100 + number
    for place, link in enumerate(sorted(state.numbers.values())):
        for insurer in INSURERS:
            if draws.random() < 0.6:
                state.roster.append((insurer, link, 10 * place + insurer % 10))
    for insurer in INSURERS:
        state.roster.append((insurer, NONE, 90 + insurer % 10))  # who waits
    return state


def random_people(
    draws: random.Random, state: State, processes: tuple[int, ...], files: int = 3
) -> list[Person]:
    """Mostly sense, mixed with all that can go wrong."""
    people = []
    rows = living(state)
    for reception in range(files):
        for _ in range(draws.randint(1, 4)):
            process, insurer = draws.choice(processes), draws.choice(INSURERS)
            own = [row for row in rows if row[0] == insurer]
            number, member = draws.randint(1, 12), NONE
            if process != NEW and own and draws.random() < 0.85:
                _, link, member = draws.choice(own)
                known = [n for n, raw in state.numbers.items() if raw == link]
                number = draws.choice(known or [NONE, number])
            if process == NEW:
                number = draws.choice([number, number, number, NONE])
            elif process == REENTRY and draws.random() < 0.5 and number != NONE:
                member = NONE
            elif member == NONE or draws.random() < 0.1:
                member = draws.choice([999, *(row[2] for row in own)])
            target = NONE
            if process == PARTING:
                number = draws.randint(1, 12) if number == NONE else number
                target = draws.choice([n for n in range(1, 13) if n != number])
            elif process == CHANGE:
                target = draws.choice(
                    [
                        NONE,
                        NONE if number == NONE else draws.randint(1, 14),
                        AS_MEMBER + draws.choice([999, *(row[2] for row in own)]),
                        AS_INSURER + draws.choice(INSURERS),
                    ]
                )
            rejected = draws.random() < 0.05
            people.append(Person(reception, process, insurer, number, member, target, rejected))
    return people


PLAIN, EVERY = (NEW, NEW, REENTRY, CHANGE, LOSS), (
    NEW, REENTRY, CHANGE, CHANGE, CHANGE, LOSS, WITHDRAWAL, PARTING, PARTING,
)  # fmt: skip
