"""What goes to オンライン資格確認等システム (flow 1-(2)): whom a span of groups touched, restated.

Nearly everybody's events lie in one bucket and are looked at there, some persons at a time. Persons
whom statements have joined or parted may have events in several: they are few, and come last.

    pushes/o<sequence>/<piece>     a push in pieces, under a key of its own until it is laid out
    pushes/f<group>                紐付番号 of whom `forget` erased, until a push has told of it
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
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
from koukan.formats.model import Format
from koukan.keys.sealed import SealedReader, SealedWriter, seal, unseal
from koukan.ledger import online as pushes
from koukan.ledger.online import Push
from koukan.rules.register import Ints
from koukan.rules.restating import MAIN, NOTHING, SAID, Digests, affected, digests, named, restated
from koukan.tables import encrypted
from koukan.tables.definition import bucket_label, bucket_of_link
from koukan.tables.table import DataFile

PERSONS = 100_000  # persons whose lines are text at the same time, by worker
BLOCK = 2 * 1024 * 1024


class Touch(NamedTuple):
    """One bucket's files of 加入者資格情報 that may hold what is looked for."""

    files: tuple[DataFile, ...]
    groups: tuple[int, ...] | None  # None: everybody


class Share(NamedTuple):
    """Some persons to be restated: one piece of a push."""

    push: int
    number: int
    files: Mapping[str, tuple[DataFile, ...]]  # by section
    links: Ints  # raw links under which their events lie, ascending
    persons: Ints  # shown ones, ascending
    gone: Ints  # 紐付番号 that are nobody's shown one any more
    bucket: str  # in which all of it lies; `rolls.ANY`: here and there
    first: int  # レコード識別番号 of the first of both


class Written(NamedTuple):
    """What a piece holds."""

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
        return np.unique(after.canonical(np.concatenate(found))), found[0]
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
    """Persons bucket by bucket, then those of several 紐付番号 with all that is to be deleted."""
    people, buckets = people_of(centre), centre.site.buckets
    apart = people.scattered(persons)
    form = centre.catalogue.formats[online.EXPORT]
    files = {section: files_of(centre, section) for section in online.sections(form)}
    number, first = 1, 1
    alone = persons[~apart]
    bounds = np.searchsorted(bucket_of_link(alone, buckets), np.arange(buckets + 1)).tolist()
    nobody = np.zeros(0, np.int64)
    for bucket, (start, stop) in enumerate(pairwise(bounds)):
        label = bucket_label(bucket, buckets)
        here = {section: tuple(found.get(label, ())) for section, found in files.items()}
        for at in range(start, stop, PERSONS):
            mine = alone[at : min(at + PERSONS, stop)]
            yield Share(push.sequence, number, here, mine, mine, nobody, label, first)
            number, first = number + 1, first + len(mine)
    others = persons[apart]
    if len(others) or len(gone):
        raw = np.unique(np.concatenate([others, people.raw_links(others)[1]]))
        labels = {
            bucket_label(at, buckets) for at in np.unique(bucket_of_link(raw, buckets)).tolist()
        }
        everywhere = {
            section: tuple(file for label in sorted(labels) for file in found.get(label, ()))
            for section, found in files.items()
        }
        yield Share(push.sequence, number, everywhere, raw, others, gone, rolls.ANY, first)


def write(centre: Centre, share: Share) -> Written:
    """Task: render and seal one piece."""
    form = centre.catalogue.formats[online.EXPORT]
    keys = {item.section: item.key for item in centre.catalogue.formats[FORMAT].records}
    told = {
        section: _told(centre, share, form, section, keys[section])
        for section in online.sections(form)
    }
    people = people_of(centre)
    found = restated(told, keys, people, share.persons)
    issued = pmh_ids_of(centre, people, share.persons)
    whom = _whom(share, found[MAIN], issued)
    enrol(centre, share, digests(found, share.persons, issued, online.layout(form)))
    parts = [render.records(form, online.PERSON, online.shown(whom))]
    rows, total = whom.height, int(whom["record_number"].sum())
    for section in online.sections(form):
        lines = found[section].join(
            whom.select("link_number", "record_number"),
            on="link_number", how="inner", maintain_order="left",
        )  # fmt: skip
        rows, total = rows + lines.height, total + int(lines["record_number"].sum())
        parts.append(render.records(form, section, online.shown(lines)))
    seal_piece(centre, share.push, share.number, b"".join(parts))
    deleted = int((whom["entry_class"] == online.DELETE).sum())
    return Written(whom.height, deleted, rows, total)


