"""Approvals as text: what waits for persons, whose signatures it has, what uses it then."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from koukan import words
from koukan.cli.settings import Settings
from koukan.cli.text import age, packed

Page = Mapping[str, Any]


def approvals(settings: Settings, found: Sequence[Page]) -> Iterator[str]:
    """A few lines for each: what, by when, of which file, and the signatures that do not count."""
    for item in found:
        yield from packed(_head(settings, item))
        yield from packed(_about(settings, item), "  ")
        for digest in item["hashes"].values():
            yield f"  SHA-256 {digest}"
        for one in item["signatures"]:
            if one["reason"]:
                yield f"  {one['file']}: {refusal(settings, item['approval'], one)}"


def _head(settings: Settings, item: Page) -> Iterator[str]:
    yield settings.text("approvals.line", approval=item["approval"])
    yield settings.text(f"approvals.operation.{item['operation']}")
    who = [one["person"] for one in item["signatures"] if not one["reason"]]
    signed = " ".join([f"{item['given']}/{item['needed']}", *who])
    yield f"{settings.text('reports.signatures')} {signed}"
    yield f"{settings.text('reports.expires')} {item['expires_at']}"
    yield f"{settings.text('reports.age')} {age(settings, item['age_seconds'])}"


def _about(settings: Settings, item: Page) -> Iterator[str]:
    """The file and what it holds; a parameter without a label of its own goes by its name."""
    kind, number = item["subject"]["kind"], item["subject"]["number"]
    subject = f"{settings.text(f'approvals.subject.{kind}')} {number}"
    yield subject if item["file"] is None else f"{subject}: {item['file']}"
    for name, value in item["parameters"].items():
        if value == item["file"]:
            continue
        key = f"approvals.parameter.{name}"
        label = settings.text(key) if key in words.catalogue() else name
        yield f"{label} {value:,}" if isinstance(value, int) else f"{label} {value}"


def refusal(settings: Settings, approval: int, signature: Page) -> str:
    """Why a signature does not count."""
    who = signature["person"] or "?"
    return settings.text(signature["reason"], approval=approval, actor=who)


def used(settings: Settings, run: Mapping[str, Any] | None) -> str:
    """What happens next with an approval that enough persons gave, and when."""
    if run is None:
        return settings.text("cli.used_never")
    return settings.text(
        "cli.used_now" if run["due"] else "cli.used_next", job=run["job"], at=run["at"]
    )
