"""What lies in inboxes: what the next run takes, and what it cannot take."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any

from koukan.exchange import Inbox
from koukan.exchange.folder import within
from koukan.reports.source import Source
from koukan.sites import Sender

NANOSECONDS = 10**9


def inboxes(source: Source) -> list[dict[str, Any]]:
    """Senders in whose inboxes something lies; no name is shown before it was checked.

    Returns:
        for each {"sender", "files", "partial": all that cannot be taken, "unreadable": inboxes,
        "aside": its number by reason, "stuck": how much of it for longer than the site's
        `aside_hours`, "over": files beyond what a run takes from one sender}.
    """
    found = [_of_sender(source, sender) for sender in source.site.senders]
    return [item for item in found if item["files"] or item["partial"] or item["unreadable"]]


def _of_sender(source: Source, sender: Sender) -> dict[str, Any]:
    looks = [Inbox(_folder(source, sender, door), sender.uid).look() for door in sender.doors]
    limits = source.site.limits
    sizes = [arrival.size for seen in looks for arrival in seen.arrivals]
    aside = [item for seen in looks for item in seen.aside]
    before = (source.clock().timestamp() - limits.aside_hours * 3600) * NANOSECONDS
    return {
        "sender": sender.name,
        "files": len(sizes),
        "partial": len(aside),
        "unreadable": sum(not seen.readable for seen in looks),
        "aside": dict(sorted(Counter(reason for reason, _ in aside).items())),
        "stuck": sum(changed < before for _, changed in aside),
        "over": len(sizes) - within(sizes, limits.inbox_files, limits.inbox_bytes),
    }


def closed_inboxes(source: Source) -> int:
    """How many inboxes cannot be looked into; a person has to open them."""
    return sum(
        folder.is_dir() and not os.access(folder, os.R_OK | os.X_OK, effective_ids=True)
        for sender in source.site.senders
        for folder in (_folder(source, sender, door) for door in sender.doors)
    )


def _folder(source: Source, sender: Sender, door: str) -> Path:
    return source.root / "exchange" / sender.name / "inbox" / door
