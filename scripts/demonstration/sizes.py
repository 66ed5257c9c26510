"""The smallest demonstration that has room for everything that goes wrong in it."""

from __future__ import annotations

from collections.abc import Mapping

from koukan.samples.laying import earlier_persons
from koukan.samples.night import AGAIN
from koukan.samples.scenario import SCENARIO

PERSONS, QUESTIONS = 600, 2_000
LINES = 1_800  # beside the earlier night's file that comes again
LINES_OF_A_PERSON = 3


def least(persons: int) -> Mapping[str, int]:
    """Option -> its smallest value; how many lines are needed depends on the earlier persons."""
    by_insurer = earlier_persons(max(persons, PERSONS))
    again = sum(len(by_insurer[code]) for code in SCENARIO.sender(AGAIN[0]).insurers)
    lines = LINES + LINES_OF_A_PERSON * again
    return {"persons": PERSONS, "lines": lines, "questions": QUESTIONS}
