"""Whose 機関別符号 is whose, when persons are joined and parted and codes are given up."""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl
import pytest
from codes_support import Row, asked, failed, frame, made, wanted
from statements import Row as Statement
from statements import frame as statements
from statements import joined, parted, rank_of

from koukan.rules.linkage import (
    ALL,
    ASKED,
    FAILED,
    SELF_DISCLOSURE,
    SET,
    WANTED,
    by_link,
    expired,
    of_persons,
    purposes,
    under_way,
)
from koukan.rules.persons import People
from koukan.rules.register import Ints
from koukan.rules.spells import END

Told = dict[int, tuple[str | None, str]]


def ranks(links: Ints) -> Ints:
    """Here a larger number was issued earlier."""
    return np.array([rank_of(link) for link in links.tolist()], np.int64)


def told(events: list[Row], *said: Statement) -> Told:
    found = of_persons(frame(events), People.of(statements(said)), ranks)
    rows = list(found.select("link_number", "linkage_code", "state").iter_rows())
    assert len({link for link, _, _ in rows}) == len(rows)
    return {link: (code, state) for link, code, state in rows}


def test_without_an_event_nobody_has_anything() -> None:
    assert told([]) == {}


@pytest.mark.parametrize(
    ("events", "wanted_to_be"),
    [
        ([wanted(5, 1)], (None, WANTED)),
        ([wanted(5, 1), asked(5, 2)], (None, ASKED)),
        ([wanted(5, 1), failed(5, 2)], (None, FAILED)),
        ([wanted(5, 1), failed(5, 2), wanted(5, 3)], (None, WANTED)),
        ([wanted(5, 1), made(5, "A", 2)], ("A", SET)),
        ([made(5, "A", 2), wanted(5, 1)], ("A", SET)),  # order is that of the groups
    ],
)
def test_the_state_is_what_came_last(events: list[Row], wanted_to_be: object) -> None:
    assert told(events) == {5: wanted_to_be}


@pytest.mark.requirement("R058")
def test_a_second_code_is_never_taken() -> None:
    assert told([wanted(5, 1), made(5, "A", 2), made(5, "B", 3)]) == {5: ("A", SET)}
    assert told([wanted(5, 1), made(5, "A", 2), wanted(5, 3), failed(5, 4)]) == {5: ("A", SET)}


def test_a_code_that_was_given_up_is_never_used_again() -> None:
    old = [wanted(5, 1), made(5, "A", 2)]
    given_up = [*old, wanted(5, 3, reissue=True)]
    assert told(given_up) == {5: (None, WANTED)}
    assert told([*given_up, failed(5, 4)]) == {5: (None, FAILED)}
    assert told([*given_up, made(5, "B", 4)]) == {5: ("B", SET)}
    assert told([*given_up, made(5, "B", 4), made(7, "C", 4)]) == {5: ("B", SET), 7: ("C", SET)}


@pytest.mark.requirement("R057")
def test_joined_numbers_have_the_code_of_the_one_issued_first() -> None:
    both = [made(5, "A", 1), made(9, "B", 2), wanted(3, 1)]
    assert told(both, joined(1, 5, 9, 1)) == {3: (None, WANTED), 9: ("B", SET)}


def test_a_code_counts_before_whatever_became_of_the_others() -> None:
    """The number issued first has none."""
    assert told([failed(9, 1), made(5, "A", 1)], joined(1, 5, 9, 1)) == {9: ("A", SET)}
    assert told([failed(9, 1), wanted(5, 2)], joined(1, 5, 9, 1)) == {9: (None, WANTED)}


def test_parted_numbers_have_their_own_again() -> None:
    again = (joined(1, 5, 9, 1), parted(1, 5, 5, 2))
    assert told([made(9, "B", 1)], *again) == {9: ("B", SET)}  # the other wants one
    assert told([made(5, "A", 1), made(9, "B", 1)], *again) == {5: ("A", SET), 9: ("B", SET)}


