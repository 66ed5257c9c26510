"""Follow one line of a received file to everything that it reached.

What is told are places: paths, versions, hashes, codes. No value of the line is told, and of its
person only what the sender's result file says, 被保険者枝番, to whoever may open the insurer's
partition; 紐付番号 is shown to nobody. A table whose key the actor does not hold is named as such,
and so is that of copies (副本), into which nobody but its insurer looks. What was erased is named
with the day of its record.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import polars as pl

from koukan.codecs.gate import whole_lines
from koukan.engine import originals
from koukan.engine.centre import Centre
from koukan.engine.datafiles import may_hold, origin_of
from koukan.engine.forgetting import MEMBERS
from koukan.engine.reading import steady
from koukan.engine.seen import Seen
from koukan.errors import IntegrityError, UsageError
from koukan.flows import copies
from koukan.flows.copies import REPLICA
from koukan.flows.registration import (
    FORMATS,
    HISTORY,
    MEMBER_DIGITS,
    PARTITION,
    PERSON_LINKS,
)
from koukan.flows.results import line_result
from koukan.keys.keyring import SCOPES
from koukan.ledger import Reception
from koukan.reports.identity import asked_by
from koukan.reports.source import local
from koukan.rules.causes import results_in
from koukan.tables import encrypted
from koukan.tables.definition import BUCKET, SECTION, bucket_label, bucket_of_link
from koukan.tables.snapshot import Snapshot
from koukan.tables.table import DataFile

BLOCK = 2 * 1024 * 1024
CONTROL, DATA, END, UNCOUNTED = "control", "data", "end", "uncounted"  # what stands in the line
PERSON = ("link_number", "member_id")  # what rows of a person, and not of a line, are found by
TOLD = ("processing_result_class", "processing_result_code", "field_label")


class Place(NamedTuple):
    """A data file that may have a row of the line, in its table and section."""

    table: str
    section: str
    file: DataFile


@dataclass
class Known:
    """What the rows found so far say of the line: they tell where others are."""

    section: str | None = None
    insurer: str | None = None
    values: dict[str, int | None] = field(default_factory=dict)


@steady
def trace(centre: Centre, number: int, line: int) -> dict[str, Any]:
    """Everything that a line of a reception reached.

    Args:
        line: from 1, which is the control record.

    Raises:
        UsageError: there is no such reception, or the file has no such line.
    """
    reception = centre.ledger.reception(number)
    last = reception.rows + 2
    if line < 1 or (reception.rows and line > last):
        raise UsageError("trace.no_line", reception=number, known=last)
    with centre.log.operation("trace", reception=number, line=line) as operation:
        known = Known()
        rows = list(_rows(centre, reception, line, known))
        operation.note(files=sum(row["file"] is not None for row in rows))
    result = None if reception.original_erased else _result(centre, reception, line)
    registered = reception.format in FORMATS and result is not None and result["class"] == 1
    told = [row for row in rows if row["of"] == "line"]  # or in a table that is closed to us
    gone = registered and reception.state in ("committed", "closed") and not told
    return {
        "reception": number,
        "line": line,
        "place": _place(reception, line),
        "sender": reception.sender,
        "door": reception.door,
        "format": reception.format,
        "file": reception.file_name,
        "received_at": local(reception.received_at),
        "state": reception.state,
        "outcome": reception.outcome or "open",
        "code": reception.code,
        "code_line": reception.line or None,
        "first": reception.first,
        "original": _original(centre, reception),
        "definition": reception.definition,
        "group": _group(centre, reception),
        "result": result,
        "tables": rows,
        "gone": gone,
        "gone_at": _gone_at(centre, number) if gone else None,
        "person": _person(known),
        "laid_out": list(_laid_out(centre, reception)),
        "identity": asked_by(centre, number),
    }


def _place(reception: Reception, line: int) -> str:
    """What stands there; a file that was refused at a glance was never counted."""
    if not reception.rows:
        return UNCOUNTED
    return CONTROL if line == 1 else END if line == reception.rows + 2 else DATA


def _original(centre: Centre, reception: Reception) -> dict[str, Any]:
    """The sealed original: where it lies, or when it went."""
    path = originals.original_path(centre, reception.original)
    erased = [
        row.erased_at
        for row in centre.ledger.erasures()
        if row.what in ("original", "questions") and row.number == reception.number
    ]
    return {
        "path": path.relative_to(centre.root).as_posix(),
        "sha256": reception.sha256,
        "bytes": reception.length,
        "kept": not reception.original_erased and path.exists(),
        "erased_at": local(erased[0]) if erased else None,
    }


def _gone_at(centre: Centre, number: int) -> str | None:
    """When rows of this reception were last erased (管理終了), as the signed records say."""
    found = None
    for row in centre.ledger.erasures():
        if row.what == MEMBERS:
            counts = json.loads(row.record)["counts"]
            if any(str(number) in receptions for receptions in counts.values()):
                found = local(row.erased_at)
    return found


def _group(centre: Centre, reception: Reception) -> dict[str, Any] | None:
    if reception.group_number is None:
        return None
    group = centre.ledger.group(reception.group_number)
    return {"number": group.number, "state": group.state}


def _result(centre: Centre, reception: Reception, line: int) -> dict[str, Any] | None:
    """The line's class and codes, from the sealed result file."""
    if reception.result_sha256 is None:
        return None
    form = centre.catalogue.formats[line_result(reception.format) or ""]
    told = []
    with originals.read_result(centre, reception.original) as result:
        seen = Seen(result.blocks(BLOCK))
        for piece in whole_lines(seen, form.file.max_line_bytes):
            found = results_in(form, piece)
            told += found.filter(pl.col("line_number") == line).select(TOLD).rows()
    if seen.sha256 != reception.result_sha256:
        raise IntegrityError("engine.result_other", reception=reception.number)
    if not told:
        return None
    return {
        "path": originals.result_path(centre, reception.original)
        .relative_to(centre.root)
        .as_posix(),
        "class": int(told[0][0]),
        "findings": [{"code": code, "field": label} for _, code, label in told if code],
    }


