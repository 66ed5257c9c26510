"""What a span of nights changed in the 資格履歴: counts by insurer, and an insurer's events.

A span is what was known at the end of its last night and not yet at the end of the night before its
first: (`since`, `until`]. Files without rows of its groups are not opened for counting events;
to tell what became of spells, the buckets' earlier events of the persons concerned are looked up.
Persons of several 紐付番号 have events in several buckets and are looked at last, together.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from koukan.engine.asof import BY_PERSON, events_of, files_of
from koukan.engine.centre import Centre
from koukan.engine.datafiles import in_time, may_hold
from koukan.engine.nights import groups_until
from koukan.engine.people import people_of
from koukan.engine.reading import steady, undisturbed
from koukan.errors import UsageError
from koukan.flows.registration import HISTORY, INCIDENTAL, PARTITION, QUALIFICATION
from koukan.rules.persons import People
from koukan.rules.register import Ints
from koukan.rules.spells import CHANGES, changed, spells
from koukan.tables import encrypted
from koukan.tables.definition import SECTION, bucket_label, bucket_of_link
from koukan.tables.table import DataFile

BY = ("insurer_code", "section", "process_type_code")
_INSURER = re.compile(r"[0-9]{8}")
MEMBER = ["insurer_code", "member_id"]


class Span(NamedTuple):
    """Groups known before it, and those that it brought."""

    before: frozenset[int]
    brought: frozenset[int]

    @property
    def groups(self) -> frozenset[int]:
        return self.before | self.brought


class Share(NamedTuple):
    """One bucket: files that may hold what the span brought, and all of 加入者資格情報."""

    span: Span
    files: tuple[DataFile, ...]
    qualification: tuple[DataFile, ...]


class Gathering(NamedTuple):
    """One bucket: events of 加入者資格情報 of persons who have others elsewhere."""

    files: tuple[DataFile, ...]
    links: Ints
    groups: frozenset[int]


class Counted(NamedTuple):
    """Of one bucket, or of all."""

    events: pl.DataFrame  # BY, events
    persons: pl.DataFrame  # insurer_code, persons
    spells: pl.DataFrame  # insurer_code, CHANGES
    scattered: pl.DataFrame  # MEMBER, link_number: whose persons are not counted yet


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
        found = summed(centre, span, list(centre.workers.map(count, shares(centre, span))))
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
        table, people = centre.tables[PARTITION], people_of(centre, span.groups)
        files = in_time(_with_rows_of(span, centre.snapshot(PARTITION).files(insurer=insurer)))
        for section in centre.tables[HISTORY].definition.sections:
            for file in files:
                if file.partition[SECTION] == section:
                    chosen = table.open_file(file).filter(_brought(span))
                    found = encrypted.collect(chosen, path=table.folder / file.path)
                    found = people.attribute(found.with_columns(insurer_code=pl.lit(insurer)))
                    rows += found.height
                    ordered = found.sort("group_number", "reception", "line_number")
                    yield section, ordered.drop("link_number", "insurer_code", *INCIDENTAL)
        operation.note(rows=rows)


def shares(centre: Centre, span: Span) -> Iterator[Share]:
    """The buckets in which the span's groups wrote."""
    for _, files in centre.snapshot(HISTORY).by_bucket():
        if written := tuple(_with_rows_of(span, files)):
            told = (file for file in files if file.partition[SECTION] == QUALIFICATION)
            yield Share(span, written, tuple(told))


def _with_rows_of(span: Span, files: Iterable[DataFile]) -> Iterator[DataFile]:
    """The files that may hold rows of the span's groups."""
    groups = sorted(span.brought)
    return (file for file in files if may_hold(file, groups))


def _brought(span: Span) -> pl.Expr:
    return pl.col("group_number").is_in(list(span.brought))


def count(centre: Centre, share: Share) -> Counted:
    """Task: one bucket's counts."""
    table = centre.tables[HISTORY]
    columns = [*MEMBER, "link_number", "process_type_code"]
    parts = []
    for file in share.files:
        chosen = table.open_file(file).filter(_brought(share.span)).select(columns)
        rows = encrypted.collect(chosen, path=table.folder / file.path)
        parts.append(rows.with_columns(section=pl.lit(file.partition[SECTION])))
    events = pl.concat(parts)
    people = people_of(centre, share.span.groups)
    apart = events.filter(pl.Series(_apart(people, events)))
    here = events
    if apart.height:  # with all that lies under these 紐付番号
        here = events.join(apart, on="link_number", how="anti")
        apart = events.join(apart, on="link_number", how="semi")
    return Counted(
        events.group_by(BY).agg(pl.len().alias("events")),
        here.unique(MEMBER).group_by("insurer_code").agg(pl.len().alias("persons")),
        _spells_changed(centre, share, here),
        apart.select(*MEMBER, "link_number").unique(),
    )


