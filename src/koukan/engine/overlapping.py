"""Hold the spells of the persons of some groups against each other, bucket by bucket.

Nearly everybody's events lie in one bucket and are looked at there. Persons whom statements of
insurers have joined or parted may have events in several: they are few, and are looked at together.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import polars as pl

from koukan.engine.asof import BY_PERSON, events_of, events_under, files_of
from koukan.engine.centre import Centre
from koukan.engine.datafiles import may_hold
from koukan.engine.people import people_of
from koukan.errors import UsageError
from koukan.flows.registration import FORMATS, HISTORY
from koukan.flows.registration import QUALIFICATION as SECTION
from koukan.ledger import reviews
from koukan.rules.overlaps import FOUND, overlaps
from koukan.rules.register import Ints
from koukan.rules.spells import spells
from koukan.tables import encrypted
from koukan.tables.table import DataFile

WHO = ("link_number", "insurer_code", "member_id")


class Share(NamedTuple):
    """One bucket: its files, and those that may hold rows of the groups."""

    files: tuple[DataFile, ...]
    written: tuple[DataFile, ...]
    groups: tuple[int, ...]


class Looked(NamedTuple):
    """Of one bucket: overlaps, and persons who have to be looked at across buckets."""

    found: pl.DataFrame  # of FOUND
    scattered: Ints


def overlapping(centre: Centre, groups: Sequence[int]) -> pl.DataFrame:
    """What overlaps now, of spells that these groups touched: FOUND, sorted, each row once."""
    looked = list(centre.workers.map(look, shares(centre, groups)))
    others = [np.zeros(0, np.int64), *(one.scattered for one in looked)]
    scattered = np.unique(np.concatenate(others))
    parts = [FOUND.to_frame(), *(one.found for one in looked)]
    if scattered.size:
        parts.append(across(centre, scattered, groups))
    return pl.concat(parts).unique().sort(FOUND.names())


def of_review(centre: Centre, number: int) -> pl.DataFrame:
    """What overlaps now, of spells that the groups of one review touched; that is logged.

    Returns:
        FOUND, 被保険者枝番 as its ten digits.

    Raises:
        UsageError: there is no such review.
    """
    with centre.log.operation("review_persons") as operation:
        known = [one for one in reviews.reviews(centre.ledger) if one.number == number]
        if not known:
            raise UsageError("review.unknown")
        found = overlapping(centre, reviews.groups_of(centre.ledger, known[0], FORMATS))
        operation.note(rows=found.height)
    return found.with_columns(pl.col("member_id").cast(pl.String).str.zfill(10))


def shares(centre: Centre, groups: Sequence[int]) -> Iterable[Share]:
    """The buckets in which the groups wrote."""
    for _, files in sorted(files_of(centre, SECTION).items()):
        written = tuple(file for file in files if may_hold(file, groups))
        if written:
            yield Share(tuple(files), written, tuple(groups))


def look(centre: Centre, share: Share) -> Looked:
    """Task: the persons of a bucket whom the groups touched."""
    persons = touched(centre, share)["link_number"].unique().drop_nulls().to_numpy()
    people = people_of(centre)
    if people.trivial:
        return Looked(of_persons(centre, share.files, persons, share.groups), persons[:0])
    shown = np.unique(people.canonical(persons))
    index, raw = people.raw_links(shown)
    alone = np.ones(len(shown), np.bool_)
    alone[index[raw != shown[index]]] = False
    at_home = alone & np.isin(shown, persons)
    found = of_persons(centre, share.files, shown[at_home], share.groups)
    return Looked(found, shown[~at_home])


def touched(centre: Centre, share: Share) -> pl.DataFrame:
    """Of whose spells the groups told anything: WHO, after what insurers said of persons."""
    table = centre.tables[HISTORY]
    brought = pl.col("group_number").is_in(list(share.groups))
    parts = []
    for file in share.written:
        rows = table.open_file(file).filter(brought).select(WHO)
        parts.append(encrypted.collect(rows, path=table.folder / file.path))
    return people_of(centre).attribute(pl.concat(parts))


def of_persons(
    centre: Centre, files: Sequence[DataFile], links: Ints, groups: Sequence[int]
) -> pl.DataFrame:
    """Overlaps of persons all of whose events lie in these files, by their own 紐付番号."""
    if not links.size:
        return FOUND.to_frame()
    events = people_of(centre).attribute(events_of(centre, files, links, BY_PERSON, None))
    told = spells(events.filter(pl.col("link_number").is_in(pl.Series(links).implode())))
    return with_current_members(centre, overlaps(told, groups))


def across(centre: Centre, persons: Ints, groups: Sequence[int]) -> pl.DataFrame:
    """Overlaps of persons whose events lie under several 紐付番号, in several buckets."""
    people = people_of(centre)
    raw = np.unique(people.raw_links(persons)[1])
    events = people.attribute(events_under(centre, SECTION, raw, BY_PERSON))
    told = spells(events.filter(pl.col("link_number").is_in(pl.Series(persons).implode())))
    return with_current_members(centre, overlaps(told, groups))


def with_current_members(centre: Centre, found: pl.DataFrame) -> pl.DataFrame:
    """By the 被保険者枝番 that goes on."""
    insurers = found["insurer_code"].cast(pl.Int64).to_numpy()
    members = people_of(centre).current(insurers, found["member_id"].to_numpy())
    return found.with_columns(member_id=pl.Series(members, dtype=pl.Int64))
