"""Whose PMH-ID is whose, when persons are joined and parted."""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl
import pytest
from statements import Row, frame, joined, parted, rank_of

from koukan.rules.issuing import (
    ABSENT,
    GIVEN,
    NO_NUMBER,
    UNKNOWN,
    held,
    numbers_of,
    once_each,
    raw_links_of,
    reasons_of,
    retired,
)
from koukan.rules.line_keys import NONE
from koukan.rules.persons import People
from koukan.rules.register import Ints

ISSUES = pl.DataFrame({"link_number": [3, 5, 7, 9], "pmh_id": [300, 500, 700, 900]})


def ranks(links: Ints) -> Ints:
    """Here a larger number was issued earlier."""
    return np.array([rank_of(link) for link in links.tolist()], np.int64)


def given(*statements: Row, issues: pl.DataFrame = ISSUES) -> dict[int, int]:
    people = People.of(frame(list(statements)))
    return dict(held(issues, people, ranks).sort("link_number").iter_rows())


def test_without_statements_everybody_has_what_was_issued() -> None:
    assert given() == {3: 300, 5: 500, 7: 700, 9: 900}


def test_of_joined_numbers_the_pmh_id_of_the_one_issued_first_holds() -> None:
    assert given(joined(1, 5, 9, 1)) == {3: 300, 7: 700, 9: 900}


def test_a_pmh_id_that_came_before_the_join_stays_the_persons() -> None:
    """The number issued first had none yet: the person keeps the one that PMH knows."""
    assert given(joined(1, 3, 11, 1)) == {5: 500, 7: 700, 9: 900, 11: 300}
    assert given(joined(1, 3, 11, 1), joined(2, 7, 11, 2)) == {5: 500, 9: 900, 11: 700}


def test_parted_numbers_have_their_own_again() -> None:
    again = (joined(1, 5, 9, 1), parted(1, 5, 5, 2))
    assert given(*again) == {3: 300, 5: 500, 7: 700, 9: 900}


@pytest.mark.parametrize(
    ("asked", "found"), [([NONE, 4], [4]), ([5, 5, NONE], [5, 9]), ([], []), ([NONE], [])]
)
def test_every_number_of_a_person_is_looked_under(asked: list[int], found: list[int]) -> None:
    people = People.of(frame([joined(1, 9, 5, 1)]))
    assert raw_links_of(people, np.array(asked, np.int64)).tolist() == found


def test_without_statements_a_person_is_its_number() -> None:
    people = People.of(frame([]))
    assert raw_links_of(people, np.array([7, NONE, 3, 7], np.int64)).tolist() == [3, 7]


def test_a_number_is_twelve_digits_with_a_right_check_digit() -> None:
    texts = [
        "123456789018",
        "123456789010",
        "12345678901",
        "1234567890188",
        " 23456789018",
        "x",
        "",
    ]
    found = numbers_of(pl.Series([*texts, None, "１２３４５６７８９０１８"]))
    assert found.tolist() == [123456789018, *[NONE] * 8]
    assert numbers_of(pl.Series([], dtype=pl.String)).tolist() == []


def test_the_reason_is_the_first_that_tells_why() -> None:
    numbers = np.array([NONE, 1, 2, 3], np.int64)
    persons = np.array([NONE, NONE, 20, 30], np.int64)
    absent = np.array([False, False, True, False])
    assert reasons_of(numbers, persons, absent).to_list() == [NO_NUMBER, UNKNOWN, ABSENT, GIVEN]


@pytest.mark.requirement("R164")
def test_a_person_is_over_when_the_last_qualification_ended_long_enough_ago() -> None:
    """One that goes on counts more than any that ended."""
    ends = [(1, 2), (1, 3), (2, 3), (2, None), (3, 5), (4, 1)]
    found = pl.DataFrame(
        [(link, day and date(2026, 4, day)) for link, day in ends],
        schema={"link_number": pl.Int64, "disqualification_date": pl.Date},
        orient="row",
    )
    assert retired(found, date(2026, 4, 3)).tolist() == [1, 4]
    assert retired(found.head(0), date(2026, 4, 3)).tolist() == []


@pytest.mark.parametrize(
    ("persons", "first", "again"),
    [([7, 3, 5], [0, 1, 2], [0, 1, 2]), ([7, 3, 7, 3], [1, 0], [1, 0, 1, 0]), ([], [], [])],
)
def test_whoever_is_asked_for_twice_is_one_person(
    persons: list[int], first: list[int], again: list[int]
) -> None:
    found = once_each(np.array(persons, np.int64))
    assert [part.tolist() for part in found] == [first, again]
