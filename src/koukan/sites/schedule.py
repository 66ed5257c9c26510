"""When a job is due: five fields as in cron, in JST (a fixed +09:00). Pure: the time is given."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone

JST = timezone(timedelta(hours=9))
RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
PART = re.compile(r"(\*|(?P<first>[0-9]+)(-(?P<last>[0-9]+))?)(/(?P<step>[0-9]+))?")
NIGHT_BEGINS = 12  # a night is named after the JST date at which it began, boundary at noon


def night_of(moment: datetime) -> str:
    """The night's name, e.g. `2026-04-01` from noon that day to noon the next."""
    return (moment.astimezone(JST) - timedelta(hours=NIGHT_BEGINS)).strftime("%Y-%m-%d")


def day_of(moment: datetime) -> date:
    """The calendar day in JST, by which rights begin and end."""
    return moment.astimezone(JST).date()


@dataclass(frozen=True)
class Schedule:
    """The minutes, hours, days, months and weekdays (0 is Sunday) at which a job is due."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]

    @classmethod
    def parse(cls, text: str) -> Schedule:
        """Read `minute hour day month weekday`: `*`, `a`, `a-b`, `a,b`, each with `/step`.

        Raises:
            ValueError: the text is not a schedule.
        """
        parts = text.split()
        if len(parts) != len(RANGES):
            raise ValueError(f"a schedule has five fields: {text!r}")
        sets = [_values(part, *bounds) for part, bounds in zip(parts, RANGES, strict=True)]
        return cls(*sets)

    def latest(self, now: datetime, *, days: int = 366) -> datetime | None:
        """The last due minute that is not after `now`, at most `days` back."""
        moment = now.astimezone(JST).replace(second=0, microsecond=0)
        for back in range(days + 1):
            day = moment - timedelta(days=back)
            if not self._on(day):
                continue
            for hour in sorted(self.hours, reverse=True):
                for minute in sorted(self.minutes, reverse=True):
                    due = day.replace(hour=hour, minute=minute)
                    if due <= moment:
                        return due
        return None

    def following(self, now: datetime, *, days: int = 366) -> datetime | None:
        """The first due minute after `now`, at most `days` ahead."""
        moment = now.astimezone(JST).replace(second=0, microsecond=0)
        for ahead in range(days + 1):
            day = moment + timedelta(days=ahead)
            if not self._on(day):
                continue
            for hour in sorted(self.hours):
                for minute in sorted(self.minutes):
                    due = day.replace(hour=hour, minute=minute)
                    if due > moment:
                        return due
        return None

    def _on(self, day: datetime) -> bool:
        weekday = day.isoweekday() % 7
        return day.month in self.months and day.day in self.days and weekday in self.weekdays


def years_before(day: date, years: int) -> date:
    """The same day so many years earlier; of the 29th of February the 28th."""
    same = 28 if (day.month, day.day) == (2, 29) else day.day
    return date(day.year - years, day.month, same)


def _values(text: str, low: int, high: int) -> frozenset[int]:
    found: set[int] = set()
    for part in text.split(","):
        read = PART.fullmatch(part)
        if read is None:
            raise ValueError(f"{part!r} is not one of *, a, a-b, each with or without /step")
        first = int(read["first"] or low)
        last = int(read["last"] or read["first"] or high)
        if not low <= first <= last <= high:
            raise ValueError(f"{part!r} is not within {low}-{high}")
        width = int(read["step"] or 1)
        if width < 1:
            raise ValueError(f"{part!r}: a step is at least 1")
        found |= set(range(first, last + 1, width))
    return frozenset(found)
