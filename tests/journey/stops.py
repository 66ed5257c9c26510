"""Runs that stop in the middle as a killed one does: nothing behind the moment is done."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from koukan.engine.centre import Centre


class Stopped(BaseException):
    """No `except Exception` of a run sees it."""


@contextmanager
def stopping(
    centre: Centre, event: str, *, step: str | None = None, times: int = 1
) -> Iterator[None]:
    """Let the run inside stop at an event, when it is told for that many times."""
    before, seen = centre.observe, 0

    def observe(told: str, **more: object) -> None:
        nonlocal seen
        seen += told == event and step in (None, more.get("step"))
        if seen == times:
            raise Stopped
        before(told, **more)

    centre.observe = observe
    with pytest.raises(Stopped):
        yield
    centre.observe = before
