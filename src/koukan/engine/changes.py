"""What a span of nights changed in the 資格履歴: counts by insurer, and an insurer's events.

A span is what was known at the end of its last night and not yet at the end of the night before its
first: (`since`, `until`]. Files without rows of its groups are not opened for counting events;
to tell what became of spells, the buckets' earlier events of the persons concerned are looked up.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import polars as pl

from koukan.engine.asof import ASKED, events_of
from koukan.engine.centre import Centre
from koukan.engine.datafiles import in_time, may_hold
from koukan.engine.nights import groups_until
from koukan.engine.reading import steady, undisturbed
from koukan.errors import UsageError
from koukan.flows.registration import HISTORY, INCIDENTAL, PARTITION, QUALIFICATION
from koukan.rules.spells import CHANGES, changed, spells
from koukan.tables import encrypted
from koukan.tables.definition import BUCKET, SECTION
from koukan.tables.table import DataFile

BY = ("insurer_code", "section", "process_type_code")
_INSURER = re.compile(r"[0-9]{8}")
PERSONS = ("insurer_code", "link_number")


class Span(NamedTuple):
    """Groups known before it, and those that it brought."""

    before: frozenset[int]
    brought: frozenset[int]


class Share(NamedTuple):
    """One bucket: files that may hold what the span brought, and all of 加入者資格情報."""

    span: Span
    files: tuple[DataFile, ...]
    qualification: tuple[DataFile, ...]


class Counted(NamedTuple):
    """Of one bucket, or of all."""

    events: pl.DataFrame  # BY, events
    persons: pl.DataFrame  # insurer_code, persons
    spells: pl.DataFrame  # insurer_code, CHANGES


def span_of(centre: Centre, since: str, until: str) -> Span:
    """The groups of a span of nights.

    Raises:
        UsageError: one of the two is no night, or they are not in order.
    """
    before, after = groups_until(centre, since), groups_until(centre, until)
    if since > until:
        raise UsageError("history.order")
    return Span(before, after - before)


def _where(insurer: str | None) -> dict[str, str]:
    """What the log is told; what was typed may be another number, and is not repeated then."""
    if insurer is not None and not _INSURER.fullmatch(insurer):
        raise UsageError("history.insurer_form")
    return {} if insurer is None else {"insurer": insurer}


@steady
def changes(
    centre: Centre, since: str, until: str, *, insurer: str | None = None
) -> list[dict[str, Any]]:
    """What changed between the ends of two nights, by insurer in ascending code.

    Args:
        insurer: only this one.

    Returns:
        by insurer with any event: `insurer`; `persons` that any event is about; `events`, section
        -> 処理種別コード -> how many; `spells`, CHANGES of `rules.spells` -> how many.

    Raises:
        UsageError: see `span_of`; or the insurer is not written so.
    """
    with centre.log.operation("history_changes", **_where(insurer)) as operation:
        span = span_of(centre, since, until)
        found = summed(list(centre.workers.map(count, shares(centre, span))))
        page = list(_page(found, insurer))
        operation.note(rows=sum(_total(item) for item in page))
    return page


def changed_events(
    centre: Centre, since: str, until: str, insurer: str
) -> Iterator[tuple[str, pl.DataFrame]]:
    """An insurer's events of a span, file by file: (section, events), without 紐付番号.

    They are read from its 委託区画, which holds the same events by insurer; oldest group first.

    Raises:
        UsageError: see `span_of`; or the insurer is not written so.
        TransientError: files were written anew meanwhile; ask again.
    """
    logged = centre.log.operation("history_changes", **_where(insurer))
    with logged as operation, undisturbed(centre):
        span, rows = span_of(centre, since, until), 0
        table = centre.tables[PARTITION]
        files = in_time(_with_rows_of(span, centre.snapshot(PARTITION).files(insurer=insurer)))
        for section in centre.tables[HISTORY].definition.sections:
            for file in files:
                if file.partition[SECTION] == section:
                    chosen = table.open_file(file).filter(_brought(span))
                    found = encrypted.collect(chosen, path=table.folder / file.path)
                    rows += found.height
                    ordered = found.sort("group_number", "reception", "line_number")
                    yield section, ordered.drop("link_number", *INCIDENTAL)
        operation.note(rows=rows)


def shares(centre: Centre, span: Span) -> Iterator[Share]:
    """The buckets in which the span's groups wrote."""
    buckets: dict[str, list[DataFile]] = {}
    files = centre.snapshot(HISTORY).files()
    for file in _with_rows_of(span, files):
        buckets.setdefault(file.partition[BUCKET], []).append(file)
    qualification: dict[str, list[DataFile]] = {}
    for file in files:
        if file.partition[BUCKET] in buckets and file.partition[SECTION] == QUALIFICATION:
            qualification.setdefault(file.partition[BUCKET], []).append(file)
    for bucket, written in sorted(buckets.items()):
        yield Share(span, tuple(written), tuple(qualification.get(bucket, ())))


