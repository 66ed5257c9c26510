"""Whose numbers are forgotten with a member, and which statements stay."""

from __future__ import annotations

import numpy as np
import polars as pl

from koukan.rules.forgetting import (
    is_forgotten,
    members_of,
    persons_without,
    statements_left,
)
from koukan.rules.persons import MEMBERS, People

X, Y = "06990014", "06990022"
SCHEMA = {
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


def rows(*told: tuple[str, str, int, dict[str, int]]) -> pl.DataFrame:
    """Statements, one after another."""
    found = [
        {
            "act": act,
            "insurer_code": insurer,
            "member_id": member,
            "reception": at,
            "group_number": at,
            **more,
        }
        for at, (act, insurer, member, more) in enumerate(told, 1)
    ]
    return pl.DataFrame(found, schema=SCHEMA)


def joined(insurer: str, member: int, link: int, to: int) -> tuple[str, str, int, dict[str, int]]:
    numbers = {"link_number": link, "survivor": to, "rank": link, "survivor_rank": to}
    return "joined", insurer, member, numbers


def parted(insurer: str, member: int, link: int, to: int) -> tuple[str, str, int, dict[str, int]]:
    return "parted", insurer, member, {"link_number": link, "survivor": to}


def withdrawn(insurer: str, member: int, link: int) -> tuple[str, str, int, dict[str, int]]:
    return "withdrawn", insurer, member, {"link_number": link}


def renumbered(insurer: str, member: int, to: int) -> tuple[str, str, int, dict[str, int]]:
    return "renumbered", insurer, member, {"successor": to}


def events(*told: tuple[int, str, int]) -> pl.DataFrame:
    schema = {"link_number": pl.Int64, "insurer_code": pl.String, "member_id": pl.Int64}
    return pl.DataFrame(list(told), schema=schema, orient="row")


def without(statements: pl.DataFrame, links: list[int], *told: tuple[int, str, int]) -> list[int]:
    return persons_without(People.of(statements), np.array(links), events(*told)).tolist()


def left(statements: pl.DataFrame, dead: list[int]) -> list[int]:
    """Receptions of the statements that stay."""
    people = People.of(statements)
    staying = statements_left(statements, people, np.array(dead, np.int64))
    return statements.filter(staying)["reception"].to_list()


def test_members_are_those_withdrawn_and_who_went_on_as_them() -> None:
    people = People.of(rows(renumbered(X, 1, 2), withdrawn(X, 2, 10), renumbered(Y, 1, 3)))
    assert members_of(people).tolist() == [int(X) * MEMBERS + 1, int(X) * MEMBERS + 2]


def test_rows_are_the_members_own() -> None:
    people = People.of(rows(withdrawn(X, 1, 10)))
    found = events((10, X, 1), (10, Y, 1), (10, X, 2), (11, X, 1))
    mine = found.select(is_forgotten(pl.col("insurer_code"), members_of(people)))
    assert mine.to_series().to_list() == [True, False, False, True]


def test_a_person_whom_nobody_else_has_is_forgotten() -> None:
    statements = rows(withdrawn(X, 1, 10))
    assert without(statements, [10], (10, X, 1)) == [10]
    assert without(statements, [10], (10, X, 1), (10, Y, 5)) == []


def test_all_numbers_of_a_person_are_forgotten_or_none() -> None:
    statements = rows(joined(X, 1, 11, 10), withdrawn(X, 1, 10))
    assert without(statements, [10], (10, X, 1)) == [10, 11]
    assert without(statements, [10], (10, X, 1), (11, Y, 5)) == []


def test_who_was_parted_away_does_not_hold_the_wrong_number() -> None:
    """Y's member 5 lay under 10 by mistake, and is the person of 20."""
    statements = rows(parted(Y, 5, 10, 20), withdrawn(X, 1, 10))
    assert without(statements, [10], (10, X, 1), (10, Y, 5)) == [10]
    assert without(statements, [10, 20], (10, X, 1), (10, Y, 5), (20, Y, 5)) == [10]


def test_statements_about_the_member_go() -> None:
    statements = rows(
        joined(Y, 5, 31, 30), parted(X, 1, 9, 10), renumbered(X, 2, 1), withdrawn(X, 1, 10)
    )
    assert left(statements, [10]) == [1]
    assert left(statements, []) == [1]


def test_that_two_numbers_are_one_person_stays_as_long_as_anybody_has_the_person() -> None:
    statements = rows(joined(X, 1, 11, 10), withdrawn(X, 1, 10))
    assert left(statements, []) == [1]
    assert left(statements, [10, 11]) == []


def test_what_was_taken_back_by_parting_does_not_come_to_life_again() -> None:
    statements = rows(
        joined(X, 1, 11, 10), parted(X, 1, 10, 20), withdrawn(X, 1, 20), joined(Y, 5, 11, 10)
    )
    assert left(statements, []) == [4]
