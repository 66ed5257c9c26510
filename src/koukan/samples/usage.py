"""Frames of 資格確認実績ログ: persons of welfare offices who showed their qualification.

Recipients, institutions and days are those of the offices' 医療券 in registrations of the same
seed, so that an office can join the two.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import numpy as np
import polars as pl

from koukan.formats.model import Format
from koukan.rules.checkdigits import complete
from koukan.samples.draws import Draws, Ints
from koukan.samples.population import text
from koukan.samples.questions import numbered

VISITS = 3  # lines of a person, one after another
INSTITUTIONS = 131_000_000  # nine digits before the check digit
OPEN_AT, OPEN_FOR = 9 * 3600, 8 * 3600  # seconds of a day


def usage_frames(
    form: Format,
    seed: int,
    lines: Ints,
    *,
    payers: Sequence[str],
    as_of: date,
    first_record_number: int = 1,
) -> dict[str, pl.DataFrame]:
    """One check of a qualification for each of these numbers.

    Args:
        payers: 公費負担者番号 of the offices, each as likely as another.
        as_of: the days are those of its month.
    """
    draws, persons = Draws(seed), lines // VISITS
    first = as_of.replace(day=1)
    days = first.toordinal() - date(1970, 1, 1).toordinal() + draws.below("day", lines, 28)
    day = pl.Series(days.astype(np.int32)).cast(pl.Date).dt.strftime("%Y%m%d")
    second = OPEN_AT + (draws.below("second", persons, OPEN_FOR) + lines % VISITS) % OPEN_FOR
    clock = second // 3600 * 10_000 + second // 60 % 60 * 100 + second % 60
    place = pl.Series(draws.below("payer", persons, len(payers)))
    frame = pl.DataFrame(
        {
            "public_payer_number": pl.Series(list(payers), dtype=pl.String).gather(place),
            "recipient_number": text(complete("recipient_number", persons % 1_000_000), 7),
            "medical_institution_code": text(
                complete("institution_code", INSTITUTIONS + persons % 1_000), 10
            ),
            "qualification_check_date": day,
            "qualification_check_method": text(1 + draws.below("method", lines, 3), 1),
            "processed_at": day + text(clock, 6),
            "entrusted_flag": text(draws.below("entrusted", persons, 20) // 19, 1),
        }
    )
    return numbered(form, frame, first_record_number)
