"""The workbook of 誤り一覧: causes by their frequency, then the first lines of each.

Every cell is typed: text is text, whatever it begins with, so nothing is ever a formula or a link.
Rows are written one by one: there are as many as causes, and a bounded number for each.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import xlsxwriter
from xlsxwriter.exceptions import FileCreateError

from koukan import words
from koukan.rules.causes import Cause, Causes

CREATED = datetime(1980, 1, 1)  # noqa: DTZ001 - a fixed mark; the format knows no zone
SHEET_LINES = 1_000_000  # a sheet of Excel has 1,048,576 rows
COUNTS = ("received", "accepted", "rejected", "duplicate")
Columns = Sequence[tuple[str, int]]
CAUSES: Columns = (  # heading, width of the column in characters
    ("reports.errors.rank", 6),
    ("reports.errors.field_label", 28),
    ("reports.errors.code", 8),
    ("reports.errors.count", 12),
    ("reports.errors.shown", 34),
    ("reports.errors.text", 60),
    ("reports.errors.action", 60),
)
LINES: Columns = (
    ("reports.errors.rank", 6),
    ("reports.errors.line_number", 12),
    ("reports.errors.record_number", 18),
    ("reports.errors.field_label", 28),
    ("reports.errors.code", 8),
    ("reports.errors.text", 60),
)
RECORD_NUMBERS = "C1:C1048576"  # of `LINES`: digits that are text on purpose
VALUES = 2  # column of what is said of the file


class About(NamedTuple):
    """Whose errors they are.

    Args:
        stem: of the names of both files.
        facts: (key of a label, value) to stand at the top, in this order.
        counts: of the file's lines, by `COUNTS`.
    """

    stem: str
    facts: tuple[tuple[str, str], ...]
    counts: Mapping[str, int]


def write_workbook(path: Path, about: About, causes: Causes, language: str) -> None:
    """Write the workbook; the same causes give the same bytes.

    What is made on the way lies in the same folder, and is gone at the end.

    Raises:
        OSError: the disk would not take it.
    """
    options = {
        "constant_memory": True,
        "tmpdir": str(path.parent),
        "strings_to_formulas": False,
        "strings_to_numbers": False,
        "strings_to_urls": False,
    }
    ranked = causes.ranked()
    book = xlsxwriter.Workbook(str(path), options)
    book.set_properties({"created": CREATED})
    pages = _Pages(book, language)
    pages.add_causes(about, causes.errors, ranked)
    pages.add_lines(ranked)
    try:
        book.close()
    except FileCreateError as error:  # the library's name for whatever the system said
        raise error.args[0] from None


class _Pages:
    """The sheets, in their order; rows are written from the top down and not touched again."""

    def __init__(self, book: Any, language: str) -> None:
        self._book = book
        self._language = language
        self._title = book.add_format({"bold": True, "font_size": 14})
        self._head = book.add_format({"bold": True, "bg_color": "#DDE6F0", "border": 1})
        self._number = book.add_format({"num_format": "#,##0", "valign": "top"})
        self._text = book.add_format({"num_format": "@", "valign": "top"})
        self._wrapped = book.add_format({"num_format": "@", "valign": "top", "text_wrap": True})

    def add_causes(self, about: About, errors: int, ranked: Sequence[Cause]) -> None:
        """Whose errors they are, and the causes."""
        sheet = self._sheet(self._say("reports.errors.causes"), CAUSES)
        sheet.write_string(0, 0, self._say("reports.errors.title"), self._title)
        row = self._add_facts(sheet, about, errors) + 2
        self._add_head(sheet, row, CAUSES)
        sheet.freeze_panes(row + 1, 0)
        for rank, cause in enumerate(ranked, 1):
            shown = cause.first.height
            key = "reports.errors.first" if shown < cause.total else "reports.errors.all"
            said = self._say(key, count=f"{shown:,}", total=f"{cause.total - shown:,}")
            sheet.write_number(row + rank, 0, rank, self._number)
            sheet.write_string(row + rank, 1, cause.label, self._wrapped)
            sheet.write_string(row + rank, 2, cause.code, self._text)
            sheet.write_number(row + rank, 3, cause.total, self._number)
            sheet.write_string(row + rank, 4, said, self._wrapped)
            sheet.write_string(row + rank, 5, cause.text, self._wrapped)
            sheet.write_string(row + rank, 6, cause.action, self._wrapped)

    def add_lines(self, ranked: Sequence[Cause]) -> None:
        """The first lines of each cause, on as many sheets as they need."""
        sheet: Any = None
        for at, (rank, cause, line, record) in enumerate(_lines(ranked)):
            number, row = divmod(at, SHEET_LINES)
            if not row:
                sheet = self._lines_sheet(number)
            sheet.write_number(row + 1, 0, rank, self._number)
            sheet.write_number(row + 1, 1, line, self._number)
            sheet.write_string(row + 1, 2, record, self._text)
            sheet.write_string(row + 1, 3, cause.label, self._text)
            sheet.write_string(row + 1, 4, cause.code, self._text)
            sheet.write_string(row + 1, 5, cause.text, self._text)

    def _add_facts(self, sheet: Any, about: About, errors: int) -> int:
        """What is known of the file, from the second row on; the last row that is taken."""
        row = 0
        for row, (key, value) in enumerate(about.facts, 1):
            sheet.write_string(row, 0, self._say(key), self._text)
            sheet.write_string(row, VALUES, value, self._text)
        counted = [(f"reports.count.{name}", about.counts[name]) for name in COUNTS]
        for key, number in [*counted, ("reports.errors.count", errors)]:
            row += 1
            sheet.write_string(row, 0, self._say(key), self._text)
            sheet.write_number(row, VALUES, number, self._number)
        whole = {"file": f"{about.stem}.zip", "total": f"{errors:,}"}
        sheet.write_string(row + 1, 0, self._say("reports.errors.whole", **whole), self._text)
        return row + 1

    def _lines_sheet(self, number: int) -> Any:
        title = self._say("reports.errors.lines")
        sheet = self._sheet(f"{title} ({number + 1})" if number else title, LINES)
        sheet.ignore_errors({"number_stored_as_text": RECORD_NUMBERS})
        sheet.freeze_panes(1, 0)
        self._add_head(sheet, 0, LINES)
        return sheet

    def _sheet(self, title: str, columns: Columns) -> Any:
        sheet = self._book.add_worksheet(title)
        for column, (_, width) in enumerate(columns):
            sheet.set_column(column, column, width)
        return sheet

    def _add_head(self, sheet: Any, row: int, columns: Columns) -> None:
        for column, (key, _) in enumerate(columns):
            sheet.write_string(row, column, self._say(key), self._head)

    def _say(self, key: str, **more: object) -> str:
        return words.sentence(key, self._language, **more)


def _lines(ranked: Sequence[Cause]) -> Iterator[tuple[int, Cause, int, str]]:
    for rank, cause in enumerate(ranked, 1):
        for line, record in cause.first.iter_rows():
            yield rank, cause, line, record
