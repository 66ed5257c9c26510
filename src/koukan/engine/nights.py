"""What was committed when: groups of registrations by the night at whose end they were known."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta

from sqlalchemy import select

from koukan.engine.centre import Centre
from koukan.errors import UsageError
from koukan.flows.registration import FORMATS
from koukan.ledger import schema
from koukan.sites.schedule import JST, NIGHT_BEGINS

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def end_of(night: str) -> datetime:
    """The moment at which a night is over: noon (JST) of the day after the one that names it.

    Raises:
        UsageError: it is no day, or one that this calendar does not end.
    """
    try:
        day = date.fromisoformat(night) if _DAY.fullmatch(night) else None
        following = day and day + timedelta(days=1)
    except (ValueError, OverflowError):
        following = None
    if following is None:
        raise UsageError("history.night")
    return datetime.combine(following, time(NIGHT_BEGINS), JST)


def groups_until(centre: Centre, night: str) -> frozenset[int]:
    """Groups of registrations that were committed when the night was over.

    A reception is closed in the transaction that commits its group, and never again once it was
    accepted; so its time is the group's.

    Raises:
        UsageError: see `end_of`.
    """
    end = end_of(night).astimezone(UTC).isoformat(timespec="seconds")
    table = schema.receptions.c
    accepted = (table.outcome == "accepted") & table.format.in_(FORMATS)
    query = select(table.group_number).where(accepted, table.closed_at < end).distinct()
    return frozenset(row[0] for row in centre.ledger.read(query))