def _apart(people: People, events: pl.DataFrame) -> npt.NDArray[np.bool_]:
    """Events of persons or members of whom insurers said more than their lines do."""
    if people.trivial:
        return np.zeros(events.height, np.bool_)
    insurers = events["insurer_code"].cast(pl.Int32).to_numpy()
    spoken_of = people.spoken_of(insurers, events["member_id"].to_numpy())
    return spoken_of | people.scattered(events["link_number"].to_numpy())


def _spells_changed(centre: Centre, share: Share, events: pl.DataFrame) -> pl.DataFrame:
    """What became of the spells of the persons whom these events are about."""
    qualified = events.filter(pl.col("section") == QUALIFICATION)
    if qualified.is_empty():
        return pl.DataFrame(schema={"insurer_code": pl.String, **dict.fromkeys(CHANGES, pl.Int64)})
    links = qualified["link_number"].unique().to_numpy()
    every = events_of(centre, share.qualification, links, BY_PERSON, share.span.groups)
    return _compared(centre, share.span, every)


def _compared(centre: Centre, span: Span, events: pl.DataFrame) -> pl.DataFrame:
    """Spells before the span against those after it; persons as they were known at either time."""
    after = people_of(centre, span.groups)
    earlier = events.filter(pl.col("group_number").is_in(list(span.before)))
    states = (people_of(centre, span.before), earlier), (after, events)
    return changed(*(_current(after, spells(people.attribute(rows))) for people, rows in states))


def _current(people: People, rows: pl.DataFrame) -> pl.DataFrame:
    """Members under the 被保険者枝番 that they go on as."""
    if people.trivial:
        return rows
    insurers = rows["insurer_code"].cast(pl.Int32).to_numpy()
    return rows.with_columns(
        member_id=pl.Series(people.current(insurers, rows["member_id"].to_numpy()), dtype=pl.Int64)
    )


def gather(centre: Centre, item: Gathering) -> pl.DataFrame:
    """Task: one bucket's events."""
    return events_of(centre, item.files, item.links, BY_PERSON, item.groups)


def _gathered(centre: Centre, span: Span, members: pl.DataFrame) -> pl.DataFrame:
    """All events of 加入者資格情報 of the persons of these members, from every bucket."""
    people, buckets = people_of(centre, span.groups), centre.site.buckets
    links = members["link_number"].to_numpy()
    owners = people.attribute(members)["link_number"].to_numpy()
    wanted = np.unique(people.raw_links(np.unique(np.concatenate([links, owners])))[1])
    at = bucket_of_link(wanted, buckets)
    files = files_of(centre, QUALIFICATION)
    items = [
        Gathering(tuple(files[label]), wanted[at == bucket], span.groups)
        for bucket in np.unique(at).tolist()
        if (label := bucket_label(bucket, buckets)) in files
    ]
    return pl.concat(centre.workers.map(gather, items))


def summed(centre: Centre, span: Span, parts: list[Counted]) -> Counted:
    """All buckets together, and those persons who are in several of them."""
    if not parts:
        none = pl.DataFrame()
        return Counted(none, none, none, none)
    events, persons, told, scattered = (pl.concat(column) for column in zip(*parts, strict=True))
    if scattered.height:
        several = _current(people_of(centre, span.groups), scattered).unique(MEMBER)
        more = several.group_by("insurer_code").agg(pl.len().alias("persons"))
        persons = pl.concat([persons, more])
        told = pl.concat([told, _compared(centre, span, _gathered(centre, span, scattered))])
    return Counted(
        events.group_by(BY).agg(pl.col("events").sum()).sort(BY),
        persons.group_by("insurer_code").agg(pl.col("persons").sum()),
        told.group_by("insurer_code").agg(pl.col(CHANGES).sum()),
        scattered,
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
    for code in told:  # whose persons went on at another insurer, without a line of its own
        items.setdefault(code, {"insurer": code, "persons": 0, "events": {}, "spells": {}})
    for code, item in sorted(items.items()):
        item["spells"] = told.get(code, dict.fromkeys(CHANGES, 0))
        if insurer in (None, code):
            yield item


def _total(item: dict[str, Any]) -> int:
    return sum(number for by in item["events"].values() for number in by.values())
