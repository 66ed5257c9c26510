"""Packages as operators see them: what waits for its insurer, what for us, and under which key."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from koukan.keys.package import key_hash
from koukan.ledger import identity as asked
from koukan.ledger import laid_packages
from koukan.ledger.identity import Package
from koukan.reports.source import Source, age, local

SHOWN = 20  # files listed one by one; how many more there are is said
PLACE_TAKEN = "place_taken"  # something that is no file has the package's name in the outbox


def waiting(source: Source, packages: Sequence[Package]) -> dict[str, Any]:
    """Which packages wait: for their insurer, or for us; fields of `identity`."""
    hindrance = source.site.hindrances()
    built = [item for item in packages if item.state == "built"]
    lying = [item for item in packages if item.state == "laid_out"]
    return {
        "undelivered_total": len(built),
        "undelivered": [
            {**_lying(source, item), "reason": hindrance(item.insurer, item.sender) or PLACE_TAKEN}
            for item in built[:SHOWN]
        ],
        "uncollected_total": len(lying),
        "uncollected": [_lying(source, item) for item in lying[:SHOWN]],
        "uncollected_long": _uncollected_long(source, lying),
        "left_as_laid": left_as_laid(source, lying),
    }


def _uncollected_long(source: Source, lying: Sequence[Package]) -> list[dict[str, Any]]:
    """Senders with packages that have lain there for too long."""
    found: dict[str, list[Package]] = {}
    for item in lying:
        if lies_long(source, item):
            found.setdefault(item.sender, []).append(item)
    return [_of(source, sender, items) for sender, items in sorted(found.items())]


def left_as_laid(source: Source, lying: Sequence[Package]) -> list[dict[str, Any]]:
    """Packages in outboxes that would not be encrypted anew for their insurer's key, and why."""
    hindrance = source.site.hindrances()
    found: dict[tuple[str, str], list[Package]] = {}
    for item in lying:
        reason = hindrance(item.insurer, item.sender)
        if reason is not None:
            found.setdefault((item.sender, reason), []).append(item)
    return [
        {**_of(source, sender, items), "reason": reason}
        for (sender, reason), items in sorted(found.items())
    ]


def _of(source: Source, sender: str, items: Sequence[Package]) -> dict[str, Any]:
    oldest = min(item.built_at for item in items)
    return {"sender": sender, "count": len(items), "age_seconds": age(source, oldest)}


def lies_long(source: Source, item: Package) -> bool:
    """Whether nobody has collected a package for longer than the site allows."""
    limit = timedelta(days=source.site.identity.uncollected_days)
    return datetime.fromisoformat(item.built_at) + limit < source.clock()


def packages(source: Source, *, insurer: str | None = None) -> list[dict[str, Any]]:
    """Every package of 本人確認 that was built, oldest question file first; or one insurer's.

    Of one that nobody has collected also its age, the SHA-256 of the key that it is encrypted to
    (see `key_hash`), and whether that is the one in site.toml: current, former, or none is there.
    """
    laid = laid_packages.laid(source.ledger, laid_packages.ANSWERS)
    keyed = {(item.sender, item.name): item.key_sha256 for item in laid}
    found = []
    for item in asked.packages(source.ledger):
        if insurer is not None and item.insurer != insurer:
            continue
        page = told(item)
        if item.state == "laid_out":
            page["age_seconds"] = age(source, item.built_at)
            page["key_sha256"] = keyed.get((item.sender, item.name))
            page["key"] = key_of(source, item.insurer, page["key_sha256"])
        found.append(page)
    return found


def key_of(source: Source, insurer: str, key_sha256: str | None) -> str:
    """How the key of a package stands to the one that its insurer has registered now."""
    now = {item.code: item.package_key for item in source.site.insurers}.get(insurer)
    if not now:
        return "none"
    return "current" if key_sha256 == key_hash(now) else "former"


def told(item: Package) -> dict[str, Any]:
    """One as it was built, and what became of it."""
    return {
        "package": item.name,
        "insurer": item.insurer,
        "sender": item.sender,
        "reception": item.reception,
        "state": "erased" if item.erased and item.state == "delivered" else item.state,
        "how": item.how,
        "answered": item.answered,
        "ambiguous": item.ambiguous,
        "archive_sha256": item.archive_sha256,
        "built_at": local(item.built_at),
        "closed_at": None if item.closed_at is None else local(item.closed_at),
    }


def _lying(source: Source, item: Package) -> dict[str, Any]:
    return {
        "package": item.name,
        "insurer": item.insurer,
        "sender": item.sender,
        "answered": item.answered,
        "ambiguous": item.ambiguous,
        "built_at": local(item.built_at),
        "age_seconds": age(source, item.built_at),
    }
