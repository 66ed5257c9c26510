"""資格確認実績ログ: what came, what went to how many offices, what waits. Counts, never a line."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

from koukan.errors import Exit
from koukan.ledger import usage as known
from koukan.ledger.own_packages import Package
from koukan.reports.source import Source, age, local

PROVIDES = "provide"  # the step of the job that lays packages out


def usage(source: Source) -> dict[str, Any]:
    """Every log that was split, the newest first, and what waits for a person.

    Returns:
        {"logs": [{"reception", "version", "superseded", "rows", "packaged", "held", "rejected",
          "packages": {state: number}}], "held": as `held` has them,
         "undelivered", "uncollected_long"}
    """
    packages: dict[int, list[Package]] = {}
    for package in known.all_packages(source.ledger):
        packages.setdefault(package.reception, []).append(package)
    waiting: Counter[int] = Counter()
    for item in known.all_held(source.ledger, states=known.WAITING):
        waiting[item.reception] += item.rows
    logs = []
    for log in reversed(known.all_logs(source.ledger)):
        own = packages.get(log.reception, [])
        counts = source.ledger.counts(log.reception)
        logs.append(
            {
                "reception": log.reception,
                "version": log.version,
                "superseded": log.superseded,
                "rows": log.rows,
                "packaged": sum(one.rows for one in own),
                "held": waiting[log.reception],
                "rejected": sum(one.rejected + one.duplicate for one in counts),
                "packages": dict(sorted(Counter(one.state for one in own).items())),
            }
        )
    return {"logs": logs, **needs(source)}


def held(source: Source) -> list[dict[str, Any]]:
    """Lines that no office is known for, by log, the oldest first."""
    kept = timedelta(days=source.site.usage.kept_days)
    return [
        {
            "reception": item.reception,
            "rows": item.rows,
            "payers": item.payers,
            "state": item.state,
            "since": local(item.since),
            "age_seconds": age(source, item.since),
            "until": local((datetime.fromisoformat(item.since) + kept).isoformat()),
        }
        for item in known.all_held(source.ledger, states=known.WAITING)
    ]


def needs(source: Source) -> dict[str, Any]:
    """What a person has to look at."""
    hindrance = source.site.hindrances()
    built = known.all_packages(source.ledger, states=["built"])
    return {
        "held": held(source),
        "undelivered": sum(hindrance(one.insurer, one.sender) is not None for one in built),
        "uncollected_long": sum(lies_long(source, one) for one in laid_out(source)),
    }


def laid_out(source: Source) -> list[Package]:
    return known.all_packages(source.ledger, states=["laid_out"])


def lies_long(source: Source, item: Package) -> bool:
    """Whether nobody has collected it for longer than the site allows."""
    limit = timedelta(days=source.site.usage.uncollected_days)
    return datetime.fromisoformat(item.built_at) + limit < source.clock()


def standing_usage(source: Source) -> Exit:
    """The exit code that held lines and packages at rest call for."""
    if any(lies_long(source, item) for item in laid_out(source)):
        return Exit.OVERDUE
    if known.all_held(source.ledger, states=["held"]):
        return Exit.HELD
    return Exit.HELD if known.all_packages(source.ledger, states=["built"]) else Exit.DONE
