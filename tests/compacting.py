"""A small centre whose tables have many small files, and all that it can be asked."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import polars as pl
from centres import DAY, Place, lay
from histories import KYOKAI, told

from koukan.engine.asof import insurers_on
from koukan.engine.centre import Centre
from koukan.engine.changes import changed_events, changes
from koukan.engine.history import Link, events, spells
from koukan.samples.scenario import site_toml
from koukan.tables.definition import partition_name

LIMITS = "\n[limits]\nsettle_seconds = 0.0\ngroup_files = 1\n"
FILES, NIGHTS = 9, ("2026-03-31", "2026-04-01", "2026-04-02", "2026-04-03")
COMPACT = "compact_tables"


def many_files(place: Place, *, buckets: int = 2, more: str = "") -> Place:
    """Three nights of files of a few persons, each a group of its own; some persons are shared."""
    place.initialised(buckets=buckets)
    place.write_site(f"buckets = {buckets}\n{site_toml()}{LIMITS}{more}")
    for number in range(FILES):
        place.now = DAY.replace(hour=12) + timedelta(days=number // 3)
        lay(place, "kyokai", number + 1, persons=4, first_person=4 * number)
        if number % 4 == 0:
            lay(place, "kenpo-a", number // 4 + 1, persons=3, first_person=4 * number)
        place.run()
    return place


def files(centre: Centre) -> Counter[tuple[str, str]]:
    """How many files each partition has."""
    return Counter(
        (name, partition_name(file.partition))
        for name in centre.tables
        for file in centre.snapshot(name).files()
    )


def answers(centre: Centre) -> dict[str, object]:
    """What every kind of question is answered."""
    lives = told(centre)
    days = {link: {event.qualification_date for event in life} for link, life in lives.items()}
    asked = pl.DataFrame(
        [(link, day) for link in sorted(lives) for day in sorted(days[link])],
        schema={"link_number": pl.Int64, "day": pl.Date},
        orient="row",
    )
    links = [Link(f"{link:016d}") for link in sorted(lives)[:4]]
    return {
        "insurers": {
            night: sorted(
                row for part in insurers_on(centre, asked, known=night) for row in part.rows()
            )
            for night in (*NIGHTS, None)
        },
        "events": [
            {name: frame.rows() for name, frame in events(centre, link, known=night).items()}
            for link in links
            for night in (NIGHTS[2], None)
        ],
        "spells": [spells(centre, link).rows() for link in links],
        "changes": [changes(centre, NIGHTS[0], night) for night in NIGHTS[1:]],
        "changed": [
            (since, section, row)
            for since in NIGHTS[:3]
            for section, frame in changed_events(centre, since, NIGHTS[3], KYOKAI)
            for row in frame.rows()
        ],
    }
