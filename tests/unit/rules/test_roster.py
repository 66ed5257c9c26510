"""Rosters with what statements say laid over them."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from statements import X, Y, frame, joined, parted, renumbered, withdrawn

from koukan.rules.line_keys import NONE
from koukan.rules.persons import People
from koukan.rules.roster import ROWS, Roster

NOBODY = People.of(frame([]))


def ints(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.int64)


def roster(*rows: tuple[int, int | None, int], people: People = NOBODY) -> Roster:
    return Roster.of(pl.DataFrame(rows, schema=ROWS, orient="row"), people)


def members(found: Roster, *persons: int, insurer: int = X) -> list[int]:
    insurers = np.full(len(persons), insurer, np.int32)
    numbers: list[int] = found.members(insurers, ints(*persons)).tolist()
    return numbers


def owners(found: Roster, *asked: int, insurer: int = X) -> list[tuple[bool, int]]:
    exists, owner = found.owners(np.full(len(asked), insurer, np.int32), ints(*asked))
    return list(zip(exists.tolist(), owner.tolist(), strict=True))


def test_an_insurer_knows_its_own_members() -> None:
    found = roster((X, 5, 42), (Y, 5, 43), (X, 6, 44))
    assert members(found, 5, 6, 7, NONE) == [42, 44, NONE, NONE]
    assert members(found, 5, 6, insurer=Y) == [43, NONE]
    assert owners(found, 42, 43, NONE) == [(True, 5), (False, NONE), (False, NONE)]
    assert owners(found, NONE) == [(False, NONE)]


def test_an_empty_roster_knows_nobody() -> None:
    assert members(roster(), 5) == [NONE]
    assert owners(roster(), 42) == [(False, NONE)]


def test_who_waits_has_a_member_id_and_no_person_until_the_number_comes() -> None:
    assert owners(roster((X, None, 42)), 42) == [(True, NONE)]
    assert members(roster((X, None, 42)), NONE) == [NONE]
    found = roster((X, 5, 42), (X, None, 42))
    assert owners(found, 42) == [(True, 5)]
    assert members(found, 5) == [42]


def test_a_person_is_found_by_any_of_its_links() -> None:
    people = People.of(frame([joined(42, 6, 5, 1)]))
    shown = int(people.canonical(ints(6))[0])
    assert members(roster((X, 6, 42), people=people), shown) == [42]


def test_statements_are_laid_over_the_rows() -> None:
    rows = (X, 5, 42), (X, 6, 43)
    gone = roster(*rows, people=People.of(frame([withdrawn(42, 1)])))
    assert members(gone, 5, 6) == [NONE, 43]
    other = roster(*rows, (X, 7, 42), people=People.of(frame([parted(42, 5, 7, 1)])))
    assert members(other, 5, 6, 7) == [NONE, 43, 42]
    onward = roster(*rows, people=People.of(frame([renumbered(42, 43, 1)])))
    assert members(onward, 5, 6) == [43, 43]


@pytest.mark.parametrize("survivor", [5, 9])
def test_a_member_that_was_parted_has_the_number_that_the_parting_names(survivor: int) -> None:
    """Also while another member's word makes one person of it and the number it was parted from."""
    (other,) = {5, 9} - {survivor}
    said = [parted(42, other, survivor, 1), joined(43, other, survivor, 2)]
    found = roster((X, other, 42), (X, survivor, 42), people=People.of(frame(said)))
    assert found.rows.height == 2
    assert owners(found, 42) == [(True, survivor)]
    assert owners(roster((X, None, 42), (X, 5, 42), people=found.people), 42) == [(True, 5)]


def test_others_are_told_apart_from_the_member_itself() -> None:
    people = People.of(frame([joined(42, 6, 5, 1), renumbered(44, 43, 1)]))
    found = roster((X, 5, 42), (X, 6, 43), (X, 7, 44), (Y, 7, 45), (X, None, 46), people=people)
    shown = int(people.canonical(ints(6))[0])

    def others(person: int, member: int, insurer: int = X) -> bool:
        one = np.full(1, insurer, np.int32), ints(person), ints(member)
        return bool(found.others(*one)[0])

    assert others(shown, 42)
    assert others(shown, 43)
    assert not others(7, 43)  # 44 goes on as it
    assert not others(7, 45, Y)
    assert others(7, 42)
    assert not others(8, 42)
    assert not others(NONE, 42)
    assert not roster().others(np.full(1, X, np.int32), ints(5), ints(42)).any()