def test_a_code_of_those_alone_who_only_prepare_serves_the_self_disclosure_link() -> None:
    rows = [(1, "X"), (1, "M"), (2, "M"), (2, "W"), (3, "W"), (4, "X"), (4, "X")]
    qualified = pl.DataFrame(rows, schema=["link_number", "insurer_code"], orient="row")
    found = dict(purposes(qualified, ("M", "W")).iter_rows())
    assert found == {1: ALL, 2: SELF_DISCLOSURE, 3: SELF_DISCLOSURE, 4: ALL}
    assert set(dict(purposes(qualified, ()).iter_rows()).values()) == {ALL}


def test_tries_count_from_the_last_wish_and_the_moment_is_that_of_the_state() -> None:
    def last(*events: Row) -> tuple[object, ...]:
        (row,) = by_link(frame(events)).rows(named=True)
        return row["since"], row["tries"], row["given_up"], row["result_detail_code"]

    assert last(wanted(5, 1)) == (1, 0, -1, None)
    assert last(wanted(5, 1), asked(5, 2), asked(5, 4)) == (4, 2, -1, None)
    assert last(wanted(5, 1), asked(5, 2), failed(5, 3)) == (3, 1, -1, "0001")
    assert last(wanted(5, 1), asked(5, 2), failed(5, 3), wanted(5, 4)) == (4, 0, -1, None)
    assert last(wanted(5, 1), asked(5, 2), made(5, "A", 3), failed(5, 4)) == (3, 1, -1, None)
    assert last(made(5, "A", 3), wanted(5, 4, reissue=True), asked(5, 6)) == (6, 1, 4, None)


def test_who_has_no_code_is_told_of_under_all_numbers_together() -> None:
    """The older number is wanted, and the newer one was asked by."""
    assert told([wanted(9, 1), asked(5, 2)], joined(1, 5, 9, 1)) == {9: (None, ASKED)}


def test_that_a_code_was_given_up_is_told_of_the_person() -> None:
    """The new one came by a number that the person has since."""
    events = [made(9, "A", 1), wanted(9, 2, reissue=True), made(5, "B", 3)]
    found = of_persons(frame(events), People.of(statements([joined(1, 5, 9, 1)])), ranks)
    (row,) = found.rows(named=True)
    assert (row["link_number"], row["linkage_code"], row["given_up"]) == (9, "B", 2)


@pytest.mark.requirement("R162")
def test_a_code_goes_when_both_periods_are_over() -> None:
    """Days of April 2026 on which spells of an insurer ended; None: one goes on. M: 市町村国保."""
    ends = {
        1: [("A", 2), ("B", 3)],
        2: [("A", 2), ("B", 4)],  # the last of those that count decides
        3: [("A", 2), ("B", None)],
        4: [("A", 2), ("M", 6)],  # 市町村国保 counts for the second period alone
        5: [("A", 2), ("M", 7)],
        6: [("M", 6)],
        7: [("A", 2), ("M", None)],
        8: [("M", 7)],
    }
    rows = [
        (link, insurer, day and date(2026, 4, day))
        for link, told in ends.items()
        for insurer, day in told
    ]
    schema = {"link_number": pl.Int64, "insurer_code": pl.String, END: pl.Date}
    found = pl.DataFrame(rows, schema=schema, orient="row")
    days = {"kept": date(2026, 4, 3), "needed": date(2026, 4, 6)}
    assert expired(found, ["M"], **days).tolist() == [1, 4, 6]
    assert expired(found, [], **days).tolist() == [1]
    assert expired(found.head(0), ["M"], **days).tolist() == []


def test_who_was_asked_for_last_waits_for_an_answer() -> None:
    events = [wanted(5, 1), asked(5, 2), made(5, "A", 3), asked(9, 4), wanted(7, 1)]
    events += [made(3, "B", 1), wanted(3, 2, reissue=True), asked(3, 3)]
    assert under_way(frame(events)).tolist() == [3, 9]
