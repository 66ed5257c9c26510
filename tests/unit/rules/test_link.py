"""Who a person is, against one person after another with dictionaries."""

from __future__ import annotations

import random
from collections import Counter
from copy import deepcopy
from dataclasses import dataclass, field

import numpy as np
import pytest

from koukan.rules.link import Known, Linked, entangled, first_of, joined, link
from koukan.rules.register import CHANGE, LOSS, NEW, NONE, REENTRY, Persons

LINKS, MEMBERS = 1_000, 50_000  # what is issued in the test begins here


@dataclass(frozen=True)
class Person:
    reception: int
    process: int
    insurer: int
    my_number: int
    member_id: int = NONE
    new_my_number: int = NONE
    rejected: bool = False


@dataclass
class State:
    """What stands in the tables."""

    links: dict[int, int] = field(default_factory=dict)  # number -> 紐付番号
    members: dict[tuple[int, int], int] = field(default_factory=dict)  # insurer, link -> 枝番

    def owner(self, insurer: int, member: int) -> int:
        for (of, owner), number in self.members.items():
            if (of, number) == (insurer, member):
                return owner
        return NONE


@dataclass(frozen=True)
class Became:
    """What became of one person."""

    link: int
    member: int
    reject: tuple[str, str] | None = None
    reused: bool = False
    new_link: bool = False
    new_member: bool = False
    new_number: bool = False


def one_after_another(people: list[Person], state: State) -> list[Became]:
    """File by file, person by person.

    A number that a change brings counts from the next file on; if a new registration of the same
    file bears it too, the file contradicts itself and the change is rejected.
    """
    found: list[Became] = []
    for reception in sorted({person.reception for person in people}):
        file = [(i, p) for i, p in enumerate(people) if p.reception == reception]
        registered = {p.my_number for _, p in file if p.process == NEW and not p.rejected}
        before = deepcopy(state)
        claims: dict[int, int] = {}
        for index, person in file:
            if person.rejected:
                found.append(Became(NONE, NONE))
            elif person.process == NEW:
                found.append(_join(person, index, state))
            else:
                found.append(_known(person, state, before, claims, registered))
        state.links |= claims
    return found


def _join(person: Person, index: int, state: State) -> Became:
    new_link = person.my_number not in state.links
    link_number = state.links.setdefault(person.my_number, LINKS + index)
    key = (person.insurer, link_number)
    new_member = key not in state.members
    member = state.members.setdefault(key, MEMBERS + index)
    return Became(link_number, member, None, not new_member, new_link, new_member)


def _known(
    person: Person, state: State, before: State, claims: dict[int, int], registered: set[int]
) -> Became:
    link_number = state.links.get(person.my_number, NONE)
    member = state.members.get((person.insurer, link_number), NONE)
    if member == NONE:
        if person.member_id == NONE:
            return Became(NONE, NONE, ("process_type_code", "R403"))
        stranger = before.owner(person.insurer, person.member_id) != NONE
        return Became(NONE, NONE, ("member_id", "R402" if stranger else "R401"))
    if person.member_id not in (NONE, member):
        return Became(NONE, NONE, ("member_id", "R402"))
    new = person.new_my_number
    if person.process != CHANGE or new == NONE or before.links.get(new) == link_number:
        return Became(link_number, member)
    if new in before.links or new in registered or claims.get(new, link_number) != link_number:
        return Became(NONE, NONE, ("new_my_number", "R404"))
    claims[new] = link_number
    return Became(link_number, member, new_number=True)


# --- the columnar rule, driven as the step drives it


def persons_of(people: list[Person]) -> tuple[Persons, np.ndarray]:
    def column(name: str) -> np.ndarray:
        return np.array([getattr(person, name) for person in people], np.int64)

    names = ("reception", "process", "insurer", "my_number", "member_id", "new_my_number")
    index = np.arange(len(people))
    persons = Persons(first=index, of_line=index, **{name: column(name) for name in names})
    return persons, np.array([person.rejected for person in people], np.bool_)


def known_of(people: list[Person], state: State) -> Known:
    links = [state.links.get(person.my_number, NONE) for person in people]

    def ints(values: list[int]) -> np.ndarray:
        return np.array(values, np.int64)

    return Known(
        link=ints(links),
        link_of_new_number=ints([state.links.get(p.new_my_number, NONE) for p in people]),
        member=ints(
            [state.members.get((p.insurer, n), NONE) for p, n in zip(people, links, strict=True)]
        ),
        member_owner=ints([state.owner(p.insurer, p.member_id) for p in people]),
    )


def learn(people: list[Person], linked: Linked, state: State) -> None:
    for index, person in enumerate(people):
        number = int(linked.link[index])
        if linked.new_link[index]:
            assert person.my_number not in state.links
            state.links[person.my_number] = number
        if linked.new_member[index]:
            assert (person.insurer, number) not in state.members
            state.members[person.insurer, number] = int(linked.member[index])
        if linked.new_number[index]:
            assert person.new_my_number not in state.links
            state.links[person.new_my_number] = number


