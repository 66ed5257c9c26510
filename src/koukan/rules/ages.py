"""Ages at which the law changes what a person is, as days since 1970-01-01 (numpy, no loop).

年齢計算ニ関スル法律: a year of life is completed at the end of the day before the birthday. A
高齢受給者 is somebody from the first of the month after the one in which the 70th year is
completed, so those born on the 1st are from the month of their birthday. For 後期高齢者医療 the
birthday itself counts. Who was born on 29 February has the birthday on 1 March in common years.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from koukan.rules.register import Ints, Mask

Moments = npt.NDArray[np.datetime64]
ELDERLY, LATE = 70, 75  # 高齢受給者, 後期高齢者


class Ages(NamedTuple):
    """By person: the first day of each age, meaningless where the birth is not certain."""

    certain: Mask
    elderly: Ints  # 高齢受給者 from this day on
    late: Ints  # 後期高齢者 from this day on


def ages(births: Ints) -> Ages:
    """Of births as they stand in files: YYYYMMDD; 00 for what is unknown, `NONE` for nothing."""
    year, rest = np.divmod(births, 10_000)
    month, day = np.divmod(rest, 100)
    certain = (year >= 1) & (month >= 1) & (month <= 12) & (day >= 1)
    months = np.where(certain, (year - 1970) * 12 + month - 1, 0)
    born = _day(months, day)
    certain &= born.astype("datetime64[M]").view("i8") == months  # else there is no such day
    completed = _day(months + ELDERLY * 12, day) - np.timedelta64(1, "D")
    following = completed.astype("datetime64[M]") + np.timedelta64(1, "M")
    late = _day(months + LATE * 12, day)
    return Ages(certain, following.astype("datetime64[D]").view("i8"), late.view("i8"))


def _day(months: Ints, day: Ints) -> Moments:
    """A day of a month; behind its end the first days of the next."""
    first = months.astype("datetime64[M]").astype("datetime64[D]")
    found: Moments = first + (day - 1).astype("timedelta64[D]")
    return found
