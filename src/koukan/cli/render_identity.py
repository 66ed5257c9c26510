"""本人確認 as text: what waits for an answer, for a partner, for its insurer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from koukan.cli.settings import Settings
from koukan.cli.text import age

if TYPE_CHECKING:
    from rich.console import RenderableType

Page = Mapping[str, Any]
COUNTED = ("answered", "ambiguous", "rows", "given")
KEY_DIGITS = 16  # of a key's SHA-256: enough to compare by eye


def totals(settings: Settings, found: Page) -> Iterator[str]:
    """Questions and packages, a line each; nothing where nothing was ever asked."""
    if found["questions"]["asked"]:
        yield settings.text("reports.identity.questions", **_counts(found["questions"]))
        yield settings.text("reports.identity.packages", **_counts(found["packages"]))


def undelivered(settings: Settings, found: Page) -> Iterator[str]:
    """Packages that we cannot lay out, and why."""
    for item in found["undelivered"]:
        reason = settings.text(f"reports.identity.reason.{item['reason']}")
        where = {"file": item["package"], "sender": item["sender"], "reason": reason}
        waits = age(settings, item["age_seconds"])
        yield settings.text("reports.identity.undelivered", **where, age=waits)
    more = found["undelivered_total"] - len(found["undelivered"])
    if more:
        yield settings.text("reports.identity.undelivered_more", count=more)


def withheld(settings: Settings, found: Page) -> Iterator[str]:
    """Answers that wait for a person's decision."""
    kept = found["withheld"]
    if kept["rows"]:
        counts = {"count": f"{kept['rows']:,}", "total": kept["files"]}
        waits = age(settings, kept["age_seconds"])
        yield settings.text("reports.identity.withheld", **counts, age=waits)


def uncollected_long(settings: Settings, found: Page) -> Iterator[str]:
    """Insurers to call: their packages have lain there for longer than the site allows."""
    for item in found["uncollected_long"]:
        where = {"sender": item["sender"], "count": item["count"]}
        waits = age(settings, item["age_seconds"])
        yield settings.text("reports.identity.uncollected_long", **where, age=waits)


def left_as_laid(settings: Settings, found: Page) -> Iterator[str]:
    """Packages that lie there for a key that nobody has registered any more, say."""
    for item in found["left_as_laid"]:
        reason = settings.text(f"reports.identity.reason.{item['reason']}")
        where = {"sender": item["sender"], "count": item["count"], "reason": reason}
        waits = age(settings, item["age_seconds"])
        yield settings.text("reports.identity.left_as_laid", **where, age=waits)


def waiting(settings: Settings, found: Page) -> Iterator[str]:
    """What somebody else must do next, with its age."""
    for item in found["requests"]:
        key = f"reports.identity.request.{item['state']}"
        where = {"file": item["file"], "sender": item["partner"], "count": f"{item['rows']:,}"}
        yield settings.text(key, **where, age=age(settings, item["age_seconds"]))
    if found["open"]:
        oldest = age(settings, found["open"][0]["age_seconds"])
        left = f"{found['questions']['unanswered'] - found['questions']['expired']:,}"
        yield settings.text(
            "reports.identity.open", count=left, total=found["open_total"], age=oldest
        )
    if found["uncollected"]:
        oldest = age(settings, found["uncollected"][0]["age_seconds"])
        yield settings.text(
            "reports.identity.uncollected", count=found["uncollected_total"], age=oldest
        )


def asked_by(settings: Settings, found: Page) -> Iterator[RenderableType]:
    """What became of one file's questions."""
    names = ("asked", "answered", "ambiguous", "unanswered", "expired")
    counts = _counts({name: found[name] for name in names})
    yield settings.text("reports.identity.questions", **counts)
    if found["withheld"]:
        yield settings.text("reports.identity.kept_back", count=found["withheld"])
    for item in found["requests"]:
        state = settings.text(f"reports.identity.request_state.{item['state']}")
        yield f"{settings.text('reports.identity.request')}: {item['file']} {state}"
    yield from packages(settings, found["packages"])


def packages(
    settings: Settings, found: Sequence[Page], *, kinds: bool = False
) -> Iterator[RenderableType]:
    """Two lines for each package: its name, which fills one, and what became of it.

    A third for one that nobody has collected: how long it lies there, and for which key.

    Args:
        kinds: of which kind each is, too.
    """
    from rich.text import Text

    for item in found:
        yield Text(item["package"], style="bold")
        told = {
            "kind": settings.text(f"reports.identity.kind.{item['kind']}") if kinds else None,
            "insurer": item["insurer"],
            "state": settings.text(f"reports.identity.state.{item['state']}"),
            **{name: f"{item[name]:,}" for name in COUNTED if name in item},
        }
        last = "closed_at" if item["closed_at"] else "built_at"
        told[last] = item[last]
        yield "  " + "  ".join(
            f"{settings.text(f'reports.identity.{name}')} {value}"
            for name, value in told.items()
            if value is not None
        )
        if {"key", "age_seconds"} <= item.keys():
            waits = age(settings, item["age_seconds"])
            known = (item["key_sha256"] or "-")[:KEY_DIGITS]
            yield "  " + settings.text(f"reports.identity.key.{item['key']}", age=waits, key=known)


def _counts(found: Page) -> dict[str, str]:
    return {name: f"{count:,}" for name, count in found.items()}