def _told(
    centre: Centre, share: Share, form: Format, section: str, key: Sequence[str]
) -> pl.DataFrame:
    """Events of one section under the share's links: what decides, and the items that are sent."""
    columns = list(dict.fromkeys([*SAID, *key, *online.items(form, section)]))
    files = share.files[section]
    if not files:
        types = centre.tables[HISTORY].definition.sections[section]
        return pl.DataFrame(schema={name: types[name] for name in columns})
    return events_of(centre, files, share.links, columns, None)


def enrol(centre: Centre, share: Share, told: Digests) -> None:
    """Leave in the roll whom a piece tells of, and digests of what."""
    links = np.concatenate([share.persons, share.gone])
    whole = np.concatenate([told, np.full(len(share.gone), NOTHING, np.uint64)])
    rolls.put(centre, share.push, f"{share.number:05d}-{share.bucket}", links, whole)


def _whom(share: Share, held: pl.DataFrame, ids: pl.DataFrame) -> pl.DataFrame:
    """Lines of persons: replace who has any spell, delete everybody else."""
    links = np.concatenate([share.persons, share.gone])
    found = pl.DataFrame(
        {"link_number": links, "record_number": np.arange(share.first, share.first + len(links))}
    )
    there = pl.col("link_number").is_in(held["link_number"].unique().implode())
    action = pl.when(there).then(pl.lit(online.REPLACE)).otherwise(pl.lit(online.DELETE))
    found = found.with_columns(entry_class=action)
    given = found.join(ids, on="link_number", how="left", maintain_order="left")
    kept = pl.when(pl.col("entry_class") == online.REPLACE).then(online.PMH_ID)
    return given.with_columns(kept.alias(online.PMH_ID))


# --- on disk


def push_label(sequence: int) -> str:
    return f"o{sequence:06d}"


def start(centre: Centre, sequence: int) -> None:
    """An empty folder and a key; what a killed run had begun under the number goes."""
    discard(centre, sequence)
    folder = centre.folder("pushes", push_label(sequence))
    folder.mkdir(mode=0o700)
    durable.sync_folder(folder.parent)
    centre.keyring.random_key("push", push_label(sequence))
    rolls.start(centre, sequence)


def seal_piece(centre: Centre, sequence: int, piece: int, content: bytes) -> None:
    """Write a piece of a push durably."""
    name = push_label(sequence)
    key = centre.keyring.existing_key("push", name)
    path = centre.folder("pushes", name, f"{piece:05d}")
    with SealedWriter(path, key, f"push|{name}|{piece}", replace=True) as file:
        file.write(content)


def blocks(centre: Centre, sequence: int) -> Iterator[bytes]:
    """The push as it is before it is encrypted, block by block."""
    name = push_label(sequence)
    key = centre.keyring.existing_key("push", name)
    for path in sorted(centre.folder("pushes", name).iterdir()):
        with SealedReader(path, key, f"push|{name}|{int(path.name)}") as piece:
            yield from piece.blocks(BLOCK)


def discard(centre: Centre, sequence: int) -> None:
    """Key, then pieces; once more changes nothing."""
    name = push_label(sequence)
    centre.keyring.destroy("push", name)
    folder = centre.folder("pushes", name)
    if folder.exists():
        shutil.rmtree(folder)
        durable.sync_folder(folder.parent)


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
    """Destroy what is laid out: keys, pieces, and what `forget` left that a push has told of."""
    under_way = {push.sequence for push in pushes.all_pushes(centre.ledger, states=["open"])}
    labels = {path.name for path in centre.folder("pushes").glob("o*")}
    labels |= {path.stem for path in centre.folder("keyring", "random", "push").glob("o*.key")}
    for label in sorted(labels):
        if int(label[1:]) not in under_way:
            discard(centre, int(label[1:]))
    rolls.tidy(centre)
    if under_way:
        return
    until = pushes.told_until(centre.ledger)
    for path in forgotten_files(centre):
        if int(path.name[1:]) <= until:
            centre.keyring.destroy("push", path.name)
            durable.unlink(path)
