"""At a welfare office: its 資格確認実績 joined with its own 医療券. No site, no network.

What the office opened of its packages, and files of 医療券 as it registers them, give two lists in
a new folder: every line with the tickets that it fits, and the days on which a person was seen.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import polars as pl

from koukan import durable
from koukan.codecs.gate import Gate
from koukan.codecs.records import decode_piece
from koukan.engine.offline import BLOCK, format_of, pieces
from koukan.errors import UsageError
from koukan.exchange.folder import safe_name
from koukan.flows import registration, usage
from koukan.formats.model import Catalogue, Format
from koukan.reports.history import as_list
from koukan.rules import usage as rules
from koukan.rules.register import CANCELLATION, WITHDRAWAL

TICKETS = "medical_ticket"
LINES, VISITS = "usage.csv", "visits.csv"
GONE = tuple(map(str, (CANCELLATION, WITHDRAWAL)))


class Joined(NamedTuple):
    """What the two lists hold, in numbers.

    Args:
        lines: of the newest versions; `with_ticket` those that fit a ticket.
        outdated: files left out because a later version of their log is there.
        persons: lines of the list of days.
    """

    lines: int
    with_ticket: int
    outdated: int
    persons: int


class Extract(NamedTuple):
    """A file that a package had."""

    log_number: str
    log_version: int
    part_number: int
    lines: pl.DataFrame


def join(
    extracts: Sequence[Path],
    tickets: Sequence[Path],
    into: Path,
    catalogue: Catalogue,
    labels: dict[str, str],
) -> Joined:
    """Write both lists into a new folder that is its owner's alone.

    Args:
        extracts: files, or folders into which packages were opened.
        tickets: files of registrations, in the order in which they were sent; what a later one says
            of a ticket counts.
        labels: headings of columns by their names.

    Raises:
        UsageError: a file is not what it is given as, the same one is given twice, or `into` is
            there already.
    """
    if into.exists() or not into.absolute().parent.is_dir():
        raise UsageError("usage.into", path=into.name)
    found = [read_extract(path, catalogue) for path in extract_files(extracts)]
    places = [item[:3] for item in found]
    if len(set(places)) != len(places):
        raise UsageError("usage.twice")
    named = pl.DataFrame(places, schema=[rules.LOG, rules.VERSION, rules.PART], orient="row")
    newest = rules.newest(named).to_list()
    lines = pl.concat([item.lines for item, last in zip(found, newest, strict=True) if last])
    known = tickets_of(tickets, catalogue)
    joined, visits = rules.joined(lines, known), rules.visits(lines)
    days = pl.selectors.date().dt.strftime("%Y%m%d")
    written = {LINES: joined.with_columns(days), VISITS: visits}
    write(into, {name: as_list(each, labels) for name, each in written.items()})
    fitting = joined.filter(pl.col("match_class") != rules.NO_TICKET)
    without = joined.height - fitting.height
    return Joined(lines.height, lines.height - without, newest.count(False), visits.height)


def extract_files(paths: Sequence[Path]) -> Iterator[Path]:
    """Files as they are, and of folders those whose names are those of extracts."""
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        inside = sorted(path.glob(f"{usage.PREFIX}_*.csv"))
        if not inside:
            raise UsageError("usage.no_extract", path=safe_name(path.name))
        yield from inside


def read_extract(path: Path, catalogue: Catalogue) -> Extract:
    """A file of a package. Raises UsageError where it is none, or not whole."""
    form = catalogue.formats[usage.EXTRACT]
    try:
        content = path.read_bytes()
    except OSError:
        raise UsageError("offline.no_file", file=safe_name(path.name)) from None
    end = form.file.line_end
    first = content.find(end) + len(end)
    last = content.rfind(end, 0, -len(end)) + len(end)
    control = _values(form, content[:first])
    told = content[last:].removesuffix(end).split(b",")
    data = content[first:last]
    names = [item.name for item in form.fields(form.section(usage.SECTION))]
    rows = data.count(b"\n")
    good = control is not None and content.endswith(end) and first <= last
    good = good and told == [b"99", b"%08d" % rows] and data.isascii()
    if not good or data.count(b",") != rows * (len(names) - 1):
        raise UsageError("usage.no_extract", path=safe_name(path.name))
    assert control is not None
    lines = _nothing(usage.ITEMS)
    if data:
        text = data.replace(end, b"\n")
        read = pl.read_csv(text, has_header=False, infer_schema=False, quote_char=None)
        lines = read.rename(dict(zip(read.columns, names, strict=True))).select(usage.ITEMS)
    return Extract(
        control["log_number"],
        int(control["log_version"]),
        int(control["part_number"]),
        _with_days(lines, "qualification_check_date"),
    )


def _values(form: Format, line: bytes) -> dict[str, str] | None:
    """The fields of a control record; None where it is none."""
    parts = line.removesuffix(form.file.line_end).split(b",")
    fits = len(parts) == len(form.control) and parts[0] == b"00"
    if not fits or not all(part.isdigit() for part in parts):
        return None
    return {item.name: part.decode() for item, part in zip(form.control, parts, strict=True)}


def tickets_of(paths: Sequence[Path], catalogue: Catalogue) -> pl.DataFrame:
    """Of each ticket what was told of it last; those that were cancelled are left out."""
    columns = ["process_type_code", *rules.PERSON, *rules.TICKET]
    parts = [_nothing(columns)]
    for path in paths:
        for frame in _registered(path, catalogue):
            given = [name for name in columns if name in frame.columns]
            parts.append(frame.select(given))
    key = ["public_payer_number", "ticket_number"]
    last = pl.concat(parts, how="diagonal").unique(key, keep="last", maintain_order=True)
    last = last.filter(~pl.col("process_type_code").is_in(GONE).fill_null(False))
    return _with_days(last.drop("process_type_code"), "start_date", "end_date")


def _registered(path: Path, catalogue: Catalogue) -> Iterator[pl.DataFrame]:
    """Lines of tickets in a file of registrations, piece by piece."""
    form = format_of(path, catalogue, None)
    if form is None or form.name not in registration.FORMATS:
        raise UsageError("usage.no_tickets", file=safe_name(path.name))
    try:
        with path.open("rb") as file:
            verdict = Gate(form).read(iter(lambda: file.read(BLOCK), b""))
            if verdict.code is not None:
                where = {"file": safe_name(path.name), "code": verdict.code}
                raise UsageError("usage.tickets_refused", **where)
            for _, piece in pieces(file, verdict.cuts):
                for decoded in decode_piece(form, piece):
                    if decoded.record.section == TICKETS:
                        yield decoded.frame
    except OSError:
        raise UsageError("offline.no_file", file=safe_name(path.name)) from None


def _nothing(names: Sequence[str]) -> pl.DataFrame:
    return pl.DataFrame(schema=dict.fromkeys(names, pl.String))


def _with_days(frame: pl.DataFrame, *names: str) -> pl.DataFrame:
    return frame.with_columns(pl.col(name).str.to_date("%Y%m%d", strict=False) for name in names)


def write(into: Path, files: dict[str, bytes]) -> None:
    """A folder of one's own that gets its name when it is whole."""
    temporary = durable.temporary_name(into.absolute())
    temporary.mkdir(mode=0o700)
    try:
        for name, content in files.items():
            durable.write(temporary / name, content)
        temporary.rename(into)
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary)
