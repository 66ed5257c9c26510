"""The few statements that are left of a course in which koukan and the slow registry disagree."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path

from course_trial import Disagreement, Trial
from slow_registry import File, Statement

Night = list[File]
Check = Callable[[Trial], list[Disagreement]]
SECONDS = 240.0  # in which a course is made smaller


def shrunk(nights: Sequence[Night], check: Check) -> list[Night]:
    """The course with statements left out as long as the two still disagree."""
    until = time.monotonic() + SECONDS
    serials = [one.serial for night in nights for file in night for one in file.statements]

    def fails(chosen: Collection[int]) -> bool:
        return time.monotonic() < until and bool(replayed(reduced(nights, chosen), check))

    size = len(serials)
    while size > 1 and time.monotonic() < until:
        size = -(-size // 2)
        start = 0
        while start < len(serials):
            fewer = serials[:start] + serials[start + size :]
            if fewer and fails(set(fewer)):
                serials = fewer
            else:
                start += size
    return reduced(nights, set(serials))


def near(nights: Sequence[Night], serials: Iterable[int], steps: int) -> list[Night]:
    """What was said of the same persons: statements that share a number or a 被保険者枝番."""
    everything = [one for night in nights for file in night for one in file.statements]
    chosen = set(serials)
    for _ in range(steps):
        touched = {key for one in everything if one.serial in chosen for key in keys(one)}
        chosen |= {one.serial for one in everything if touched & keys(one)}
    return reduced(nights, chosen)


def keys(statement: Statement) -> set[object]:
    named = {statement.number, statement.new_number, statement.member, statement.new_member}
    return (named | {statement.serial}) - {None, -1}


def reduced(nights: Sequence[Night], serials: Collection[int]) -> list[Night]:
    def some(file: File) -> File:
        return File(file.sender, tuple(one for one in file.statements if one.serial in serials))

    return [[some(file) for file in night if some(file).statements] for night in nights]


def replayed(nights: Sequence[Night], check: Check) -> list[Disagreement]:
    """What the two disagree on when a course is run on a new site."""
    with tempfile.TemporaryDirectory() as folder:
        trial = Trial.new(Path(folder))
        for night in nights:
            trial.night(night)
        return check(trial)


def told(nights: Sequence[Night]) -> str:
    """A course as a text that can be read, and pasted into a test."""
    lines = []
    for number, night in enumerate(nights, 1):
        for file in night:
            lines.append(f"night {number}, {file.sender}:")
            lines += [f"    {statement}" for statement in file.statements]
    return "\n".join(lines)
