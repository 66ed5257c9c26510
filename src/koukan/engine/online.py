"""What goes to オンライン資格確認等システム (flow 1-(2)): whom a span of groups touched, restated.

Nearly everybody's events lie in one bucket and are looked at there, some persons at a time. Persons
whom statements have joined or parted may have events in several: they are few, and come last.

A piece goes from the worker that renders it into the file that is encrypted for the partner;
nothing of it is written elsewhere.

    pushes/f<group>                紐付番号 of whom `forget` erased, until a push has told of it
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from koukan import durable
from koukan.codecs import render
from koukan.engine import rolls
from koukan.engine.asof import events_of, files_of
from koukan.engine.centre import Centre
from koukan.engine.datafiles import may_hold, origin_of
from koukan.engine.issued import pmh_ids_of
from koukan.engine.people import people_of
from koukan.flows import online
from koukan.flows.pmh import ISSUES
from koukan.flows.registration import FORMAT, FORMATS, HISTORY, PERSON_LINKS
from koukan.keys.sealed import seal, unseal
from koukan.ledger import online as pushes
from koukan.ledger.online import Push
from koukan.rules.register import Ints, Mask
from koukan.rules.restating import (
    MAIN,
    NOTHING,
    PLACE,
    SAID,
    Digests,
    affected,
    digests,
    named,
    restated,
)
from koukan.tables import encrypted
from koukan.tables.definition import bucket_label, bucket_of_link
from koukan.tables.table import DataFile

PERSONS = 200_000  # of a piece, which a worker holds whole
LINES = 50_000  # of them that are text at once
SMALLEST = 5_000  # persons of a piece: fewer cost as much
MEMBER = "member_id"  # tells whose an event is where anybody was joined or parted
Restated = dict[str, pl.DataFrame]
Files = Mapping[str, tuple[DataFile, ...]]


class Touch(NamedTuple):
    """One bucket's files of 加入者資格情報 that may hold what is looked for."""

    files: tuple[DataFile, ...]
    groups: tuple[int, ...] | None  # None: everybody


class Share(NamedTuple):
    """Some persons to be restated: one piece of a push."""

    push: int
    number: int
    files: Files  # by section
    links: Ints  # raw links under which their events lie, ascending
    persons: Ints  # shown ones, ascending
    gone: Ints  # 紐付番号 that are nobody's shown one any more
    buckets: str  # where all of it lies, from and to; `rolls.ANY`: here and there
    first: int  # レコード識別番号 of the first of both
    whole: bool  # everybody in its files is in it


class Written(NamedTuple):
    """A piece: its lines, and how many of what they are."""

    parts: tuple[bytes, ...]
    persons: int
    deleted: int
    rows: int
    total: int  # sum of its record numbers


# --- whom


def touched(centre: Centre, push: Push) -> tuple[Ints, Ints]:
    """Whom a push tells of: persons to be restated, and 紐付番号 that are none any more.

    A full one tells of everybody there is, and its receiver begins with an empty table.
    """
    full = push.kind == "full"
    groups = None if full else tuple(_brought(centre, push))
    found = [np.zeros(0, np.int64), *centre.workers.map(links_of, touches(centre, groups))]
    after = people_of(centre)
    if full:
        links = np.concatenate(found)
        if not after.trivial:
            return after.owners(links), found[0]
        ordered = np.all(links[1:] > links[:-1])  # bucket by bucket, so mostly in order
        return links if ordered else np.unique(links), found[0]
    statements = centre.snapshot(PERSON_LINKS)
    found.append(named(statements.read(statements.files()), groups or ()))
    found += [forgotten(centre, path) for path in forgotten_files(centre)]
    found += [rolls.queued(centre, path) for path in rolls.queue_files(centre)]
    found.append(issued(centre, push.since_group, push.until_group))
    before = people_of(centre, pushes.brought(centre.ledger, FORMATS, 0, push.since_group))
    every = affected(np.concatenate(found), before, after)
    shown = after.canonical(every) == every
    return every[shown], every[~shown]


def issued(centre: Centre, since: int, until: int) -> Ints:
    """Raw links that got a PMH-ID in the span."""
    table, inside = centre.snapshot(ISSUES), pl.col("group_number").is_between(since + 1, until)
    files = [file for file in table.files() if origin_of(file).last > since]
    found = [table.scan(file).filter(inside).select("link_number") for file in files]
    rows = encrypted.collect_all(found, path=centre.tables[ISSUES].folder)
    return np.concatenate([np.zeros(0, np.int64), *(one["link_number"].to_numpy() for one in rows)])


def _brought(centre: Centre, push: Push) -> list[int]:
    return pushes.brought(centre.ledger, FORMATS, push.since_group, push.until_group)


