"""The demo's night after its run, and how tests look at it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from koukan.engine.centre import Centre
from koukan.errors import Exit
from koukan.samples.expected import Counts

Open = Callable[..., Centre]


@dataclass(frozen=True)
class Done:
    """The demo's night after its run."""

    root: Path
    digest: str
    exit: Exit


def found_counts(centre: Centre, number: int) -> dict[str, Counts]:
    return {
        item.insurer: Counts(item.received, item.accepted, item.rejected, item.duplicate, item.held)
        for item in centre.ledger.counts(number)
    }


def receptions_of(centre: Centre, sender: str, name: str) -> list[int]:
    return [
        item.number for item in centre.ledger.receptions(sender=sender) if item.file_name == name
    ]
