"""notify: the qualification side tells for whom a 機関別符号 is wanted, by itself.

Flow 2-(1), step 1-1: of the groups since the last time, everybody who is in the 資格履歴 and for
whom nothing was ever wanted. Most are persons whom registrations named for the first time; a person
who was parted from another one is among them, as the code stays with the other. Not among them is
whoever has no qualification any more for so long that a code would go at once (`retire_codes`). A
group of its own writes them down; killed before it is `written`, nothing has happened.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import polars as pl
from sqlalchemy import Connection

from koukan.engine import codes as events
from koukan.engine import rewriting
from koukan.engine.asof import BY_PERSON, events_under, files_of
from koukan.engine.centre import Centre
from koukan.engine.datafiles import may_hold
from koukan.engine.people import people_of
from koukan.engine.rewriting import Replaced
from koukan.flows.codes import CODES
from koukan.flows.registration import FORMATS, HISTORY, PERSON_LINKS, QUALIFICATION
from koukan.ledger import codes as asked
from koukan.ledger import online, rewritings
from koukan.rules.linkage import WANTED
from koukan.rules.register import Ints
from koukan.rules.restating import named
from koukan.rules.spells import spells
from koukan.sites import Job
from koukan.tables import encrypted
from koukan.tables.table import DataFile

PLACE = ("link_number", "reception", "line_number")


class Share(NamedTuple):
    """Files of one bucket that may hold rows of the groups."""

    files: tuple[DataFile, ...]
    groups: tuple[int, ...]


def run(centre: Centre, job: Job) -> None:
    """Look at the groups since the last time."""
    if not events.active(centre):
        return
    since, until = asked.gathered_until(centre.ledger), online.committed_until(centre.ledger)
    groups = online.brought(centre.ledger, FORMATS, since, until)
    if not groups:
        return
    with centre.log.operation("want", job=job.name) as operation:
        found = gathered(centre, groups)
        want(centre, found, until)
        operation.note(asked=found.height)


def want(centre: Centre, found: pl.DataFrame, until: int) -> None:
    """Write down whom the groups up to this one made wanted."""

    def note(transaction: Connection) -> None:
        asked.put_gathering(transaction, until, centre.now())
        asked.put_events(transaction, events.counted(rows))

    group = rewritings.begin(centre.ledger, rewritings.WANT, centre.now())
    centre.observe("grouped", step="notify")
    rows = events.rows_of(found, group.number, event=WANTED)
    files = tuple(events.write(centre, group.number, 1, rows))
    rewriting.replace(centre, group, [Replaced(CODES, files, ())], note=note)


def gathered(centre: Centre, groups: list[int]) -> pl.DataFrame:
    """PLACE of who is newly linked, each person once, under the 紐付番号 that it is shown by."""
    found = [parted(centre, groups)]
    for done in centre.workers.map(newly_linked, shares(centre, groups)):
        found.append(done)
        centre.observe("gathered", step="notify", done=len(found) - 1)
    first = pl.concat(found).sort(PLACE, nulls_last=True)
    return first.unique("link_number", keep="first", maintain_order=True)


def shares(centre: Centre, groups: list[int]) -> Iterator[Share]:
    """The buckets in which the groups wrote."""
    for _, files in sorted(files_of(centre, QUALIFICATION).items()):
        written = tuple(file for file in files if may_hold(file, groups))
        if written:
            yield Share(written, tuple(groups))


def newly_linked(centre: Centre, share: Share) -> pl.DataFrame:
    """Task: PLACE of the persons of a bucket of whom the groups told and nothing was wanted."""
    table = centre.tables[HISTORY]
    brought = pl.col("group_number").is_in(list(share.groups))
    rows = [table.open_file(file).filter(brought).select(BY_PERSON) for file in share.files]
    told = pl.concat(encrypted.collect_all(rows, path=table.folder))
    return without(centre, people_of(centre).attribute(told))


def parted(centre: Centre, groups: list[int]) -> pl.DataFrame:
    """PLACE of the persons whom the groups' statements name, and who are in the 資格履歴."""
    people, table = people_of(centre), centre.snapshot(PERSON_LINKS)
    links = named(table.read(table.files()), groups)
    _, raw = people.raw_links(links)
    told = people.attribute(events_under(centre, QUALIFICATION, np.unique(raw), BY_PERSON))
    mine = pl.col("link_number").is_in(pl.Series(people.canonical(links)).implode())
    return without(centre, told.filter(mine))


def without(centre: Centre, told: pl.DataFrame) -> pl.DataFrame:
    """PLACE of those for whom nothing was ever wanted, where they were told of first.

    Args:
        told: BY_PERSON, all that some groups said of their persons; of whom nothing was wanted they
            are the first to say anything since a code was kept.
    """
    told = told.filter(pl.col("link_number").is_not_null())
    first = told.select(PLACE)
    first = first.cast(dict.fromkeys(PLACE, pl.Int64())).sort(PLACE)
    first = first.unique("link_number", keep="first", maintain_order=True)
    persons: Ints = first["link_number"].to_numpy()
    new = first.join(events.states_of(centre, persons), on="link_number", how="anti")
    found = spells(told.join(new, on="link_number", how="semi"))
    return new.filter(~pl.col("link_number").is_in(events.over(centre, found)))