def touches(centre: Centre, groups: tuple[int, ...] | None) -> Iterator[Touch]:
    """Every event has a line of 加入者資格情報, so no other section is asked whom it is about."""
    for _, files in sorted(files_of(centre, MAIN).items()):
        chosen = tuple(file for file in files if groups is None or may_hold(file, groups))
        if chosen:
            yield Touch(chosen, groups)


def links_of(centre: Centre, item: Touch) -> Ints:
    """Task: raw links under which the groups told anything."""
    table, parts = centre.tables[HISTORY], []
    for file in item.files:
        rows = table.open_file(file)
        if item.groups is not None:
            rows = rows.filter(pl.col("group_number").is_in(list(item.groups)))
        found = encrypted.collect(rows.select("link_number"), path=table.folder / file.path)
        parts.append(found["link_number"].drop_nulls().to_numpy())
    return np.unique(np.concatenate(parts))


def anything(centre: Centre, since: int, until: int) -> bool:
    """Whether there may be anything new to tell; merging files is nothing new."""
    if rolls.queue_files(centre):
        return True
    if until <= since:
        return False
    return bool(
        pushes.brought(centre.ledger, FORMATS, since, until)
        or forgotten_files(centre)
        or len(issued(centre, since, until))
    )


# --- pieces


def shares(centre: Centre, push: Push, persons: Ints, gone: Ints) -> Iterator[Share]:
    """Persons bucket by bucket, then those of several 紐付番号 with all that is to be deleted.

    Small buckets share a piece: what a piece costs beside reading its files is then paid once.
    """
    people, buckets = people_of(centre), centre.site.buckets
    apart = people.scattered(persons)
    form = centre.catalogue.formats[online.EXPORT]
    files = {section: files_of(centre, section) for section in online.sections(form)}
    alone = persons[~apart] if apart.any() else persons
    every = push.kind == "full" and people.trivial
    number, first = 1, 1
    nobody = np.zeros(0, np.int64)
    for start, stop, low, high in cuts(alone, buckets, centre.site.workers.count):
        here = {section: _within(found, low, high, buckets) for section, found in files.items()}
        mine, where = alone[start:stop], f"{low:04d}-{high:04d}"
        whole = every and high > low
        yield Share(push.sequence, number, here, mine, mine, nobody, where, first, whole)
        number, first = number + 1, first + len(mine)
    others = persons[apart]
    if len(others) or len(gone):
        raw = np.unique(np.concatenate([others, people.raw_links(others)[1]]))
        places = np.unique(bucket_of_link(raw, buckets)).tolist()
        everywhere = {
            section: tuple(
                file for at in places for file in found.get(bucket_label(at, buckets), ())
            )
            for section, found in files.items()
        }
        yield Share(
            push.sequence, number, everywhere, raw, others, gone, rolls.ANY, first, whole=False
        )


