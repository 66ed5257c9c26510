"""情報提供等記録 for those who may have them: who, when, which information; never a 機関別符号.

Source: flow 2-R. For a person's 開示請求 and for 個人情報保護委員会, with the looks at them, on
screen, as a page to print, or as a file. The same records give the same bytes on the same day.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import polars as pl
from jinja2 import Environment, PackageLoader, StrictUndefined

from koukan import words
from koukan.reports.history import as_csv

TEMPLATE = "provision.html"
MOMENTS = ("provided_at", "requested_at")
Rows = list[list[str]]


class Page(NamedTuple):
    """What is told.

    Args:
        scope: whose records they are, or of which days.
        records: the columns that are told, as they are kept, the oldest first.
        accesses: looks: when, who, what kind, of which insurer.
        withheld: records that are kept from their person.
    """

    scope: Mapping[str, str]
    records: pl.DataFrame
    accesses: Sequence[tuple[str, str, str, str]]
    withheld: int = 0


def label(name: str, language: str) -> str:
    """An item as it is called."""
    return words.sentence(f"records.item.{name}", language)


def kind(operation: str, language: str) -> str:
    """What was looked at."""
    return words.sentence(f"records.access.{operation}", language)


def shown(records: pl.DataFrame) -> pl.DataFrame:
    """Every item as text for people: moments with their marks, 被保険者枝番 as it is written."""
    return records.select(
        pl.when(pl.col(name).is_not_null()).then(_moment(name)).otherwise(None).alias(name)
        if name in MOMENTS
        else pl.col(name).cast(pl.String).str.zfill(10)
        if name == "member_id"
        else pl.col(name).fill_null("")
        for name in records.columns
    )


def _moment(name: str) -> pl.Expr:
    """20260401093000 as 2026-04-01 09:30:00."""
    at = pl.col(name).str.slice
    return pl.format("{}-{}-{} {}:{}:{}", at(0, 4), at(4, 2), at(6, 2), at(8, 2), at(10, 2), at(12))


def document(page: Page) -> dict[str, Any]:
    """The page as a document."""
    return {
        **page.scope,
        "records": json.loads(shown(page.records).write_json()),
        "accesses": [dict(zip(ACCESS, one, strict=True)) for one in page.accesses],
        "withheld": page.withheld,
    }


ACCESS = ("at", "actor", "operation", "insurer_code")


def tables(page: Page, language: str) -> list[tuple[str, list[str], Rows]]:
    """Heading, columns and rows of both parts, as text."""
    records = shown(page.records)
    looks = [
        [at, actor, kind(operation, language), insurer]
        for at, actor, operation, insurer in page.accesses
    ]
    return [
        (
            words.sentence("records.head.records", language),
            [label(name, language) for name in records.columns],
            [list(row) for row in records.rows()],
        ),
        (
            words.sentence("records.head.accesses", language),
            [label(name, language) for name in ACCESS],
            looks,
        ),
    ]


def html(page: Page, *, about: str, issued: str, language: str) -> bytes:
    """A page that prints on A4, in UTF-8."""
    pages = Environment(
        loader=PackageLoader("koukan", "reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )

    def say(name: str) -> str:
        return words.sentence(f"records.page.{name}", language)

    text = pages.get_template(TEMPLATE).render(
        say=say, language=language, about=about, issued=issued, parts=tables(page, language)
    )
    return f"{text}\n".encode()


def csv(page: Page, language: str) -> bytes:
    """A text file for spreadsheets, records and looks one below the other."""
    looks = pl.DataFrame(page.accesses, schema=dict.fromkeys(ACCESS, pl.String), orient="row")
    operations = {one: kind(one, language) for one in looks["operation"].unique()}
    looks = looks.with_columns(pl.col("operation").replace(operations))
    names = dict.fromkeys([*page.records.columns, *ACCESS])
    sections = {
        words.sentence("records.head.records", language): shown(page.records),
        words.sentence("records.head.accesses", language): looks,
    }
    labels = {name: label(name, language) for name in names}
    return as_csv(sections, labels, words.sentence("records.head.part", language))
