"""Answers to pushes: what is said first of a person holds; all else is counted."""

from __future__ import annotations

import numpy as np
import pytest

from koukan.rules.responses import ACCEPTED, UNANSWERED, counted, judge, refused, state_of

A, N = ACCEPTED, UNANSWERED


def judged(lines: list[tuple[int, int]], before: list[int]):
    numbers = np.array([number for number, _ in lines], np.int64)
    said = np.array([result for _, result in lines], np.int16)
    return judge(numbers, said, np.array(before, np.int16))


CASES = {
    "everybody": ([(1, A), (2, 7), (3, A)], [N, N, N], [A, 7, A], (2, 1), {}),
    "in any order, in part": ([(3, A)], [N, N, N], [N, N, A], (1, 0), {}),
    "nobody's number": ([(0, A), (4, A), (1, 0)], [N, N, N], [0, N, N], (0, 1), {"H301": 2}),
    "the same line twice": ([(2, A), (2, A), (2, A)], [N, N], [N, A], (1, 0), {"D301": 2}),
    "two things of one": ([(1, A), (1, 5), (2, A)], [N, N], [N, A], (1, 0), {"H303": 2}),
    "two codes of one": ([(1, 4), (1, 5)], [N], [N], (0, 0), {"H303": 2}),
    "said before": ([(1, A), (2, 9)], [A, 9], [A, 9], (0, 0), {"D601": 2}),
    "other than before": ([(1, 9), (2, A)], [A, 9], [A, 9], (0, 0), {"H302": 2}),
    "late rest": ([(1, A), (2, A)], [A, N], [A, A], (1, 0), {"D601": 1}),
    "no line": ([], [N], [N], (0, 0), {}),
    "no person": ([(1, A)], [], [], (0, 0), {"H301": 1}),
}


@pytest.mark.parametrize("case", CASES)
def test_each_line_is_taken_once_or_counted(case: str) -> None:
    lines, before, after, taken, codes = CASES[case]
    found = judged(lines, before)
    assert found.results.tolist() == after
    assert (found.accepted, found.refused) == taken
    assert found.codes == codes
    assert sum(taken) + sum(codes.values()) == len(lines)


def test_persons_are_counted_by_result() -> None:
    results = np.array([A, N, 0, 9999, A], np.int16)
    assert counted(results) == (2, 2)
    assert refused(results).tolist() == [False, False, True, True, False]


@pytest.mark.parametrize(
    ("persons", "accepted", "refused", "state"),
    [
        *((3, 0, 0, "laid"), (3, 3, 0, "accepted"), (3, 0, 3, "refused"), (3, 2, 1, "partly")),
        *((3, 1, 0, "partly"), (3, 0, 1, "partly"), (0, 0, 0, "accepted")),
    ],
)
def test_a_push_is_what_its_persons_are(persons, accepted, refused, state) -> None:
    assert state_of(persons, accepted, refused) == state
