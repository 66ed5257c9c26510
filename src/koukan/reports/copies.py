"""Packages of insurers' own copies (副本) that wait for a person. Counts, never a copy."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from koukan.errors import Exit
from koukan.ledger import copies as known
from koukan.ledger.own_packages import Package
from koukan.reports.source import Source

RETURNS = "return_copies"  # the step of the job that lays packages out


def needs(source: Source) -> dict[str, Any]:
    """What a person has to look at."""
    hindrance = source.site.hindrances()
    built = known.all_packages(source.ledger, states=["built"])
    return {
        "undelivered": sum(hindrance(one.insurer, one.sender) is not None for one in built),
        "uncollected_long": sum(
            _lies_long(source, one)
            for one in known.all_packages(source.ledger, states=["laid_out"])
        ),
    }


def _lies_long(source: Source, item: Package) -> bool:
    """Whether nobody has collected it for longer than the site allows."""
    limit = timedelta(days=source.site.copies.uncollected_days)
    return datetime.fromisoformat(item.built_at) + limit < source.clock()


def standing_copies(source: Source) -> Exit:
    """The exit code that packages at rest call for."""
    found = needs(source)
    if found["uncollected_long"]:
        return Exit.OVERDUE
    return Exit.HELD if found["undelivered"] else Exit.DONE
