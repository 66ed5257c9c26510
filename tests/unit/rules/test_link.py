"""Who a person is: what is said of it in words, and who comes first."""

from __future__ import annotations

import random

import numpy as np
import pytest
from linking import (
    LINKS,
    MEMBERS,
    PLAIN,
    Person,
    State,
    batch_of,
    files_of,
    link_group,
    link_part,
    random_people,
    random_state,
)
from slow_linking import Became, became, tables

from koukan.rules.line_keys import AS_INSURER, AS_MEMBER, NONE
from koukan.rules.link import first_of, tied
from koukan.rules.register import CHANGE, LOSS, NEW, PARTING, REENTRY, WITHDRAWAL


def linked(people: list[Person], state: State | None = None) -> list[Became]:
    return became(link_group(people, state or State()))


def known() -> State:
    return State({5: 105, 6: 106}, [(71, 105, 42), (72, 106, 43), (71, NONE, 91)])


def only(
    process: int,
    number: int = NONE,
    member: int = NONE,
    target: int = NONE,
    *,
    state: State | None = None,
) -> Became:
    (found,) = linked([Person(0, process, 71, number, member, target)], state or known())
    return found


def test_files_that_are_not_tied_may_be_linked_at_once(long: bool) -> None:
    # … because file by file gives the same
    draws = random.Random(403)
    untied = 0
    for _ in range(2_000 if long else 60):
        state = random_state(draws)
        people = random_people(draws, state, PLAIN)
        if tied(batch_of(people, 0, state)):
            continue
        untied += 1
        at_once, by_file = state.copy(), state.copy()
        whole = became(link_part(people, 0, at_once))
        parts: list[Became] = []
        for file in files_of(people):
            parts += became(link_part(file, len(parts), by_file))
        assert parts == whole
        assert tables(by_file) == tables(at_once)
    assert untied > 5


@pytest.mark.requirement("R019", "R012")
def test_a_new_person_gets_a_member_id_that_is_unique_in_its_insurer() -> None:
    found = linked([Person(0, NEW, 71, number) for number in range(1, 50)])
    assert not any(one.reused or one.reject for one in found)
    assert len({one.member for one in found}) == len({one.link for one in found}) == 49


@pytest.mark.requirement("R020")
def test_a_re_entry_gets_the_member_id_assigned_before() -> None:
    assert only(REENTRY, 5) == Became(105, 42, 71)
    assert only(REENTRY, 6).reject == ("process_type_code", "R403")


@pytest.mark.requirement("R025")
def test_a_person_who_is_registered_already_keeps_the_numbers() -> None:
    again, elsewhere = linked([Person(0, NEW, 71, 5), Person(0, NEW, 72, 5)], known())
    assert again == Became(105, 42, 71, reused=True)
    assert elsewhere == Became(105, MEMBERS + 1, 72)


@pytest.mark.requirement("R038")
def test_a_changed_number_leaves_the_person_the_same() -> None:
    state = known()
    assert only(CHANGE, 5, 42, 7, state=state) == Became(105, 42, 71)
    assert state.numbers[7] == LINKS
    state.groups = 1
    (lost,) = linked([Person(0, LOSS, 71, 7, 42)], state)
    assert (lost.link, lost.member) == (LINKS, 42)
    assert state.people.canonical(np.array([LINKS])).tolist() == [105]


def test_the_first_of_a_group_issues_for_all_who_bring_the_number() -> None:
    state = State()
    found = linked([Person(0, NEW, 71, 5), Person(1, NEW, 72, 5), Person(2, NEW, 71, 5)], state)
    assert [one.link for one in found] == [LINKS] * 3
    assert state.numbers == {5: LINKS}
    assert [one.member for one in found] == [MEMBERS, MEMBERS + 1, MEMBERS]
    assert [one.reused for one in found] == [False, False, True]


def test_who_is_rejected_issues_nothing() -> None:
    found = linked([Person(0, NEW, 71, 5, rejected=True), Person(1, NEW, 71, 5)])
    assert found[0].link == found[0].member == NONE
    assert found[1].link == LINKS + 1


def test_a_person_that_is_lost_before_it_is_registered_is_unknown() -> None:
    lost = Person(0, LOSS, 71, 5, 999)
    before, _, after = linked([lost, Person(1, NEW, 71, 5), Person(2, LOSS, 71, 5, 999)])
    assert before.reject == ("member_id", "R401")
    assert after.reject == ("member_id", "R402")


@pytest.mark.parametrize("files", [(0, 0), (0, 1)])
def test_two_insurers_may_tell_the_same_change(files: tuple[int, int]) -> None:
    state = State({5: 105}, [(71, 105, 42), (72, 105, 43)])
    people = [Person(files[0], CHANGE, 71, 5, 42, 7), Person(files[1], CHANGE, 72, 5, 43, 7)]
    assert not any(one.reject for one in linked(people, state))
    assert state.numbers == {5: 105, 7: LINKS}
    assert len(state.stated) == 2


