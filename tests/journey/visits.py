"""Visits to a partner's host that are killed: what is laid there before, and what came of them.

Imported by `fork_server.py`: runs no query when imported.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import partner_host
from journey.acts import GO
from journey.outside import PARTNER

from koukan.engine.centre import Centre
from koukan.engine.run import run_job
from koukan.exchange.marker import DONE
from koukan.ledger.hosts import handovers_of, host_faults_of

AGAIN = ".again"


def reset(schedule: dict[str, Any]) -> None:
    """The host has what the schedule says for us, and took nothing yet."""
    for_us, from_us, taken = _folders(schedule)
    for folder in (for_us, from_us, taken):
        folder.mkdir(parents=True, exist_ok=True)
        for path in folder.iterdir():
            path.unlink()
    for name, content in schedule["for_us"].items():
        path = for_us / name
        path.write_text(content)
        os.chown(path, partner_host.UID, partner_host.UID)


def _folders(schedule: dict[str, Any]) -> tuple[Path, Path, Path]:
    folder = Path(schedule["host"])
    there = folder / "exchange" / PARTNER
    return there / "inbox" / "juki_net", there / "outbox", folder / "taken"


def play(centre: Centre, schedule: dict[str, Any]) -> list[int]:
    """A run, before and after which the partner takes what is finished."""
    take(schedule)
    done = run_job(centre, GO)
    take(schedule)
    return [int(done.exit)]


def take(schedule: dict[str, Any]) -> None:
    """What has its marker, once and for all; what has it a second time shows as such."""
    _, from_us, taken = _folders(schedule)
    for marker in sorted(from_us.glob(f"*{DONE}")):
        path = marker.with_suffix("")
        target = taken / path.name
        path.rename(target.with_name(target.name + AGAIN) if target.exists() else target)
        marker.unlink()


def told(centre: Centre, schedule: dict[str, Any]) -> dict[str, object]:
    """What lies where, and what the ledger knows."""
    here = centre.root / "exchange" / PARTNER
    folders = {
        "here": here / "inbox" / "juki_net",
        "outbox": here / "outbox",
        "collected": here / "taken",
        **dict(zip(("for us", "from us", "taken"), _folders(schedule), strict=True)),
    }
    return {
        **{
            name: {
                path.name: hashlib.sha256(path.read_bytes()).hexdigest()
                for path in sorted(folder.iterdir())
            }
            for name, folder in folders.items()
        },
        "handed": [[item.name, item.sha256, item.state] for item in handovers_of(centre.ledger)],
        "faults": [[item.step, item.key] for item in host_faults_of(centre.ledger)],
    }
