"""What cannot be taken out of an inbox, as text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from koukan.cli.settings import Settings


def aside(settings: Settings, item: Mapping[str, Any]) -> Iterator[str]:
    """A line for each reason, with how many; then what has lain for too long, and what is left."""
    sender = item["sender"]
    for reason, count in item["aside"].items():
        yield settings.text(f"reports.inbox.{reason}", sender=sender, count=count)
    for about in ("stuck", "over"):
        if item[about]:
            yield settings.text(f"reports.inbox.{about}", sender=sender, count=item[about])