def _rows(
    centre: Centre, reception: Reception, line: int, known: Known
) -> Iterator[dict[str, Any]]:
    """The line's rows in the tables, and those that its person got by the same reception."""
    group = reception.group_number
    if group is None or centre.ledger.group(group).state != "committed":
        return
    names = sorted(centre.tables, key=lambda name: (name != PARTITION, name != HISTORY, name))
    readable = [name for name in names if name != REPLICA and centre.keyring.holds(SCOPES[name])]
    if reception.format != copies.REGISTRATION:
        names.remove(REPLICA)
    of_line = (pl.col("reception") == reception.number) & (pl.col("line_number") == line)
    for name in readable:
        snapshot = centre.snapshot(name)
        places = _places(snapshot, group, known, by_line=True)
        yield from _found(centre, snapshot, places, of_line, known)
    for name in readable:
        snapshot = centre.snapshot(name)
        for place in _places(snapshot, group, known, by_line=False):
            columns = snapshot.table.definition.columns(place.file.partition)
            of_person = pl.col("reception") == reception.number
            if name == PERSON_LINKS:
                of_person &= _said(known)
            else:
                for column in PERSON:
                    if column in columns:
                        of_person &= pl.col(column).eq_missing(pl.lit(known.values.get(column)))
            yield from _found(centre, snapshot, [place], of_person, known)
    for name in names:
        if name not in readable:
            yield _closed(name)


def _said(known: Known) -> pl.Expr:
    """What a member's line said of persons: it names other links, and may go on as another one."""
    member = pl.lit(known.values.get("member_id"))
    by = (pl.col("member_id") == member) | (pl.col("successor") == member)
    return by & (pl.col("insurer_code") == known.insurer)


def _places(snapshot: Snapshot, group: int, known: Known, *, by_line: bool) -> list[Place]:
    """Files that may hold a row; what is known of the line leaves few of them."""
    table = snapshot.table.definition
    wanted: dict[str, str] = {}
    if "insurer" in table.partition_by and known.insurer is not None:
        wanted["insurer"] = known.insurer
    link = known.values.get("link_number")
    if by_line and BUCKET in table.partition_by and link is not None and table.buckets:
        label = bucket_label(bucket_of_link(link, table.buckets), table.buckets)
        files = snapshot.of_bucket(label, **wanted)
    else:
        files = snapshot.files(**wanted)
    found = []
    for file in files:
        section = file.partition.get(SECTION, "")
        lines = "line_number" in table.columns(file.partition)
        if lines != by_line or not may_hold(file, [group]):
            continue
        if by_line and known.section not in (None, section):
            continue
        if not by_line and not known.values:
            continue
        found.append(Place(table.name, section, file))
    return found


def _found(
    centre: Centre, snapshot: Snapshot, places: Iterable[Place], where: pl.Expr, known: Known
) -> Iterator[dict[str, Any]]:
    """Rows that this holds of, as places; what they say of the line becomes known."""
    places = list(places)
    lazies = [snapshot.scan(place.file).filter(where) for place in places]
    frames = encrypted.collect_all(lazies, path=snapshot.table.folder)
    for place, frame in zip(places, frames, strict=True):
        for row in frame.head(1).iter_rows(named=True):
            by_line = "line_number" in frame.columns
            if by_line and {*PERSON} <= {*frame.columns}:  # else it is no insurer's line
                known.section = place.section
                known.insurer = _insurer(place.file.partition, row)
                known.values = {name: row[name] for name in PERSON}
            of = "line" if by_line else "person"
            yield _row(centre, snapshot, place, of)


def _insurer(partition: Mapping[str, str], row: Mapping[str, Any]) -> str:
    return partition.get("insurer") or str(row["insurer_code"])


def _row(centre: Centre, snapshot: Snapshot, place: Place, of: str) -> dict[str, Any]:
    """Where a row lies: of the line, or of its person."""
    origin = origin_of(place.file)
    return {
        "table": place.table,
        "section": place.section,
        "of": of,
        "readable": True,
        "file": f"tables/{place.table}/{place.file.path}",
        "version": snapshot.version.number,
        "rows": place.file.rows,
        "sha256": centre.ledger.file_hash(place.table, place.file.path),
        "merged": origin.depth > 0,
        "groups": [origin.first, origin.last],
    }


def _closed(table: str) -> dict[str, Any]:
    """A table that this actor cannot open."""
    return {"table": table, "section": "", "of": "line", "readable": False, "file": None}


def _person(known: Known) -> dict[str, str] | None:
    """Whom the line is about, as its sender's result file names the person."""
    member = known.values.get("member_id")
    if member is None or known.insurer is None:
        return None
    return {"insurer": known.insurer, "member_id": f"{member:0{MEMBER_DIGITS}d}"}


def _laid_out(centre: Centre, reception: Reception) -> Iterator[dict[str, Any]]:
    """Files for the sender, and whether it has collected them."""
    for row in centre.ledger.laid_out(reception.number):
        path = centre.folder("exchange", row.sender, "outbox", row.name)
        yield {"kind": row.kind, "file": row.name, "waiting": path.exists()}
