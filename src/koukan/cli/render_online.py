"""Pushes to オンライン資格確認等システム as text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from koukan.cli.settings import Settings
from koukan.cli.text import age

Page = Mapping[str, Any]


def needs(settings: Settings, found: Page) -> Iterator[str]:
    """What of the pushes needs a person."""
    if found["overdue"]:
        yield settings.text("reports.online_overdue", count=found["overdue"])
    if found["refused"]:
        yield settings.text("reports.online_refused", count=f"{found['refused']:,}")


def waiting(settings: Settings, found: Page) -> Iterator[str]:
    """What waits for the partner."""
    if found["waiting"]:
        where = {"known": f"{found['unanswered']:,}", "age": age(settings, found["age_seconds"])}
        yield settings.text("reports.online_waiting", count=found["waiting"], **where)


def line(settings: Settings, push: Page) -> str:
    """One push."""
    kind, state = (
        settings.text(f"online.{kind}.{name}")
        for kind, name in (("kind", push["kind"]), ("state", push["shown"]))
    )
    names = ("persons", "deleted", "accepted", "refused", "unanswered")
    counts = "".join(f"{push[name]:>9}" for name in names)
    return f"{push['sequence']:06d}  {push['day']}{counts}  {kind}  {state}"


def reconciled(settings: Settings, found: Page, *, queued: bool) -> Iterator[str]:
    """What replaying every push came to."""
    held = {"key": f"{found['since']:06d}", "count": f"{found['held']:,}"}
    yield settings.text("reports.online.held", **held)
    wrong = [name for name in ("missing", "surplus", "different") if found[name]]
    for name in (*wrong, *(one for one in ("pending", "refused", "unanswered") if found[one])):
        yield settings.text(f"reports.online.{name}", count=f"{found[name]:,}")
    if queued:
        yield settings.text("reports.online.queued")
    elif wrong:
        yield settings.text("reports.online.repair")
    else:
        yield settings.text("reports.online.same")
