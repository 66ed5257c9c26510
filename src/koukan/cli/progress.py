"""How far a run is, on stderr: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from koukan import words
from koukan.cli.output import console, say
from koukan.cli.settings import Settings

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

Observe = Callable[..., None]
QUIET_SECONDS = 5.0  # between two lines about the same step


@contextmanager
def progress(settings: Settings) -> Iterator[Observe]:
    """An observer for `Centre.observe`, for the time of the block."""
    if not sys.stderr.isatty():
        yield Lines(settings)
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console(sys.stderr), transient=True) as bars:
        yield Bars(settings, bars)


def label(settings: Settings, step: str) -> str:
    """A step's name; one that has no word of its own goes by its identifier."""
    key = f"reports.step.{step}"
    return settings.text(key) if key in words.catalogue() else step


class Bars:
    """One bar for each step; a step that begins again (the next group) begins its bar again."""

    def __init__(self, settings: Settings, bars: Progress) -> None:
        self._settings = settings
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}

    def __call__(
        self, _event: str, *, step: str = "", done: int = 0, total: int = 0, **_where: object
    ) -> None:
        if not total:
            return
        if step not in self._tasks:
            self._tasks[step] = self._bars.add_task(label(self._settings, step), total=total)
        self._bars.update(self._tasks[step], completed=done, total=total)


class Lines:
    """A line when a step is done, and one every few seconds while it is not."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._told: dict[str, float] = {}
        self._ended: dict[str, float] = {}

    def __call__(
        self, _event: str, *, step: str = "", done: int = 0, total: int = 0, **_where: object
    ) -> None:
        if not total:
            return
        now = time.monotonic()
        # Small groups end their steps many times a second: that is no news each time.
        ended = done == total and now - self._ended.get(step, -QUIET_SECONDS) >= QUIET_SECONDS
        if ended:
            self._ended[step] = now
        if ended or now - self._told.setdefault(step, now) >= QUIET_SECONDS:
            self._told[step] = now
            say(f"{label(self._settings, step)}: {done}/{total}")
