"""What insurers state of persons, against one person after another."""

from __future__ import annotations

import random
from collections import Counter
from itertools import permutations

import pytest
from linking import EVERY, PLAIN, Person, State, link_group, random_people, random_state
from slow_linking import became, one_after_another, tables

from koukan.rules.line_keys import AS_INSURER, AS_MEMBER
from koukan.rules.persons import JOINED, PARTED
from koukan.rules.register import CHANGE, NEW, PARTING


def compared(draws: random.Random, processes: tuple[int, ...], groups: int) -> Counter[str]:
    """Some groups one after another in both ways."""
    codes: Counter[str] = Counter()
    columnar = random_state(draws)
    plain = columnar.copy()
    for number in range(groups):
        people = random_people(draws, columnar, processes)
        found = became(link_group(people, columnar, 100 * number))
        expected = one_after_another(people, plain, 100 * number)
        assert found == expected, people
        assert tables(columnar) == tables(plain), people
        columnar.groups = plain.groups = number + 1
        codes.update(one.reject[1] for one in expected if one.reject)
    return codes


def test_groups_are_linked_as_one_person_after_another(long: bool) -> None:
    draws = random.Random(401)
    codes: Counter[str] = Counter()
    for _ in range(4_000 if long else 30):
        codes += compared(draws, PLAIN, 1)
        codes += compared(draws, EVERY, 3)
    rare = {"R408"}
    assert set(codes) - rare == {*("R225", "R401", "R402", "R403", "R404", "R405", "R406", "R407")}


@pytest.mark.parametrize("rows", [*permutations([(71, 101, 10), (71, 102, 10), (71, 101, 20)])])
def test_nobody_is_parted_back_to_a_number_that_another_member_has_by_now(
    rows: tuple[tuple[int, int, int], ...],
) -> None:
    """It had that number itself before: its own row of then must not hide the other's."""
    state = State(numbers={1: 101, 2: 102}, roster=list(rows), groups=1)
    told = {"act": PARTED, "insurer": 71, "member_id": 10, "link_number": 101, "survivor": 102}
    state.stated.append({**state.row(told, 0), "group_number": 0, "successor": None})
    back = [Person(0, PARTING, 71, my_number=2, member_id=10, target=1)]
    found = became(link_group(back, state.copy(), 100))
    assert found == one_after_another(back, state.copy(), 100)
    assert found[0].reject == ("new_my_number", "R404")


ARRIVALS = (
    Person(0, CHANGE, 71, my_number=1, member_id=10, target=AS_INSURER + 72),
    Person(0, NEW, 72, my_number=3),
)


@pytest.mark.parametrize("arrival", ARRIVALS)
@pytest.mark.parametrize("first", [True, False])
def test_whoever_comes_to_an_insurer_in_the_same_file_is_nobody_elses_right_number(
    arrival: Person, *, first: bool
) -> None:
    """Of a person that bears 1 and 3, by which it goes on at 72 or is registered there."""
    state = State(numbers={1: 101, 2: 102, 3: 103}, roster=[(71, 101, 10), (72, 102, 20)], groups=1)
    told = {"act": JOINED, "insurer": 71, "member_id": 10, "link_number": 103, "survivor": 101}
    state.stated.append({**state.row(told, 0), "group_number": 0, "successor": None})
    wrong = Person(0, PARTING, 72, my_number=2, member_id=20, target=1)
    file = [arrival, wrong] if first else [wrong, arrival]
    found = became(link_group(file, state.copy(), 100))
    assert found == one_after_another(file, state.copy(), 100)
    assert [one.reject for one in found] == [
        ("new_my_number", "R404") if one is wrong else None for one in file
    ]


@pytest.mark.parametrize("right", [101, 109])
def test_who_goes_on_as_a_parted_member_joins_the_number_of_that_parting(right: int) -> None:
    """Its former one is the same person's only by the word of 72, which may take that back."""
    (wrong,) = {101, 109} - {right}
    roster = [(71, wrong, 10), (71, right, 10), (71, 105, 11), (72, wrong, 20)]
    state = State(numbers={1: wrong, 2: right, 5: 105}, roster=roster, groups=1)
    told = [
        {"act": PARTED, "insurer": 71, "member_id": 10, "link_number": wrong, "survivor": right},
        {"act": JOINED, "insurer": 72, "member_id": 20, "link_number": right, "survivor": wrong},
    ]
    for one in told:
        state.stated.append({**state.row(one, 0), "group_number": 0, "successor": None})
    file = [Person(0, CHANGE, 71, my_number=5, member_id=11, target=AS_MEMBER + 10)]
    after = state.copy()
    found = became(link_group(file, after, 100))
    assert found == one_after_another(file, state.copy(), 100)
    assert found[0].reject is None
    joins = [row for row in after.stated if row["act"] == JOINED and row["member_id"] == 11]
    assert [(row["link_number"], row["survivor"]) for row in joins] == [(105, right)]


@pytest.mark.parametrize("first", [True, False])
def test_what_a_parting_would_take_back_is_not_told_in_the_same_file(*, first: bool) -> None:
    """4 and 6 are one person's by that member's own word, which a parting sets aside."""
    state = State(numbers={4: 104, 6: 106}, roster=[(73, 104, 13)], groups=1)
    told = {"act": JOINED, "insurer": 73, "member_id": 13, "link_number": 106, "survivor": 104}
    state.stated.append({**state.row(told, 0), "group_number": 0, "successor": None})
    file = [Person(0, process, 73, 4, 13, target) for process, target in ((8, 10), (3, 6))]
    file = file if first else file[::-1]
    found = became(link_group(file, state.copy(), 100))
    assert found == one_after_another(file, state.copy(), 100)
    assert [one.reject for one in found] == [None, ("new_my_number", "R404")]
