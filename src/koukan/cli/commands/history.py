"""`koukan history`: what is registered of one person; its output is personal data."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import click

from koukan.cli import output, shape
from koukan.cli.settings import Settings
from koukan.errors import Exit

if TYPE_CHECKING:
    import polars as pl

    from koukan.formats import Catalogue
    from koukan.formats.model import Field


DAY = re.compile(r"[0-9]{8}")  # as a file has it


@shape.command("history", site=True, json=True)
@click.argument("insurer")
@click.argument("member_id")
def history(settings: Settings, insurer: str, member_id: str) -> int:
    """All events of a person, section by section."""
    with settings.centre() as centre:
        from koukan.engine.history import look_up

        found = {
            name: written(frame) for name, frame in look_up(centre, insurer, member_id).items()
        }
        if settings.json:
            sections = {name: json.loads(_json(frame)) for name, frame in found.items()}
            output.document("history", {"sections": sections})
        elif any(frame.height for frame in found.values()):
            output.show(*_lines(centre.catalogue, found))
        else:
            output.show(settings.text("cli.nobody"))
    return Exit.DONE


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
                    yield f"  {labels.get(name, name)}: {told(value, fields.get(name), catalogue)}"


def told(value: object, item: Field | None, catalogue: Catalogue) -> str:
    """A value for people: days as days, and what a code means where its list says so.

    Days that are not wholly known have zeros, and stand as text: 1975-00-00.
    """
    text = str(value)
    if item is None:
        return text
    if item.codes is not None:
        return f"{text} {catalogue.codes[item.codes].values.get(text, '')}".rstrip()
    if item.type == "date" and DAY.fullmatch(text):
        return f"{text[:4]}-{text[4:6]}-{text[6:]}"
    return text


COMMANDS = {"history": history}
