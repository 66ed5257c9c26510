"""誤り一覧: the errors of one file for the clerk who mends them, as a workbook and as a whole list.

    <name>.xlsx   the causes, the most frequent first, then the first lines of each
    <name>.zip    every error in text files that Excel opens (UTF-8 with a BOM, CRLF)

No value of a received record is in either but レコード識別番号. The same errors give the same
bytes: no time, name or mode of ours is in them. Nothing is cut without saying so, and memory does
not grow with the errors.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, NamedTuple, Self

import polars as pl

from koukan import words
from koukan.reports.workbook import About, write_workbook
from koukan.rules.causes import ERRORS, Causes, listing_head, listing_lines

SHOWN = 10_000  # lines of a cause in the workbook
FILE_LINES = 1_000_000  # lines of one text file: a sheet of Excel has 1,048,576 rows
MARK = b"\xef\xbb\xbf"  # without it Excel takes UTF-8 for CP932
NO_TIME = (1980, 1, 1, 0, 0, 0)  # the first that a ZIP archive can say
UNIX, PRIVATE = 3, 0o600 << 16  # said of a member, whatever made it
LABELS: Mapping[str, str] = {
    "line_number": "reports.errors.line_number",
    "record_number": "reports.errors.record_number",
    "field_label": "reports.errors.field_label",
    "processing_result_code": "reports.errors.code",
    "processing_result_text": "reports.errors.text",
    "action_text": "reports.errors.action",
}


class Reported(NamedTuple):
    """What a report lists: lines that have an error, errors, and causes."""

    lines: int
    errors: int
    causes: int


class Listing:
    """The list of all errors, as text files in an archive, one after another.

    Args:
        path: of the archive.
        stem: of the text files' names.
    """

    def __init__(self, path: Path, stem: str, language: str) -> None:
        self._archive = zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED)
        self._stem = stem
        self._head = MARK + listing_head(labels(language))
        self._member: IO[bytes] | None = None
        self._files = 0
        self._room = 0

    def add(self, errors: pl.DataFrame) -> None:
        """Errors (`ERRORS`), behind those that were added before."""
        while errors.height:
            if not self._room:
                self._next()
            assert self._member is not None
            part = errors.head(self._room)
            self._member.write(listing_lines(part))
            self._room -= part.height
            errors = errors.slice(part.height)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if not self._files:  # a list of nothing has its head
            self._next()
        if self._member is not None:
            self._member.close()
        self._archive.close()

    def _next(self) -> None:
        if self._member is not None:
            self._member.close()
        self._files += 1
        number = "" if self._files == 1 else f"_{self._files}"
        member = zipfile.ZipInfo(f"{self._stem}{number}.csv", NO_TIME)
        member.compress_type = zipfile.ZIP_DEFLATED
        member.create_system, member.external_attr = UNIX, PRIVATE
        self._member = self._archive.open(member, "w")
        self._member.write(self._head)
        self._room = FILE_LINES


def labels(language: str) -> dict[str, str]:
    """What the columns of `ERRORS` are called."""
    return {name: words.sentence(LABELS[name], language) for name in ERRORS.names()}


def write_report(
    workbook: Path, listing: Path, about: About, errors: Iterable[pl.DataFrame], language: str
) -> Reported:
    """Write both files. Neither is durable: that is for who gives them their names.

    Args:
        workbook: `<name>.xlsx`; what is made on the way lies in the same folder.
        listing: `<name>.zip`.
        errors: frames of `ERRORS` in the order of the lines.
    """
    causes = Causes(SHOWN)
    with Listing(listing, about.stem, language) as whole:
        for part in errors:
            causes.add(part)
            whole.add(part)
    write_workbook(workbook, about, causes, language)
    return Reported(causes.lines, causes.errors, len(causes.ranked()))
