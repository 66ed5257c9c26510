"""Spells and changes as tables of 80 columns, and changes as one long JSON document."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from koukan.cli import output
from koukan.cli.settings import Settings
from koukan.errors import Exit, UsageError

if TYPE_CHECKING:
    import polars as pl
    from rich.console import RenderableType

    from koukan.formats import Catalogue

SPELLS = {  # heading -> column
    "history.head.insurer": "insurer_code",
    "history.head.member": "member_id",
    "history.head.begun": "qualification_date",
    "history.head.ended": "disqualification_date",
    "history.head.reason": "loss_reason",
    "history.head.reception": "reception",
}
CHANGES = {
    "history.head.begun": "begun",
    "history.head.ended": "ended",
    "history.head.reopened": "reopened",
    "history.head.moved": "moved",
    "history.head.voided": "voided",
}


def require_new(path: Path) -> None:
    """Personal data goes into a file of its own, in a form that its name tells."""
    if path.suffix not in (".csv", ".json"):
        raise UsageError("history.output_form")
    require_place(path)


def require_place(path: Path) -> None:
    """Raises UsageError where a file is there already, or no folder for it."""
    if path.exists() or not path.parent.is_dir():
        raise UsageError("history.output_place", path=path.name)


def titles(catalogue: Catalogue) -> dict[str, str]:
    """Section -> its title."""
    return {
        record.section: record.title
        for form in catalogue.formats.values()
        for record in form.records
    }


def spells(settings: Settings, found: pl.DataFrame) -> RenderableType:
    """A row for each spell, in the order in which they began."""
    headings = [settings.text(key) for key in SPELLS]
    rows = found.select(list(SPELLS.values())).iter_rows()
    return output.table(headings, rows, numbers=[len(SPELLS) - 1])


def changes(
    settings: Settings,
    catalogue: Catalogue,
    found: Sequence[Mapping[str, Any]],
    insurer: str | None,
) -> Iterator[RenderableType]:
    """A row for each insurer; for one alone its lines by section and 処理種別 as well."""
    if not found:
        yield settings.text("cli.nobody")
        return
    headings = ["history.head.insurer", "history.head.persons", "history.head.events", *CHANGES]
    body = [
        [
            item["insurer"],
            item["persons"],
            sum(sum(by.values()) for by in item["events"].values()),
            *(item["spells"][name] for name in CHANGES.values()),
        ]
        for item in found
    ]
    yield output.table(
        [settings.text(key) for key in headings], body, numbers=range(1, len(headings))
    )
    if insurer is not None:
        yield from (one for item in found for one in _sections(settings, catalogue, item["events"]))


def _sections(
    settings: Settings, catalogue: Catalogue, events: Mapping[str, Mapping[str, int]]
) -> Iterator[RenderableType]:
    kinds = catalogue.codes["process_type"]
    named = titles(catalogue)
    headings = [
        settings.text("history.head.section"),
        kinds.title,
        settings.text("history.head.events"),
    ]
    body = [
        [named.get(section, section), kinds.values[code], by[code]]
        for section, by in events.items()
        for code in kinds.values
        if by.get(code)
    ]
    yield ""
    yield output.table(headings, body, numbers=(2,))


def streamed(
    name: str, head: Mapping[str, object], parts: Iterable[tuple[str, pl.DataFrame]]
) -> Iterator[str]:
    """One JSON document whose `events` come frame by frame: they may be more than fits memory.

    Args:
        parts: (section, events), the parts of a section one after another.
    """
    whole = {"schema": f"koukan.{name}.v1", "exit": int(Exit.DONE), **head}
    yield json.dumps(whole, ensure_ascii=False)[:-1] + ', "events": {'
    last = None
    for section, frame in parts:
        rows = frame.write_json()[1:-1]
        if not rows:
            continue
        if section != last:
            yield ("" if last is None else "], ") + f'"{section}": [\n{rows}'
            last = section
        else:
            yield f",\n{rows}"
    yield "}}\n" if last is None else "]}}\n"
