"""What a report reads: the part of a centre that it needs, and which receptions it is about."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import ColumnElement, Select, true

from koukan.formats import Catalogue
from koukan.ledger import Ledger
from koukan.ledger import schema as s
from koukan.sites import Job, Site
from koukan.sites.schedule import JST, NIGHT_BEGINS

OUTCOMES = ("accepted", "refused", "duplicate", "held", "erased")
COUNTS = ("received", "accepted", "rejected", "duplicate", "held")
CHUNK = 5_000  # numbers in one query: databases bound the length of a statement


class Source(Protocol):
    """A centre, as far as reports look into it."""

    @property
    def root(self) -> Path: ...
    @property
    def ledger(self) -> Ledger: ...
    @property
    def site(self) -> Site: ...
    @property
    def catalogue(self) -> Catalogue: ...
    @property
    def jobs(self) -> Mapping[str, Job]: ...
    @property
    def clock(self) -> Callable[[], datetime]: ...


@dataclass(frozen=True)
class Selection:
    """Receptions as conditions that the database answers, so that a report costs what it shows.

    `parts` are disjoint; a report sums over them.
    """

    parts: tuple[ColumnElement[bool], ...]

    @classmethod
    def of(cls, numbers: Collection[int] | None = None, night: str | None = None) -> Selection:
        """Those with these numbers, those of a night, or all that ever came.

        A `range` costs one comparison however long it is.

        Raises:
            ValueError: the night is not written YYYY-MM-DD.
        """
        if night is not None:
            return cls((_of_night(night),))
        if numbers is None:
            return cls((true(),))
        number = s.receptions.c.number
        if isinstance(numbers, range) and numbers.step == 1:
            return cls(((number >= numbers.start) & (number < numbers.stop),))
        ordered = sorted(set(numbers))
        chunks = [ordered[start : start + CHUNK] for start in range(0, len(ordered), CHUNK)]
        return cls(tuple(number.in_(chunk) for chunk in chunks))


def _of_night(night: str) -> ColumnElement[bool]:
    start, stop = bounds(night)
    at = s.receptions.c.received_at
    return (at >= start) & (at < stop)


def bounds(night: str) -> tuple[str, str]:
    """First moment of a night and of the next one, as the ledger writes them (UTC)."""
    begin = datetime.strptime(night, "%Y-%m-%d").replace(hour=NIGHT_BEGINS, tzinfo=JST)
    moments = (begin, begin + timedelta(days=1))
    first, second = (at.astimezone(UTC).isoformat(timespec="seconds") for at in moments)
    return first, second


def rows(source: Source, query: Select[Any]) -> list[Any]:
    """The answer to a query, read in a transaction that stands in nobody's way."""
    return source.ledger.read(query)


def local(moment: str) -> str:
    """A stored time (UTC) as people read it: JST, to the minute."""
    return datetime.fromisoformat(moment).astimezone(JST).strftime("%Y-%m-%d %H:%M")


def age(source: Source, moment: str) -> int:
    """Seconds since a stored time."""
    return max(0, int((source.clock() - datetime.fromisoformat(moment)).total_seconds()))
