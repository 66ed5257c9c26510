"""A small centre with three nights behind it: two insurers register, one of them ends some."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta

import polars as pl
from centres import DAY, Place, lay
from lives import Event

from koukan.engine.centre import Centre, format_folders
from koukan.flows.registration import HISTORY
from koukan.formats import require_catalogue
from koukan.samples.population import Population
from koukan.samples.registration import LOSS, registration_frames
from koukan.samples.scenario import INSURERS, SCENARIO
from koukan.samples.writing import write_file

KYOKAI, KENPO = (INSURERS[name][0].code for name in ("kyokai", "kenpo-a"))
NIGHTS = ("2026-04-01", "2026-04-02", "2026-04-03")
FIRST, SECOND, THIRD = (
    DAY.replace(hour=12) + timedelta(days=number) for number in range(len(NIGHTS))
)
REGISTERED, ENDED = 30, 20  # of the first insurer's persons
SHARED = range(10, 30)  # registered by both; the second has ten more


def three_nights(place: Place) -> Place:
    """The first night 30 persons of 協会, the second 30 of 健保, the third 20 of 協会 leave it."""
    place.now = FIRST
    lay(place, "kyokai", 1, persons=REGISTERED)
    place.run()
    place.now = SECOND
    lay(place, "kenpo-a", 1, persons=REGISTERED, first_person=SHARED.start)
    place.run()
    place.now = THIRD
    lay_losses(place, "kyokai", 2, member_ids(place, "kyokai")[:ENDED], on=place.now)
    place.run()
    return place


def lay_losses(
    place: Place, sender: str, sequence: int, members: Sequence[str], *, on: datetime
) -> None:
    """A file that ends the first persons of `lay`."""
    form = require_catalogue(*format_folders(None)).formats[SCENARIO.sender(sender).format]
    frames = registration_frames(
        form,
        Population(7).people(0, len(members)),
        insurer=INSURERS[sender][0],
        as_of=on.date(),
        process_type=LOSS,
        member_ids=pl.Series(members),
    )
    write_file(
        place.inbox(sender),
        form,
        frames,
        sender=sender,
        sequence=sequence,
        creation_date=on.date(),
    )


def member_ids(place: Place, sender: str) -> list[str]:
    """被保険者枝番 of the sender's accepted persons, in file order, as its result files say."""
    found = []
    for path in sorted(place.outbox(sender).glob("RR_*")):
        for line in path.read_bytes().decode("cp932").splitlines():
            fields = line.split(",")
            if fields[0] == "21" and fields[4] and fields[4] not in found:
                found.append(fields[4])
    return found


def told(centre: Centre, until: int = 10**6) -> dict[int, list[Event]]:
    """Every person's events of 加入者資格情報 up to a group, read from the table row by row."""
    snapshot = centre.snapshot(HISTORY)
    rows = snapshot.read(snapshot.files(section="qualification"), section="qualification")
    found: dict[int, list[Event]] = {}
    for row in rows.select(Event._fields).iter_rows():
        event = Event(*row)
        if event.group_number <= until:
            found.setdefault(event.link_number, []).append(event)
    return found


def telling_days(events: Sequence[Event]) -> list[date]:
    """Days around everything that the events say."""
    days = {event.qualification_date for event in events}
    days |= {event.disqualification_date for event in events if event.disqualification_date}
    return sorted(day + timedelta(days=step) for day in days for step in (-1, 0, 1))
