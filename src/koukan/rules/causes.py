"""Causes: why lines of a file were rejected, by field and code, for the person who mends them.

Errors are frames of `ERRORS`: one row for each error of a line, in the order of the lines, in the
words of the result file. No value of a received record is among them but レコード識別番号.
"""

from __future__ import annotations

from typing import NamedTuple

import polars as pl

from koukan.codecs.records import joined, line_offsets, lines_of
from koukan.codecs.text import decode
from koukan.formats.model import Format
from koukan.rules.acknowledge import REJECTED, SECTION

WORDS = ("field_label", "processing_result_code", "processing_result_text", "action_text")
ERRORS = pl.Schema(
    {"line_number": pl.Int64, "record_number": pl.String, **dict.fromkeys(WORDS, pl.String)}
)
PLACES = ("line_number", "record_number")
CONSEQUENCE = "R302"  # another line of the person is at fault: mending that one mends this
# What a spreadsheet takes for a formula when it opens a text file (OWASP), in the widths of Japan.
RISKY = r"^[=+\-@\t\r\n＝＋－＠']"


class Cause(NamedTuple):
    """What is wrong with some lines, in words; how many, and the first of them (`PLACES`)."""

    label: str
    code: str
    text: str
    action: str
    total: int
    first: pl.DataFrame


class Causes:
    """Counts the errors of a file by cause, and keeps the first lines of each.

    Args:
        kept: lines kept of a cause; memory grows with causes, never with errors.
    """

    def __init__(self, kept: int) -> None:
        self._kept = kept
        self._seen: dict[tuple[str, str, str, str], Cause] = {}
        self._line = 0
        self.lines = 0  # that have an error
        self.errors = 0

    def add(self, errors: pl.DataFrame) -> None:
        """Errors (`ERRORS`) of lines not before those that were added last."""
        if errors.is_empty():
            return
        numbers = errors["line_number"]
        self.lines += numbers.n_unique() - (numbers[0] == self._line)
        self.errors += errors.height
        self._line = numbers[-1]
        grouped = errors.group_by(WORDS, maintain_order=True).agg(
            pl.len(), pl.col(PLACES).head(self._kept)
        )
        for at, (label, code, text, action, total) in enumerate(
            grouped.select(*WORDS, "len").iter_rows()
        ):
            found = pl.DataFrame([grouped[name][at].alias(name) for name in PLACES])
            key = (label, code, text, action)
            before = self._seen.get(key, Cause(*key, 0, found.clear()))
            first = before.first.vstack(found.head(self._kept - before.first.height))
            self._seen[key] = before._replace(total=before.total + total, first=first)

    def ranked(self) -> list[Cause]:
        """The most frequent first; what only follows from others last."""
        return sorted(
            self._seen.values(),
            key=lambda cause: (cause.code == CONSEQUENCE, -cause.total, cause[:4]),
        )


def results_in(form: Format, piece: bytes) -> pl.DataFrame:
    """What whole lines of a result file tell of each line: its fields as strings, null if empty.

    Args:
        form: of the result file, which is delimited by commas.
        piece: whole lines; control and end record may be among them.
    """
    record = form.section(SECTION)
    names = [item.name for item in form.fields(record)]
    lines = pl.Series(pl.from_arrow(lines_of(piece, line_offsets(piece))))
    told = lines.filter(lines.bin.starts_with(f"{record.code},".encode()))
    if told.is_empty():
        schema = {name: pl.Int64() if name == "line_number" else pl.String() for name in names}
        return pl.DataFrame(schema=schema)
    head = ",".join(names).encode() + form.file.line_end
    text, _ = decode(b"".join([joined(told.to_arrow())]), form.file.encoding, head=head)
    found = pl.read_csv(text, infer_schema=False, quote_char=None)
    return found.with_columns(pl.col("line_number").cast(pl.Int64))


def errors_in(form: Format, piece: bytes) -> pl.DataFrame:
    """The errors (`ERRORS`) that whole lines of a result file tell of: those of rejected lines."""
    rejected = pl.col("processing_result_class") == str(REJECTED)
    return (
        results_in(form, piece)
        .filter(rejected & pl.col("processing_result_code").str.starts_with("R"))
        .select(
            "line_number",
            pl.col("record_number", *WORDS).fill_null(""),  # an action may be left out
        )
    )


def listing_head(labels: dict[str, str]) -> bytes:
    """The first line of the list of all errors: labels of the columns of `ERRORS`."""
    return _listed(pl.DataFrame([[labels[name]] for name in ERRORS.names()], orient="col"))


def listing_lines(errors: pl.DataFrame) -> bytes:
    """Errors (`ERRORS`) as lines of a text file that a spreadsheet opens without a surprise.

    Numbers with leading zeros are text, by an apostrophe before them, and so is whatever could be
    taken for a formula. UTF-8, CRLF, every field in quotes.
    """
    return _listed(
        errors.select(
            pl.col("line_number").cast(pl.String),
            pl.concat_str(pl.lit("'"), "record_number"),
            *(_harmless(name) for name in WORDS),
        )
    )


def _harmless(name: str) -> pl.Expr:
    item = pl.col(name)
    risky = item.str.contains(RISKY)
    return pl.when(risky).then(pl.concat_str(pl.lit("'"), item)).otherwise(item).alias(name)


def _listed(frame: pl.DataFrame) -> bytes:
    text = frame.write_csv(include_header=False, quote_style="always", line_terminator="\r\n")
    return text.encode()
