"""Which files become one: few files, each row written seldom, neighbours only."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from koukan.rules.tiers import FAN_IN, Item, merges, spreads

FULL = 200_000
YEAR = 365
NIGHTS: dict[str, Callable[[random.Random], int]] = {
    "all alike": lambda _: 234,
    "a few rows": lambda draw: draw.randint(1, 5),
    "of all sizes": lambda draw: int(draw.lognormvariate(5.5, 2)) + 1,
    "large once a week": lambda draw: 5_000 if draw.random() < 1 / 7 else 100,
    "large": lambda _: 20_000,
    "sometimes almost full": lambda draw: 150_000 if draw.random() < 0.03 else 200,
}


def test_neighbours_of_one_depth_become_one() -> None:
    small = [(10, 0)] * FAN_IN
    assert merges(small[1:], FULL) == []
    assert merges(small, FULL) == [Item(80, 1, 0, 8)]
    assert merges([*small, (5, 0), (6, 0)], FULL) == [Item(91, 1, 0, 10)]
    assert merges([(500, 1), *small], FULL) == [Item(80, 1, 1, 9)]
    assert merges([*small[1:], (500, 1), (10, 0)], FULL) == []


def test_what_would_be_merged_at_once_again_is_written_once() -> None:
    files = [(80, 1)] * (FAN_IN - 1) + [(10, 0)] * FAN_IN
    assert merges(files, FULL) == [Item(640, 2, 0, 15)]


def test_a_full_file_is_left_alone_and_divides() -> None:
    small = [(10, 0)] * (FAN_IN - 1)
    assert merges([*small, (FULL, 0), *small], FULL) == []
    assert merges([(FULL, 0)] * FAN_IN, FULL) == []


def test_nothing_becomes_twice_as_large_as_full() -> None:
    files = [(FULL - 1, 0)] * 5 + [(FULL // 4, 0)] * 5
    found = merges(files, FULL)
    assert [(item.start, item.stop) for item in found] == [(0, 2), (2, 4), (4, 6), (6, 10)]
    assert all(item.rows < 2 * FULL for item in found)
    assert merges([(FULL - 1, 0)] * 9, FULL)[-1].stop == 8  # one alone waits for others


def test_rows_are_put_into_their_buckets_when_there_are_files_or_rows_enough() -> None:
    small = [(10, 0)] * FAN_IN
    assert spreads([], FULL) == spreads(small[1:], FULL) == []
    assert spreads(small, FULL) == [Item(80, 1, 0, 8)]
    assert spreads([(FULL, 0)], FULL) == [Item(FULL, 1, 0, 1)]
    assert spreads([(FULL, 0), *small[1:]], FULL) == [Item(FULL, 1, 0, 1)]
    assert spreads([*small[1:], (FULL, 2)], FULL) == [Item(FULL + 70, 3, 0, 8)]


@given(
    st.lists(st.tuples(st.integers(0, 300), st.integers(0, 3)), max_size=80), st.integers(1, 400)
)
def test_few_files_with_few_rows_wait_for_their_buckets(
    files: list[tuple[int, int]], full: int
) -> None:
    found = spreads(files, full)
    assert [item.start for item in found] == [0, *(item.stop for item in found)][: len(found)]
    for item in found:
        rows = [rows for rows, _ in files[item.start : item.stop]]
        assert sum(rows[:-1]) < full
        assert item.rows == sum(rows)
        assert item.depth == 1 + max(depth for _, depth in files[item.start : item.stop])
    left = files[found[-1].stop :] if found else files
    assert len(left) < FAN_IN
    assert sum(rows for rows, _ in left) < full


@given(
    st.lists(st.tuples(st.integers(0, 300), st.integers(0, 3)), max_size=80), st.integers(1, 400)
)
def test_merges_are_disjoint_in_order_and_whole(files: list[tuple[int, int]], full: int) -> None:
    found = merges(files, full)
    assert all(one.stop <= other.start for one, other in pairwise(found))
    for item in found:
        inside = files[item.start : item.stop]
        assert len(inside) > 1
        assert item.rows == sum(rows for rows, _ in inside) < 2 * full
        assert item.depth == 1 + max(depth for _, depth in inside) or len(inside) > FAN_IN
        assert all(rows < full for rows, _ in inside)


@pytest.mark.parametrize("kind", NIGHTS)
def test_in_a_year_of_nights_a_row_is_written_three_times_at_most_and_files_stay_few(
    kind: str,
) -> None:
    draw = random.Random(1)
    files: list[tuple[int, int]] = []
    brought = written = most = 0
    for _ in range(YEAR):
        rows = NIGHTS[kind](draw)
        files.append((rows, 0))
        brought += rows
        for item in reversed(merges(files, FULL)):
            written += item.rows
            files[item.start : item.stop] = [(item.rows, item.depth)]
        most = max(most, sum(rows < FULL for rows, _ in files))
    assert brought + written <= 3 * brought
    assert max(depth for _, depth in files) <= 2
    assert most <= 4 * (FAN_IN - 1)  # three depths; what is full divides and may leave some more
    assert sum(rows for rows, _ in files) == brought
