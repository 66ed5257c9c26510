"""What insurers state of persons, against one person after another."""

from __future__ import annotations

import random
from collections import Counter

from linking import EVERY, PLAIN, link_group, random_people, random_state
from slow_linking import became, one_after_another, tables


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
