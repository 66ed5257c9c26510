"""retire: what was issued to persons who lost their last qualification long ago goes for good.

PMH-IDs leave the issue history (`pmh.issue_kept_years`), 機関別符号 and all that became of asking
for them their table (`codes.kept_years`, `online.needed_years`): the old codes that were given up
for new ones as well, which were history until then. As `forget`, it writes the files of the buckets
concerned anew under new keys, destroys the old ones and signs a record. The persons stay: the next
push to OQS tells them without a PMH-ID, whoever of them PMH asks for gets a new one, and for whom
an insurer registers again a code is wanted again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import polars as pl

from koukan.engine import codes, rewriting
from koukan.engine.asof import BY_PERSON, events_under
from koukan.engine.centre import Centre
from koukan.engine.online import leave_forgotten
from koukan.engine.people import people_of
from koukan.engine.steps import commit
from koukan.engine.steps.forget import NOBODY, Gone, Strip, renew, strip, summed
from koukan.flows.codes import CODES
from koukan.flows.pmh import ISSUES
from koukan.flows.registration import QUALIFICATION
from koukan.ledger import rewritings
from koukan.rules.issuing import retired
from koukan.rules.linkage import under_way
from koukan.rules.register import Ints
from koukan.rules.spells import spells
from koukan.sites import Job
from koukan.sites.schedule import day_of, years_before
from koukan.tables import encrypted
from koukan.tables.definition import bucket_labels
from koukan.tables.table import DataFile

READ = {ISSUES: ("link_number",), CODES: ("link_number", "event", "group_number")}


class Over(NamedTuple):
    """Files of a bucket, and the raw links in them whose rows go."""

    files: tuple[DataFile, ...]
    links: Ints


class Bucket(NamedTuple):
    """One bucket of a table to look into."""

    table: str
    label: str


def due(centre: Centre, table: str) -> Iterator[Over]:
    """What is over, bucket by bucket; a bucket's persons and their events are in memory at once."""
    labels = [Bucket(table, label) for label in bucket_labels(centre.site.buckets)]
    for found in centre.workers.map(look, labels):
        if len(found.links):
            yield found


def look(centre: Centre, item: Bucket) -> Over:
    """Task: whose rows in a bucket are over."""
    table, people = centre.snapshot(item.table), people_of(centre)
    files = tuple(table.files(bucket=item.label))
    if not files:
        return Over((), NOBODY)
    parts = [table.scan(file).select(READ[item.table]) for file in files]
    rows = pl.concat(encrypted.collect_all(parts, path=centre.tables[item.table].folder))
    links = np.unique(rows["link_number"].to_numpy())
    _, raw = people.raw_links(links)
    events = people.attribute(events_under(centre, QUALIFICATION, np.unique(raw), BY_PERSON))
    persons = persons_over(centre, item.table, spells(events))
    mine = links[np.isin(people.canonical(links), persons)]
    if item.table == CODES:
        mine = np.setdiff1d(mine, under_way(rows))
    return Over(files, mine)


def persons_over(centre: Centre, table: str, found: pl.DataFrame) -> Ints:
    """The persons of these spells whose rows in the table have been kept for long enough."""
    if table == CODES:
        return codes.over(centre, found)
    return retired(found, years_before(day_of(centre.clock()), centre.site.pmh.issue_kept_years))


def run(centre: Centre, job: Job) -> None:
    """Take PMH-IDs that are over out of the issue history."""
    take_out(centre, job, ISSUES, "retire")


def run_codes(centre: Centre, job: Job) -> None:
    """Take what is over out of 機関別符号ファイル."""
    take_out(centre, job, CODES, "retire_codes")


def take_out(centre: Centre, job: Job, table: str, step: str) -> None:
    """Write the buckets of a table in which something is over anew without it."""
    commit.finish_written(centre)
    over = list(due(centre, table))
    if not over:
        return
    group = rewritings.begin(centre.ledger, rewritings.FORGET, centre.now())
    centre.observe("grouped", step=step)
    with centre.log.operation(step, job=job.name, group=group.number) as operation:
        links = np.concatenate([item.links for item in over])
        if table == ISSUES:
            leave_forgotten(centre, group.number, links)
        strips: list[Strip] = []
        for item in over:
            renew(centre, table, item.files)
            gone = Gone(NOBODY, item.links)
            for file in item.files:
                strips.append(Strip(table, file, gone, group.number, len(strips)))
        done = []
        for stripped in centre.workers.map(strip, strips):
            done.append(stripped)
            centre.observe("wrote", step=step, done=len(done), total=len(strips))
        operation.note(files=len(done), erased=len(links))
    counts = [count for item in done for count in item.counts]
    rewriting.replace(centre, group, [item.replaced for item in done], summed(counts))
