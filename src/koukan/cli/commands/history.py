"""`koukan history` and `koukan changes`; what they show of persons is personal data."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from koukan import durable
from koukan.cli import looks, output, render_history, shape
from koukan.cli.settings import Settings
from koukan.errors import Exit, UsageError

if TYPE_CHECKING:
    import polars as pl

    from koukan.engine.centre import Centre
    from koukan.engine.history import Who
    from koukan.formats import Catalogue
    from koukan.formats.model import Field


SAFE = re.compile(r"[a-z_]{1,40}")  # of a purpose that does not exist, to be repeated
ORIGINS = {"issued": "cli.number_issued", "replaced": "cli.number_replaced"}
DIGITS = re.compile(r"[0-9]{8}")  # a day as a file has it
DAY = click.DateTime(["%Y-%m-%d"])
FORM = "YYYY-MM-DD"


@shape.command("history", site=True, json=True)
@click.argument("insurer", required=False)
@click.argument("member_id", required=False)
@click.option("--link-number", metavar="N")
@click.option("--spells", is_flag=True)
@click.option("--on", "day", type=DAY, metavar=FORM)
@click.option("--known", type=DAY, metavar=FORM)
@click.option("--output", "path", type=click.Path(path_type=Path), metavar="FILE")
@click.option("--number", is_flag=True)
@click.option("--purpose", metavar="NAME")
@looks.options
def history(
    settings: Settings,
    *,
    insurer: str | None,
    member_id: str | None,
    link_number: str | None,
    spells: bool,
    day: datetime | None,
    known: datetime | None,
    path: Path | None,
    number: bool,
    purpose: str | None,
    **signing: Path | None,
) -> int:
    """All events of a person, section by section; or its spells, or those of one day."""
    signed = looks.Signing(**signing)
    if number or purpose or signed.given:
        others = (link_number, spells, day, known, path, settings.json)
        if not number or any(others) or insurer is None or member_id is None:
            raise UsageError("looks.number_alone")
        return _number(settings, insurer, member_id, purpose or "", signed)
    if path is not None:
        render_history.require_new(path)
    with settings.centre() as centre:
        from koukan.engine import history as engine

        who = _who(insurer, member_id, link_number)
        night = _text(known)
        if spells or day is not None:
            told = written(engine.spells(centre, who, on=day and day.date(), known=night))
            head: dict[str, object] = {"on": _text(day), "known": night}
            if path is not None:
                document = {**head, "spells": json.loads(_json(told))}
                _export(settings, centre, who, path, ("history_spells", document, {"spells": told}))
            else:
                _show_spells(settings, told, head)
            return Exit.DONE
        events = engine.events(centre, who, known=night)
        found = {name: written(frame) for name, frame in events.items()}
        sections = {name: json.loads(_json(frame)) for name, frame in found.items()}
        if path is not None:
            _export(settings, centre, who, path, ("history", {"sections": sections}, found))
        elif settings.json:
            output.document("history", {"sections": sections})
        elif any(frame.height for frame in found.values()):
            output.show(*_lines(centre.catalogue, found))
        else:
            output.show(settings.text("cli.nobody"))
    return Exit.DONE


def _number(
    settings: Settings, insurer: str, member_id: str, purpose: str, signing: looks.Signing
) -> int:
    """The 個人番号 of a person, on the terminal and nowhere else: stdout may be a file."""
    with settings.centre() as centre, looks.terminal() as screen:
        from koukan.engine.history import Member
        from koukan.engine.looks import numbers_of, require_member

        who = Member(insurer, member_id)
        require_member(centre, who)
        if purpose not in centre.catalogue.purposes:
            shown = purpose if SAFE.fullmatch(purpose) else "-"
            raise UsageError("looks.purpose", key=shown, known=" ".join(centre.catalogue.purposes))
        subject = {**who._asdict(), "purpose": purpose}
        if not looks.allowed(settings, centre, "number", subject, signing):
            return Exit.DONE
        found = numbers_of(centre, who)
        for one in found:
            origin = settings.text(ORIGINS[one.origin])
            where = {"key": one.my_number, "code": origin, "reception": one.reception}
            screen.write(settings.text("cli.number_line", **where) + "\n")
    output.tell(settings.text("cli.number_shown", count=len(found)))
    return Exit.DONE


@shape.command("changes", site=True, json=True)
@click.option("--since", required=True, type=DAY, metavar=FORM)
@click.option("--until", required=True, type=DAY, metavar=FORM)
@click.option("--insurer", metavar="CODE")
@click.option("--events", is_flag=True)
def changes(
    settings: Settings, *, since: datetime, until: datetime, insurer: str | None, events: bool
) -> int:
    """What changed between the ends of two nights."""
    if events and insurer is None:
        raise UsageError("history.whose_events")
    span = (since.strftime("%Y-%m-%d"), until.strftime("%Y-%m-%d"))
    with settings.centre() as centre:
        from koukan.engine import changes as engine

        found = engine.changes(centre, *span, insurer=insurer)
        head = {"since": span[0], "until": span[1], "insurers": found}
        if not events or insurer is None:
            if settings.json:
                output.document("changes", head)
            else:
                output.show(*render_history.changes(settings, centre.catalogue, found, insurer))
            return Exit.DONE
        frames = engine.changed_events(centre, *span, insurer)
        told = ((section, written(frame)) for section, frame in frames)
        if settings.json:
            for piece in render_history.streamed("changes", head, told):
                output.raw(piece)
            return Exit.DONE
        output.show(*render_history.changes(settings, centre.catalogue, found, insurer))
        for section, frame in told:
            output.show(*_lines(centre.catalogue, {section: frame}))
    return Exit.DONE


def _who(insurer: str | None, member_id: str | None, link_number: str | None) -> Who:
    """Either insurer and member, or the link number."""
    from koukan.engine.history import Link, Member

    if link_number is not None and insurer is None and member_id is None:
        return Link(link_number)
    if link_number is None and insurer is not None and member_id is not None:
        return Member(insurer, member_id)
    raise UsageError("history.who")


def _text(day: datetime | None) -> str | None:
    return None if day is None else day.strftime("%Y-%m-%d")


def _export(
    settings: Settings,
    centre: Centre,
    who: Who,
    path: Path,
    told: tuple[str, Mapping[str, object], Mapping[str, pl.DataFrame]],
) -> None:
    """Write what was found into a file; that it leaves is logged.

    Args:
        told: a document's name and content, and the same as frames.
    """
    from koukan.engine.history import exporting
    from koukan.reports.history import as_csv

    name, document, frames = told
    rows = sum(frame.height for frame in frames.values())
    if path.suffix == ".json":
        content = output.document_text(name, document).encode()
    else:
        labels = {term.name: term.label for term in centre.catalogue.terms}
        titled = render_history.titles(centre.catalogue)
        titled |= {"spells": settings.text("history.head.spell")}
        sections = {titled.get(section, section): frame for section, frame in frames.items()}
        content = as_csv(sections, labels, settings.text("history.head.section"))
    with exporting(centre, who, rows):
        durable.write(path, content)
    output.tell(settings.text("cli.history_exported", path=path.name, count=rows))


def _show_spells(settings: Settings, found: pl.DataFrame, head: Mapping[str, object]) -> None:
    if settings.json:
        spells = json.loads(_json(found))
        output.document("history_spells", {**head, "spells": spells})
    elif found.height:
        output.show(render_history.spells(settings, found))
    else:
        output.show(settings.text("cli.nobody"))


def written(frame: pl.DataFrame) -> pl.DataFrame:
    """Numbers as they are written: 被保険者枝番 has ten digits."""
    import polars as pl

    return frame.with_columns(pl.col("member_id").cast(pl.String).str.zfill(10))


def _json(frame: pl.DataFrame) -> str:
    return frame.write_json()


def _lines(catalogue: Catalogue, found: Mapping[str, pl.DataFrame]) -> Iterator[str]:
    """`label: value` of what is not empty, one event after another."""
    from koukan.flows.registration import FORMAT

    labels = {term.name: term.label for term in catalogue.terms}
    form = catalogue.formats[FORMAT]
    for section, frame in found.items():
        record = form.section(section)
        fields = {item.name: item for item in form.fields(record)}
        for place, event in enumerate(frame.iter_rows(named=True), 1):
            yield f"■ {record.title} {place}/{frame.height}"
            for name, value in event.items():
                if value is not None and value != "":
                    yield f"  {labels.get(name, name)}: {shown(value, fields.get(name), catalogue)}"


def shown(value: object, item: Field | None, catalogue: Catalogue) -> str:
    """A value for people: days as days, and what a code means where its list says so.

    Days that are not wholly known have zeros, and stand as text: 1975-00-00.
    """
    text = str(value)
    if item is None:
        return text
    if item.codes is not None:
        return f"{text} {catalogue.codes[item.codes].values.get(text, '')}".rstrip()
    if item.type == "date" and DIGITS.fullmatch(text):
        return f"{text[:4]}-{text[4:6]}-{text[6:]}"
    return text


COMMANDS = {"history": history, "changes": changes}