def link_part(people: list[Person], start: int, state: State) -> Linked:
    persons, rejected = persons_of(people)
    places = np.arange(start, start + len(people))
    known = known_of(people, state)
    linked = link(persons, rejected, known, LINKS + places, MEMBERS + places)
    learn(people, linked, state)
    return linked


def link_group(people: list[Person], start: int, state: State) -> Linked:
    """One group: at once where that is allowed, else file by file."""
    if not entangled(*persons_of(people)):
        return link_part(people, start, state)
    parts, position = [], 0
    for reception in sorted({person.reception for person in people}):
        file = [person for person in people if person.reception == reception]
        parts.append(link_part(file, start + position, state))
        position += len(file)
    return joined(parts)


def became(linked: Linked) -> list[Became]:
    rejects: dict[int, tuple[str, str]] = {}
    for person, name, code in linked.rejects.select("person", "field", "code").rows():
        assert person not in rejects  # one reason each
        rejects[person] = (name, code)
    flags = (linked.reused, linked.new_link, linked.new_member, linked.new_number)
    return [
        Became(
            int(linked.link[index]),
            int(linked.member[index]),
            rejects.get(index),
            *(bool(flag[index]) for flag in flags),
        )
        for index in range(len(linked.link))
    ]


def random_state(draws: random.Random) -> State:
    state = State()
    for number in draws.sample(range(1, 9), 4):
        state.links[number] = 100 + number
    if draws.random() < 0.3:
        state.links[9] = next(iter(state.links.values()))  # a second number of one person
    for place, owner in enumerate(sorted(set(state.links.values()))):
        for insurer in (71, 72):
            if draws.random() < 0.6:
                state.members[insurer, owner] = 10 * place + insurer % 10
    return state


def random_people(draws: random.Random, state: State) -> list[Person]:
    people = []
    given = [*state.members.values(), 999]  # nobody can know a number before it was told
    for reception in range(draws.randint(1, 4)):
        for _ in range(draws.randint(1, 4)):
            process = draws.choice([NEW, NEW, REENTRY, CHANGE, CHANGE, LOSS])
            insurer, number = draws.choice([71, 72]), draws.randint(1, 9)
            right = state.members.get((insurer, state.links.get(number, NONE)), NONE)
            member = NONE
            if process in (CHANGE, LOSS) or (process == REENTRY and draws.random() < 0.5):
                member = right if right != NONE and draws.random() < 0.8 else draws.choice(given)
            new = NONE
            if process == CHANGE and draws.random() < 0.7:
                new = draws.randint(1, 12)
            person = Person(reception, process, insurer, number, member, new, draws.random() < 0.1)
            people.append(person)
    return people


def test_a_group_is_linked_as_one_person_after_another(long: bool) -> None:
    draws = random.Random(401)
    codes: Counter[str] = Counter()
    for _ in range(5_000 if long else 400):
        state = random_state(draws)
        people = random_people(draws, state)
        columnar, plain = deepcopy(state), deepcopy(state)
        expected = one_after_another(people, plain)
        assert became(link_group(people, 0, columnar)) == expected
        assert columnar == plain
        codes.update(one.reject[1] for one in expected if one.reject)
    assert set(codes) == {"R401", "R402", "R403", "R404"}


def test_a_group_may_be_cut_into_two(long: bool) -> None:
    draws = random.Random(402)
    for _ in range(5_000 if long else 400):
        state = random_state(draws)
        people = random_people(draws, state)
        whole, halves = deepcopy(state), deepcopy(state)
        at_once = became(link_group(people, 0, whole))
        cut = sum(person.reception == 0 for person in people)
        parts = became(link_group(people[:cut], 0, halves))
        if people[cut:]:
            parts += became(link_group(people[cut:], cut, halves))
        assert parts == at_once
        assert halves == whole


def test_files_that_are_not_entangled_may_be_linked_at_once(long: bool) -> None:
    # … because file by file gives the same
    draws = random.Random(403)
    untied = 0
    for _ in range(5_000 if long else 600):
        state = random_state(draws)
        people = random_people(draws, state)
        if entangled(*persons_of(people)) or len({p.reception for p in people}) < 2:
            continue
        untied += 1
        at_once, by_file = deepcopy(state), deepcopy(state)
        whole = became(link_part(people, 0, at_once))
        parts, position = [], 0
        for reception in sorted({person.reception for person in people}):
            file = [person for person in people if person.reception == reception]
            parts += became(link_part(file, position, by_file))
            position += len(file)
        assert parts == whole
        assert by_file == at_once
    assert untied > 60


def linked(people: list[Person], state: State | None = None) -> list[Became]:
    return became(link_group(people, 0, state or State()))


