"""retire: PMH-IDs of persons whose last qualification ended long ago leave the issue history.

How long is `pmh.issue_kept_years` of the site. As `forget`, it writes the files of the buckets
concerned anew under new keys, destroys the old ones and signs a record. The persons stay: the next
push to OQS tells them without a PMH-ID, and whoever of them PMH asks for gets a new one.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import NamedTuple

import numpy as np

from koukan.engine import rewriting
from koukan.engine.asof import BY_PERSON, events_under
from koukan.engine.centre import Centre
from koukan.engine.online import leave_forgotten
from koukan.engine.people import people_of
from koukan.engine.steps import commit
from koukan.engine.steps.forget import NOBODY, Gone, Strip, renew, strip, summed
from koukan.flows.pmh import ISSUES
from koukan.flows.registration import QUALIFICATION
from koukan.ledger import rewritings
from koukan.rules.issuing import retired
from koukan.rules.register import Ints
from koukan.rules.spells import spells
from koukan.sites import Job
from koukan.sites.schedule import day_of
from koukan.tables import encrypted
from koukan.tables.definition import bucket_labels
from koukan.tables.table import DataFile


class Over(NamedTuple):
    """Files of a bucket, and the raw links in them whose PMH-IDs go."""

    files: tuple[DataFile, ...]
    links: Ints


class Bucket(NamedTuple):
    """One bucket to look into."""

    label: str
    until: date  # who had the last day by then is out


def until(centre: Centre) -> date:
    """Whoever lost the last qualification by this day has been kept for long enough."""
    today = day_of(centre.clock())
    day = 28 if (today.month, today.day) == (2, 29) else today.day
    return date(today.year - centre.site.pmh.issue_kept_years, today.month, day)


def due(centre: Centre) -> Iterator[Over]:
    """What is over, bucket by bucket; a bucket's persons and their events are in memory at once."""
    labels = [Bucket(label, until(centre)) for label in bucket_labels(centre.site.buckets)]
    for found in centre.workers.map(look, labels):
        if len(found.links):
            yield found


def look(centre: Centre, item: Bucket) -> Over:
    """Task: whose PMH-IDs of a bucket are over."""
    table, people = centre.snapshot(ISSUES), people_of(centre)
    files = tuple(table.files(bucket=item.label))
    if not files:
        return Over((), NOBODY)
    parts = [table.scan(file).select("link_number") for file in files]
    found = encrypted.collect_all(parts, path=centre.tables[ISSUES].folder)
    links = np.unique(np.concatenate([frame["link_number"].to_numpy() for frame in found]))
    _, raw = people.raw_links(links)
    events = events_under(centre, QUALIFICATION, np.unique(raw), BY_PERSON)
    over = retired(spells(people.attribute(events)), item.until)
    return Over(files, links[np.isin(people.canonical(links), over)])


def run(centre: Centre, job: Job) -> None:
    """Take what is over out of the issue history."""
    commit.finish_written(centre)
    over = list(due(centre))
    if not over:
        return
    group = rewritings.begin(centre.ledger, rewritings.FORGET, centre.now())
    centre.observe("grouped", step="retire")
    with centre.log.operation("retire", job=job.name, group=group.number) as operation:
        links = np.concatenate([item.links for item in over])
        leave_forgotten(centre, group.number, links)
        strips: list[Strip] = []
        for item in over:
            renew(centre, ISSUES, item.files)
            gone = Gone(NOBODY, item.links)
            for file in item.files:
                strips.append(Strip(ISSUES, file, gone, group.number, len(strips)))
        done = []
        for stripped in centre.workers.map(strip, strips):
            done.append(stripped)
            centre.observe("wrote", step="retire", done=len(done), total=len(strips))
        operation.note(files=len(done), erased=len(links))
    counts = [count for item in done for count in item.counts]
    rewriting.replace(centre, group, [item.replaced for item in done], summed(counts))
