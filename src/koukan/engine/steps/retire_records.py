"""retire_records: months of 情報提供等記録 that have been kept for long enough leave for good.

A month is over when its last day is longer ago than `records.kept_years`. Each month is a partition
under a key of its own: nothing has to be written anew. Order as in `forget`: the ledger names what
goes; a commit without it; then its keys, its files, and a signed record.
"""

from __future__ import annotations

from koukan.engine import rewriting
from koukan.engine.centre import Centre
from koukan.engine.rewriting import Replaced
from koukan.engine.steps import commit
from koukan.engine.steps.forget import counted, summed
from koukan.flows.disclosure import MONTH, RECORDS
from koukan.ledger import rewritings
from koukan.sites import Job
from koukan.sites.schedule import day_of, years_before
from koukan.tables import encrypted
from koukan.tables.table import DataFile

BY = ("reception", "insurer_code")


def due(centre: Centre) -> list[DataFile]:
    """Files of the months that are over."""
    limit = years_before(day_of(centre.clock()), centre.site.records.kept_years)
    month = limit.strftime("%Y-%m")  # which is not over itself
    return [one for one in centre.snapshot(RECORDS).files() if one.partition[MONTH] < month]


def run(centre: Centre, job: Job) -> None:
    """Take the months that are over out of the table."""
    commit.finish_written(centre)
    files = due(centre)
    if not files:
        return
    group = rewritings.begin(centre.ledger, rewritings.FORGET, centre.now())
    centre.observe("grouped", step="retire_records")
    with centre.log.operation("retire_records", job=job.name, group=group.number) as operation:
        table = centre.tables[RECORDS]
        counts = []
        for file in files:
            rows = table.open_file(file).select(BY)
            found = encrypted.collect(rows, path=table.folder / file.path)
            counts += counted(RECORDS, found, "")
            centre.observe("counted", step="retire_records")
        operation.note(files=len(files), erased=sum(file.rows for file in files))
    rewriting.replace(centre, group, [Replaced(RECORDS, (), tuple(files))], summed(counts))