@pytest.mark.requirement("R019", "R012")
def test_a_new_person_gets_a_member_id_that_is_unique_in_its_insurer() -> None:
    people = [Person(0, NEW, 71, number) for number in range(1, 50)]
    found = linked(people)
    assert all(one.new_member and one.new_link for one in found)
    assert len({one.member for one in found}) == len({one.link for one in found}) == 49


@pytest.mark.requirement("R020")
def test_a_re_entry_gets_the_member_id_assigned_before() -> None:
    state = State({5: 105}, {(71, 105): 42})
    (found,) = linked([Person(0, REENTRY, 71, 5)], state)
    assert found == Became(105, 42)
    (stranger,) = linked([Person(0, REENTRY, 72, 5)], state)
    assert stranger.reject == ("process_type_code", "R403")


@pytest.mark.requirement("R025")
def test_a_person_who_is_registered_already_keeps_the_numbers() -> None:
    state = State({5: 105}, {(71, 105): 42})
    again, elsewhere = linked([Person(0, NEW, 71, 5), Person(0, NEW, 72, 5)], state)
    assert again == Became(105, 42, reused=True)
    assert (elsewhere.link, elsewhere.new_link, elsewhere.new_member) == (105, False, True)


@pytest.mark.requirement("R038")
def test_a_changed_number_leaves_the_person_the_same() -> None:
    state = State({5: 105}, {(71, 105): 42})
    (changed,) = linked([Person(0, CHANGE, 71, 5, 42, new_my_number=6)], state)
    assert changed == Became(105, 42, new_number=True)
    (lost,) = linked([Person(0, LOSS, 71, 6, 42)], state)
    assert (lost.link, lost.member) == (105, 42)


def test_the_first_of_a_group_issues_for_all_who_bring_the_number() -> None:
    found = linked([Person(0, NEW, 71, 5), Person(1, NEW, 72, 5), Person(2, NEW, 71, 5)])
    assert [one.link for one in found] == [LINKS] * 3
    assert [one.new_link for one in found] == [True, False, False]
    assert [one.member for one in found] == [MEMBERS, MEMBERS + 1, MEMBERS]
    assert [one.reused for one in found] == [False, False, True]


def test_who_is_rejected_issues_nothing() -> None:
    found = linked([Person(0, NEW, 71, 5, rejected=True), Person(1, NEW, 71, 5)])
    assert found[0] == Became(NONE, NONE)
    assert found[1].link == LINKS + 1


def test_a_person_that_is_lost_before_it_is_registered_is_unknown() -> None:
    found = linked(
        [Person(0, LOSS, 71, 5, 999), Person(1, NEW, 71, 5), Person(2, LOSS, 71, 5, 999)]
    )
    assert found[0].reject == ("member_id", "R401")
    assert found[1].new_link
    assert found[2].reject == ("member_id", "R402")


def test_two_insurers_in_two_files_may_tell_the_same_change() -> None:
    state = State({5: 105}, {(71, 105): 42, (72, 105): 43})
    people = [Person(0, CHANGE, 71, 5, 42, 6), Person(1, CHANGE, 72, 5, 43, 6)]
    first, second = linked(people, state)
    assert first.new_number and not first.reject
    assert not second.new_number and not second.reject


def test_two_insurers_in_one_file_may_tell_the_same_change() -> None:
    state = State({5: 105}, {(71, 105): 42, (72, 105): 43})
    people = [Person(0, CHANGE, 71, 5, 42, 6), Person(0, CHANGE, 72, 5, 43, 6)]
    first, second = linked(people, state)
    assert first.new_number and not first.reject
    assert not second.reject


# --- who is first


def slow_first(considered: list[bool], asking: list[bool], *values: list[int]) -> list[int]:
    found = []
    for place, key in enumerate(zip(*values, strict=True)):
        same = [
            other
            for other in range(len(considered))
            if considered[other] and tuple(value[other] for value in values) == key
        ]
        asks = considered[place] or asking[place]
        found.append(same[0] if same and asks else NONE)
    return found


def test_the_first_of_equals_is_found() -> None:
    draws = random.Random(404)
    for round_number in range(600):
        count = draws.randint(0, 12)
        width = 1 + round_number % 2
        spread = draws.choice([3, 1_000_000])
        values = [[draws.randint(0, spread) for _ in range(count)] for _ in range(width)]
        considered = [draws.random() < 0.6 for _ in range(count)]
        asking = [draws.random() < 0.7 for _ in range(count)]
        columns = [np.array(value, np.int64) for value in values]
        first, is_first = first_of(
            np.array(considered, np.bool_), np.array(asking, np.bool_), *columns
        )
        slow = slow_first(considered, asking, *values)
        assert first.tolist() == slow
        assert is_first.tolist() == [
            considered[place] and slow[place] == place for place in range(count)
        ]