def _with_rows_of(span: Span, files: Iterable[DataFile]) -> Iterator[DataFile]:
    """The files that may hold rows of the span's groups."""
    groups = sorted(span.brought)
    return (file for file in files if may_hold(file, groups))


def _brought(span: Span) -> pl.Expr:
    return pl.col("group_number").is_in(list(span.brought))


def count(centre: Centre, share: Share) -> Counted:
    """Task: one bucket's counts."""
    table = centre.tables[HISTORY]
    parts = []
    for file in share.files:
        chosen = (
            table.open_file(file).filter(_brought(share.span)).select(*PERSONS, "process_type_code")
        )
        rows = encrypted.collect(chosen, path=table.folder / file.path)
        parts.append(rows.with_columns(section=pl.lit(file.partition[SECTION])))
    events = pl.concat(parts)
    persons = events.unique(PERSONS).group_by("insurer_code").len("persons")
    counts = events.group_by(BY).len("events")
    return Counted(counts, persons, _spells_changed(centre, share, events))


def _spells_changed(centre: Centre, share: Share, events: pl.DataFrame) -> pl.DataFrame:
    """What became of the spells of the persons whom these events are about."""
    qualified = events.filter(pl.col("section") == QUALIFICATION)
    if qualified.is_empty():
        return pl.DataFrame(schema={"insurer_code": pl.String, **dict.fromkeys(CHANGES, pl.Int64)})
    links = qualified["link_number"].unique().to_numpy()
    groups = share.span.before | share.span.brought
    every = events_of(centre, share.qualification, links, ASKED, groups)
    earlier = pl.col("group_number").is_in(list(share.span.before))
    return changed(spells(every.filter(earlier)), spells(every))


def summed(parts: list[Counted]) -> Counted:
    """All buckets together; a person is in one bucket only."""
    if not parts:
        none = pl.DataFrame()
        return Counted(none, none, none)
    events, persons, told = (pl.concat(column) for column in zip(*parts, strict=True))
    return Counted(
        events.group_by(BY).agg(pl.col("events").sum()).sort(BY),
        persons.group_by("insurer_code").agg(pl.col("persons").sum()),
        told.group_by("insurer_code").agg(pl.col(CHANGES).sum()),
    )


def _page(found: Counted, insurer: str | None) -> Iterator[dict[str, Any]]:
    """By insurer; there are some thousands of them at most."""
    items: dict[str, dict[str, Any]] = {}
    for code, section, process, number in found.events.iter_rows():
        item = items.setdefault(code, {"insurer": code, "persons": 0, "events": {}, "spells": {}})
        item["events"].setdefault(section, {})[process] = number
    for code, number in found.persons.iter_rows():
        items[code]["persons"] = number
    told = {code: dict(zip(CHANGES, row, strict=True)) for code, *row in found.spells.iter_rows()}
    for code, item in items.items():
        item["spells"] = told.get(code, dict.fromkeys(CHANGES, 0))
        if insurer in (None, code):
            yield item


def _total(item: dict[str, Any]) -> int:
    return sum(number for by in item["events"].values() for number in by.values())
