"""Ages, against a calendar in plain Python that walks to the day."""

from __future__ import annotations

import random
from datetime import date, timedelta

import numpy as np
import pytest

from koukan.rules.ages import ages
from koukan.rules.line_keys import NONE

EPOCH = date(1970, 1, 1)
ONE = timedelta(days=1)


def birthday(born: date, years: int) -> date:
    """The day on which a year of life begins; 1 March where there is no 29 February."""
    try:
        return born.replace(year=born.year + years)
    except ValueError:
        return date(born.year + years, 3, 1)


def elderly_from(born: date) -> date:
    completed = birthday(born, 70) - ONE
    day = completed
    while day.month == completed.month:
        day += ONE
    return day


def numbers(*days: date) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array([int(f"{day:%Y%m%d}") for day in days], np.int64)


@pytest.mark.parametrize(
    ("born", "elderly", "late"),
    [
        (date(1956, 4, 1), date(2026, 4, 1), date(2031, 4, 1)),  # on the 1st: their own month
        (date(1956, 4, 2), date(2026, 5, 1), date(2031, 4, 2)),
        (date(1956, 4, 30), date(2026, 5, 1), date(2031, 4, 30)),
        (date(1956, 2, 29), date(2026, 3, 1), date(2031, 3, 1)),
        (date(1955, 12, 31), date(2026, 1, 1), date(2030, 12, 31)),
        (date(1869, 1, 1), date(1939, 1, 1), date(1944, 1, 1)),
    ],
)
def test_the_days_that_the_law_gives(born: date, elderly: date, late: date) -> None:
    found = ages(numbers(born))
    assert found.certain.all()
    assert EPOCH + timedelta(days=int(found.elderly[0])) == elderly
    assert EPOCH + timedelta(days=int(found.late[0])) == late


def test_ages_of_any_birth_are_those_of_the_calendar() -> None:
    draw = random.Random(70)
    born = [date(1868, 1, 1) + timedelta(days=draw.randrange(60_000)) for _ in range(3_000)]
    found = ages(numbers(*born))
    assert found.certain.all()
    for place, day in enumerate(born):
        assert EPOCH + timedelta(days=int(found.elderly[place])) == elderly_from(day)
        assert EPOCH + timedelta(days=int(found.late[place])) == birthday(day, 75)


def test_what_is_not_known_or_no_day_is_not_certain() -> None:
    births = [NONE, 0, 1956_0400, 1956_0000, 401, 1955_0229, 1956_1301, 1956_0431]
    assert not ages(np.array(births, np.int64)).certain.any()
