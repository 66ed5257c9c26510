"""Items of a documented file (記録項目), each with where koukan keeps it, or why it does not.

They stand in `formats/items/`. That a place exists is checked here as far as formats tell it, and
in `koukan.engine.definitions` for tables and the ledger.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import BeforeValidator, StringConstraints, model_validator

from koukan.formats.model import Catalogue, Definition, Field, Identifier
from koukan.formats.problems import Mistake, Problem, listed, problem

Place = Annotated[str, StringConstraints(pattern=r"^[a-z_]+\.[a-z0-9_]+$")]  # table and column


class Item(Definition):
    """One item. Without a place it is not kept as such, and a note says why.

    Args:
        label: as the source has it; equal ones may stand in several sections, and in one.
        same: it is the field of this very label in the section's record.
        field: likewise a field, by its name; our label differs.
        column: of one of our tables.
        ledger: column of a table of the ledger.
        site: entry of site.toml.
    """

    label: str
    same: bool = False
    field: Identifier | None = None
    column: Place | None = None
    ledger: Place | None = None
    site: Place | None = None
    note_ja: str = ""
    note: str = ""

    @model_validator(mode="after")
    def _one_place(self) -> Item:
        places = [self.same, self.field, self.column, self.ledger, self.site]
        given = sum(bool(place) for place in places)
        if given > 1 or (not given and not (self.note_ja and self.note)):
            raise Mistake("definitions.item_place", field=self.label)
        return self

    @property
    def kept(self) -> bool:
        """Whether it has a place."""
        return bool(self.same or self.field or self.column or self.ledger or self.site)


def _item(value: object) -> object:
    """A bare label is short for the field of that label."""
    return {"label": value, "same": True} if isinstance(value, str) else value


class Section(Definition):
    """One section of the items; `record` is that of the format which has its fields."""

    title: str
    record: Identifier | None = None
    items: tuple[Annotated[Item, BeforeValidator(_item)], ...]


class Items(Definition):
    """All items of one documented file.

    Args:
        format: whose fields they are, if they are fields.
        table: in which fields are kept, each as a column of its name in the record's section.
    """

    name: Identifier
    title: str
    source: str
    format: Identifier
    table: Identifier
    sections: tuple[Section, ...]

    @property
    def file(self) -> str:
        """What problems call it."""
        return f"formats/items/{self.name}.toml"

    def all(self) -> Iterator[tuple[Section, Item]]:
        """Every item with its section, in order."""
        for section in self.sections:
            for item in section.items:
                yield section, item

    def field_of(self, catalogue: Catalogue, section: Section, item: Item) -> Field | None:
        """The field that an item is; None where it is none, or there is none of that name."""
        form = catalogue.formats[self.format]
        records = [record for record in form.records if record.section == section.record]
        for field in (one for record in records for one in form.fields(record)):
            if field.label == item.label if item.same else field.name == item.field:
                return field
        return None


def item_problems(items: Items, catalogue: Catalogue) -> list[Problem]:
    """Fields that the format does not have."""
    file, form = items.file, catalogue.formats.get(items.format)
    if form is None:
        where = {"key": items.format, "known": listed(set(catalogue.formats))}
        return [problem(file, "format", "definitions.unknown", **where)]
    found, records = [], {record.section for record in form.records}
    for section in items.sections:
        if section.record is not None and section.record not in records:
            where = {"key": section.record, "known": listed(records)}
            found.append(problem(file, f"{section.title}.record", "definitions.unknown", **where))
    for section, item in items.all():
        if (item.same or item.field) and items.field_of(catalogue, section, item) is None:
            where = {"field": item.label, "format": items.format}
            found.append(problem(file, section.title, "definitions.item_field", **where))
    return found


def place_of(items: Items, catalogue: Catalogue, section: Section, item: Item) -> str:
    """Where an item is kept, for a reader; "–" where it is not."""
    field = items.field_of(catalogue, section, item) if item.same or item.field else None
    if field is not None:
        return f"`{items.table}` `{field.name}` ({section.record})"
    if item.column is not None:
        table, _, column = item.column.partition(".")
        return f"`{table}` `{column}`"
    if item.ledger is not None:
        return f"台帳 ledger `{item.ledger}`"
    return f"`site.toml` `{item.site}`" if item.site is not None else "–"


def note_of(item: Item) -> str:
    return "<br>".join(part for part in (item.note_ja, item.note) if part)