def cuts(links: Ints, buckets: int, workers: int) -> Iterator[tuple[int, int, int, int]]:
    """Pieces of ascending 紐付番号: from, to, and the buckets that are whole in it, from and to.

    A part of a bucket has its own number twice.
    """
    bounds = np.searchsorted(bucket_of_link(links, buckets), np.arange(buckets + 1)).tolist()
    room = min(PERSONS, max(SMALLEST, -(-len(links) // (2 * workers))))
    low = 0
    for bucket in range(buckets):
        if bounds[bucket + 1] - bounds[low] > room and bucket > low:
            if bounds[bucket] > bounds[low]:
                yield bounds[low], bounds[bucket], low, bucket
            low = bucket
        if bounds[bucket + 1] - bounds[low] > PERSONS:
            for at in range(bounds[low], bounds[bucket + 1], PERSONS):
                yield at, min(at + PERSONS, bounds[bucket + 1]), low, low
            low = bucket + 1
    if bounds[buckets] > bounds[low]:
        yield bounds[low], bounds[buckets], low, buckets


def _within(
    found: Mapping[str, Sequence[DataFile]], low: int, high: int, buckets: int
) -> tuple[DataFile, ...]:
    """A section's files of some buckets."""
    places = range(low, max(high, low + 1))
    return tuple(file for at in places for file in found.get(bucket_label(at, buckets), ()))


def write(centre: Centre, share: Share) -> Written:
    """Task: render one piece, and leave its persons in the roll."""
    form = centre.catalogue.formats[online.EXPORT]
    people = people_of(centre)
    found = said(centre, share, [online.items(form, name) for name in online.sections(form)])
    issued = pmh_ids_of(centre, people, share.persons)
    enrol(centre, share, digests(found, share.persons, issued, online.layout(form)))
    links = np.concatenate([share.persons, share.gone])
    numbers = np.arange(share.first, share.first + len(links), dtype=np.int64)
    there = np.zeros(len(links), np.bool_)
    there[found[MAIN][PLACE].to_numpy()] = True
    texts = [
        online.padded(pl.Series("record_number", numbers), 10),
        online.padded(pl.Series("link_number", links), 16),
    ]
    replace = (
        pl.when(pl.Series(there)).then(pl.lit(online.REPLACE)).otherwise(pl.lit(online.DELETE))
    )
    whom = pl.DataFrame([*texts, _ids(links, there, issued)]).with_columns(entry_class=replace)
    parts = [render.records(form, online.PERSON, rows) for rows in whom.iter_slices(LINES)]
    rows, total = len(links), int(numbers.sum())
    for section in online.sections(form):
        lines = found.pop(section)
        place = lines[PLACE].to_numpy()
        rows, total = rows + lines.height, total + int(numbers[place].sum())
        for at in range(0, lines.height, LINES):  # as few as stay in cache
            given = [text.gather(place[at : at + LINES]) for text in texts]
            part = online.shown(lines[at : at + LINES].with_columns(given))
            parts.append(render.records(form, section, part))
    return Written(tuple(parts), len(links), int(np.count_nonzero(~there)), rows, total)


def said(centre: Centre, share: Share, items: Sequence[Sequence[str]] | None) -> Restated:
    """What holds of a share's persons; without items what decides alone."""
    form = centre.catalogue.formats[online.EXPORT]
    keys = {item.section: item.key for item in centre.catalogue.formats[FORMAT].records}
    names = online.sections(form)
    told = {
        section: _told(centre, share, section, [*keys[section], *own])
        for section, own in zip(names, items or [()] * len(names), strict=True)
    }
    return restated(told, keys, people_of(centre), share.persons)


def enrol(centre: Centre, share: Share, told: Digests) -> None:
    """Leave in the roll whom a piece tells of, and digests of what."""
    links = np.concatenate([share.persons, share.gone])
    whole = np.concatenate([told, np.full(len(share.gone), NOTHING, np.uint64)])
    rolls.put(centre, share.push, f"{share.number:05d}-{share.buckets}", links, whole)


def _told(centre: Centre, share: Share, section: str, items: Sequence[str]) -> pl.DataFrame:
    """Events of one section under the share's links: what decides, and these items."""
    trivial = people_of(centre).trivial
    decides = [name for name in SAID if not (trivial and name == MEMBER)]
    columns = list(dict.fromkeys([*decides, *items]))
    files = share.files[section]
    if not files:
        types = centre.tables[HISTORY].definition.sections[section]
        return pl.DataFrame(schema={name: types[name] for name in columns})
    return events_of(centre, files, None if share.whole else share.links, columns, None)


def _ids(links: Ints, there: Mask, issued: pl.DataFrame) -> pl.Series:
    """PMH-IDs of who is there, as text."""
    if issued.is_empty():
        return pl.Series(online.PMH_ID, [None], dtype=pl.String).new_from_index(0, len(links))
    asked = pl.DataFrame({"link_number": links})
    found = asked.join(issued, on="link_number", how="left", maintain_order="left")[online.PMH_ID]
    return online.padded(found.set(pl.Series(~there), None), 16)


# --- on disk


def leave_forgotten(centre: Centre, group: int, links: Ints) -> None:
    """Before `forget` erases: under which 紐付番号 the next push has to look once more."""
    if centre.site.partner(online.SYSTEM) is None or not len(links):
        return
    name = f"f{group:08d}"
    key = centre.keyring.random_key("push", name)
    content = np.ascontiguousarray(links, np.int64).tobytes()
    seal(centre.folder("pushes", name), content, key, f"forgotten|{name}", replace=True)


def forgotten_files(centre: Centre) -> list[Path]:
    """What `forget` left for the next push, in order of its groups."""
    return sorted(centre.folder("pushes").glob("f*"))


def forgotten(centre: Centre, path: Path) -> Ints:
    key = centre.keyring.existing_key("push", path.name)
    return np.frombuffer(unseal(path, key, f"forgotten|{path.name}"), np.int64)


def tidy(centre: Centre) -> None:
    """Destroy what is over: old rolls, and what `forget` left that a push has told of."""
    rolls.tidy(centre)
    if pushes.all_pushes(centre.ledger, states=[pushes.UNDER_WAY]):
        return
    until = pushes.told_until(centre.ledger)
    for path in forgotten_files(centre):
        if int(path.name[1:]) <= until:
            centre.keyring.destroy("push", path.name)
            durable.unlink(path)