def test_a_person_without_a_number_waits_and_then_gets_one() -> None:
    state = known()
    assert only(NEW, state=state) == Became(NONE, MEMBERS, 71, waiting=True)
    assert only(LOSS, NONE, 91, state=state) == Became(NONE, 91, 71)
    assert state.numbers == known().numbers
    assert only(CHANGE, 8, 91, state=state) == Became(LINKS, 91, 71)
    assert state.numbers[8] == LINKS
    assert (71, LINKS, 91) in state.roster


def test_a_number_is_refused_to_whom_it_does_not_belong() -> None:
    assert only(CHANGE, NONE, 42).reject == ("my_number", "R405")  # has one
    assert only(CHANGE, 5, 91).reject == ("my_number", "R406")  # is another one's
    assert only(CHANGE, 8, 91, 9).reject == ("new_my_number", "R225")  # waits for its first


def test_one_member_takes_one_number_of_a_file() -> None:
    people = [Person(0, CHANGE, 71, 8, 91), Person(0, LOSS, 71, 9, 91)]
    assert [one.reject for one in linked(people, known())] == [None, ("member_id", "R402")]


def test_a_number_of_a_rejected_line_stays_for_others_of_its_file() -> None:
    state = known()
    people = [Person(0, CHANGE, 71, 8, 91, AS_MEMBER + 999), Person(0, NEW, 72, 8)]
    first, second = linked(people, state)
    assert first.reject == ("new_member_id", "R401")
    assert second.link == state.numbers[8] == LINKS


def test_who_registers_a_number_keeps_it_from_becoming_anothers() -> None:
    for process, target in ((CHANGE, 8), (PARTING, 8)):
        people = [Person(0, process, 71, 5, 42, target), Person(0, NEW, 72, 8)]
        first, second = linked(people, known())
        assert first.reject == ("new_my_number", "R404")
        assert not second.reject


def test_of_two_changes_in_one_file_the_first_counts() -> None:
    people = [Person(0, CHANGE, 71, 5, 42, 7), Person(0, CHANGE, 72, 6, 43, 7)]
    assert [one.reject for one in linked(people, known())] == [None, ("new_my_number", "R404")]


def test_nobody_is_joined_whom_an_insurer_has_twice() -> None:
    state = known()
    assert not only(CHANGE, 5, 42, 6, state=state).reject
    assert state.people.canonical(np.array([106])).tolist() == [105]
    state = known()
    state.roster.append((71, 106, 44))
    assert only(CHANGE, 5, 42, 6, state=state).reject == ("new_my_number", "R404")


def test_an_insurer_makes_one_of_two_of_its_members() -> None:
    state = known()
    state.roster.append((71, 106, 44))
    assert only(CHANGE, 5, 42, AS_MEMBER + 44, state=state) == Became(105, 44, 71)
    assert state.people.current(np.array([71]), np.array([42])).tolist() == [44]
    state = known()
    state.roster += [(71, 106, 44), (72, 105, 45)]  # another insurer has both
    assert only(CHANGE, 5, 42, AS_MEMBER + 44, state=state).reject == ("new_member_id", "R404")
    assert only(CHANGE, 5, 42, AS_MEMBER + 42).reject == ("new_member_id", "R401")


def test_a_person_goes_on_at_an_insurer_that_may_have_it() -> None:
    state = known()
    assert only(CHANGE, 5, 42, AS_INSURER + 72, state=state) == Became(105, MEMBERS, 72)
    assert only(CHANGE, 5, 42, AS_INSURER + 72, state=state) == Became(105, MEMBERS, 72)
    assert only(CHANGE, 5, 42, AS_INSURER + 73).reject == ("new_insurer_code", "R407")


def test_a_wrong_number_is_parted_from_the_right_one() -> None:
    state = known()
    assert only(PARTING, 5, 42, 9, state=state) == Became(LINKS, 42, 71)
    assert state.numbers[9] == LINKS
    state = known()
    assert not only(PARTING, 5, 42, 6, state=state).reject
    state = State({5: 105, 6: 106}, [(71, 105, 42), (72, 105, 43)])
    assert not linked([Person(0, CHANGE, 72, 5, 43, 6)], state)[0].reject
    state.groups = 1
    assert only(PARTING, 5, 42, 6, state=state).reject == ("new_my_number", "R408")
    state = known()
    state.roster.append((71, 106, 44))
    assert only(PARTING, 5, 42, 6, state=state).reject == ("new_my_number", "R404")
    state = known()
    state.roster.append((72, NONE, 45))  # waits: there it is, but it is not the number's
    assert linked([Person(0, PARTING, 72, 5, 45, 6)], state)[0].reject == ("member_id", "R402")


def test_who_is_withdrawn_is_nobody_until_it_is_registered_again() -> None:
    state = known()
    assert only(WITHDRAWAL, 5, 42, state=state) == Became(105, 42, 71)
    state.groups = 1
    assert only(LOSS, 5, 42, state=state).reject == ("member_id", "R401")
    assert only(NEW, 5, state=state) == Became(105, MEMBERS, 71)


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
