"""Responses: what the receiver of a push says of its persons, held against what it said before.

A line names a person by its place in the push. What is said first of a person holds, whoever says
it again; what contradicts it, or another line of the same file, is held and changes nothing. Pure.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from koukan.rules.register import Ints, Mask

Results = npt.NDArray[np.int16]  # by person of a push
UNANSWERED, ACCEPTED = -1, -2  # any other result is the code of a refusal, 0 to 9999
NOBODY, OTHERWISE, CONTRADICTING = HELD = ("H301", "H302", "H303")
REPEATED, AGAIN = DUPLICATE = ("D301", "D601")


class Judged(NamedTuple):
    """What a file's lines come to: `codes` counts those that change nothing."""

    results: Results  # by person of the push, with what is new
    accepted: int  # persons of whom nothing was said before
    refused: int
    codes: dict[str, int]


def judge(numbers: Ints, said: Results, before: Results) -> Judged:
    """Take in what can be taken.

    Args:
        numbers: レコード識別番号 of each line.
        said: its result.
        before: by person of the push, what was said of it before.
    """
    there = (numbers >= 1) & (numbers <= len(before))
    order = np.flatnonzero(there)
    order = order[np.argsort(numbers[order], kind="stable")]
    first = np.diff(numbers[order], prepend=0) != 0
    own = np.cumsum(first) - 1
    leader = order[first]
    contradicting = np.zeros(len(leader), np.bool_)
    np.logical_or.at(contradicting, own, said[order] != said[leader][own])
    fine = leader[~contradicting]
    held_against = before[numbers[fine] - 1]
    fresh = fine[held_against == UNANSWERED]
    results = before.copy()
    results[numbers[fresh] - 1] = said[fresh]
    taken = int(np.count_nonzero(said[fresh] == ACCEPTED))
    again = int(np.count_nonzero(held_against == said[fine]))
    codes = {
        NOBODY: len(numbers) - len(order),
        CONTRADICTING: int(np.count_nonzero(contradicting[own])),
        REPEATED: int(np.count_nonzero(~first & ~contradicting[own])),
        AGAIN: again,
        OTHERWISE: len(fine) - len(fresh) - again,
    }
    return Judged(results, taken, len(fresh) - taken, {k: n for k, n in codes.items() if n})


def counted(results: Results) -> tuple[int, int]:
    """How many persons were accepted, and how many refused."""
    return int(np.count_nonzero(results == ACCEPTED)), int(np.count_nonzero(refused(results)))


def refused(results: Results) -> Mask:
    """Who was refused."""
    return results >= 0


def state_of(persons: int, accepted: int, refused: int) -> str:
    """accepted or refused: everybody; laid: nobody is answered for; partly: all that is between."""
    if accepted + refused == persons:
        return "accepted" if not refused else "partly" if accepted else "refused"
    return "partly" if accepted + refused else "laid"
