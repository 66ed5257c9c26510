"""koukan's answers about persons and days, in a process of its own.

  koukan_history.py FOLDER --persons N --spells K --questions Q --seed S

Asks which insurers Q persons had on Q days, twice: the second time every file is known to be what
the ledger says. Then single persons, as `koukan history` does, once the process is warm. Prints one
JSON document: times, memory, and counts that the driver compares with what was drawn.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import measuring
import numpy as np
import polars as pl
from history_site import FIRST, SPELLS, spell

import koukan
from koukan.engine.asof import insurers_on
from koukan.engine.centre import Centre, open_centre
from koukan.engine.history import Link, Member, spells
from koukan.samples.draws import Draws, Ints
from koukan.sites.schedule import night_of

ONES = 50  # single persons that are timed, after as many that are not
SPAN = 365 * 22  # days that are asked about


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    for name in ("--persons", "--spells", "--questions", "--seed"):
        parser.add_argument(name, type=int, required=True)
    given = parser.parse_args()
    centre = open_centre(given.folder / "site", given.folder / "keys" / "batch.key")
    draw = np.random.default_rng(given.seed)
    persons = draw.integers(0, given.persons, given.questions)
    days = FIRST - 365 + draw.integers(0, SPAN, given.questions)
    first, answers = ask(centre, persons, days)
    again, _ = ask(centre, persons, days)
    tonight = night_of(centre.clock())
    known, _ = ask(centre, persons, days, known=tonight)
    ones = single(centre, given.seed, given.spells, persons[: 2 * ONES])
    measuring.say(
        {
            "version": koukan.__version__,
            "first": first,
            "again": again,
            "known": known,
            "rss_mib": max(one["rss_mib"] for one in (first, again, known)),
            "ones": ones,
            "found": answers,
            "drawn": expected(given.seed, given.spells, persons, days),
        }
    )
    centre.close()


def ask(
    centre: Centre, persons: Ints, days: Ints, *, known: str | None = None
) -> tuple[dict[str, float], dict[str, int]]:
    """All questions at once: what it took, and what the answers come to."""
    questions = pl.DataFrame(
        {
            "link_number": centre.link_issuer.issue(persons),
            "day": pl.Series(days.astype(np.int32)).cast(pl.Date),
        }
    )
    meter = measuring.Meter()
    answers = begins = 0
    for part in insurers_on(centre, questions, known=known):
        answers += part.height
        begins += int(part["qualification_date"].to_physical().sum())
    return meter.stop(), {"answers": answers, "begins": begins}


def expected(seed: int, spells_each: int, persons: Ints, days: Ints) -> dict[str, int]:
    """The same, from what was drawn."""
    answers = begins = 0
    for place in range(spells_each):
        drawn = spell(Draws(seed), persons, place, spells_each)
        covering = (drawn.begin <= days) & (drawn.goes_on | (days < drawn.end))
        answers += int(np.count_nonzero(covering))
        begins += int(drawn.begin[covering].sum())
    return {"answers": answers, "begins": begins}


def single(centre: Centre, seed: int, spells_each: int, persons: Ints) -> dict[str, float]:
    """Milliseconds for one person's spells, by 紐付番号 and by 被保険者枝番; medians."""
    links = centre.link_issuer.issue(persons).tolist()
    members = centre.member_issuer.issue(persons * SPELLS).tolist()
    insurers = spell(Draws(seed), persons, 0, spells_each).insurer.tolist()
    codes = [insurer.code for insurer in centre.site.insurers]
    by_link = [Link(f"{link:016d}") for link in links]
    by_member = [
        Member(codes[insurer], f"{member:010d}")
        for insurer, member in zip(insurers, members, strict=True)
    ]

    def timed(look: Callable[[int], pl.DataFrame]) -> float:
        took = []
        for number in range(len(persons)):
            began = time.perf_counter()
            found = look(number)
            took.append(1000 * (time.perf_counter() - began))
            assert found.height == spells_each
        return median(took[len(took) // 2 :])

    return {
        "link_ms": timed(lambda number: spells(centre, by_link[number])),
        "member_ms": timed(lambda number: spells(centre, by_member[number])),
    }


if __name__ == "__main__":
    main()
