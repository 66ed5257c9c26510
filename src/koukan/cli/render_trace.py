"""One line and everything that it reached, as text of 80 columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from koukan.cli import render_identity
from koukan.cli.render import format_name, meaning
from koukan.cli.settings import Settings

if TYPE_CHECKING:
    from rich.console import RenderableType

    from koukan.formats import Catalogue

PLACES = {
    "control": "reports.trace.place.control",
    "data": "reports.trace.place.data",
    "end": "reports.trace.place.end",
    "uncounted": "reports.trace.place.uncounted",
}
CLASSES = {1: "reports.trace.accepted", 2: "reports.trace.rejected", 3: "reports.trace.duplicate"}
Page = Mapping[str, Any]


def trace(settings: Settings, catalogue: Catalogue, found: Page) -> Iterator[RenderableType]:
    """From the file to the last place."""
    place = settings.text(PLACES[found["place"]])
    yield f"{settings.text('reports.reception')}: {found['reception']}"
    yield f"{settings.text('reports.trace.line')}: {found['line']}  {place}"
    yield f"{settings.text('reports.file')}: {found['file']}"
    yield f"{settings.text('reports.sender')}: {found['sender']} / {found['door']}"
    yield f"{settings.text('reports.format')}: {format_name(catalogue, found['format'])}"
    yield f"{settings.text('reports.received_at')}: {found['received_at']}"
    outcome = settings.text(f"reports.outcome.{found['outcome']}")
    yield f"{settings.text('reports.outcome')}: {outcome}"
    if found["code"]:
        yield f"{settings.text('reports.code')}: {found['code']} {found['why']['title']}"
        yield f"{settings.text('reports.why')}: {found['why']['text']}"
    if found["first"]:
        yield f"{settings.text('reports.first')}: {found['first']}"
    yield from _part(settings, "reports.trace.original", _original(settings, found["original"]))
    if found["group"]:
        yield from _part(settings, "reports.trace.group", iter([str(found["group"]["number"])]))
    yield from _part(settings, "reports.trace.result", _result(settings, catalogue, found))
    yield from _part(settings, "reports.trace.tables", _tables(settings, found))
    yield from _part(settings, "reports.laid_out", _laid_out(settings, found))
    if found["identity"]:
        asked = render_identity.asked_by(settings, found["identity"])
        yield from _part(settings, "reports.identity", asked)


def _part(
    settings: Settings, key: str, content: Iterator[RenderableType]
) -> Iterator[RenderableType]:
    yield ""
    yield f"■ {settings.text(key)}"
    yield from content


def _original(settings: Settings, found: Page) -> Iterator[str]:
    yield found["path"]
    yield f"  SHA-256 {found['sha256']}"
    if found["kept"]:
        yield f"  {settings.text('reports.trace.kept')}"
    elif found["erased_at"]:
        yield f"  {settings.text('reports.trace.erased_at', at=found['erased_at'])}"
    else:
        yield f"  {settings.text('reports.trace.missing')}"


def _result(settings: Settings, catalogue: Catalogue, found: Page) -> Iterator[str]:
    """What the sender was told of the line, or why there is nothing about it alone."""
    result = found["result"]
    if result is None:
        erased = not found["original"]["kept"] and found["outcome"] == "accepted"
        yield settings.text("reports.trace.result_erased" if erased else "reports.trace.no_result")
        return
    yield settings.text(CLASSES[result["class"]])
    for item in result["findings"]:
        told = meaning(settings, catalogue.reasons[item["code"]])
        yield f"  {item['code']} {told['title']}: {item['field']}"
    yield result["path"]


def _tables(settings: Settings, found: Page) -> Iterator[str]:
    if found["gone_at"]:
        yield settings.text("reports.trace.gone", at=found["gone_at"])
    elif found["gone"]:
        yield settings.text("reports.trace.lost")
    elif not found["tables"]:
        yield settings.text("reports.trace.no_rows")
    for row in found["tables"]:
        if not row["readable"]:
            yield settings.text("reports.trace.closed", table=row["table"])
            continue
        yield row["file"]
        yield f"  SHA-256 {row['sha256']}"
        key = "reports.trace.of_line" if row["of"] == "line" else "reports.trace.of_person"
        yield f"  {settings.text(key, version=row['version'], count=row['rows'])}"
        if row["merged"]:
            first, last = row["groups"]
            yield f"  {settings.text('reports.trace.merged', since=first, total=last)}"


def _laid_out(settings: Settings, found: Page) -> Iterator[str]:
    if not found["laid_out"]:
        yield settings.text("reports.none")
    for item in found["laid_out"]:
        yield f"{settings.text('reports.kind.' + item['kind'].split(':')[0])}: {item['file']}"
        key = "reports.trace.waiting" if item["waiting"] else "reports.trace.collected"
        yield f"  {settings.text(key)}"
