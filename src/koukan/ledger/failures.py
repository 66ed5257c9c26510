"""Jobs whose last run failed: what it was, for those who must mend it.

One row for each job, gone with its next run that does its work. Names and numbers only, from the
closed list that errors may carry.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, delete, select
from sqlalchemy.dialects.sqlite import insert as upsert

from koukan.ledger import schema as s
from koukan.ledger.store import Ledger


@dataclass(frozen=True)
class Failure:
    """What stopped a job.

    Args:
        failed_at: UTC, ISO.
        exit: the exit code that it calls for.
        key: entry of the word catalogue, which has the sentence and what to do next.
        where: names and numbers for it.
    """

    job: str
    failed_at: str
    exit: int
    key: str
    where: Mapping[str, str]


def failures(ledger: Ledger) -> list[Failure]:
    """By job."""
    return [
        Failure(row.job, row.failed_at, row.exit, row.key, json.loads(row.where))
        for row in ledger.read(select(s.job_failures).order_by(s.job_failures.c.job))
    ]


def put_failure(connection: Connection, failure: Failure) -> None:
    """Replace what was known of the job."""
    values = {**vars(failure), "where": json.dumps(dict(failure.where), ensure_ascii=False)}
    changed = {name: value for name, value in values.items() if name != "job"}
    row = upsert(s.job_failures).values(values)
    connection.execute(row.on_conflict_do_update(index_elements=["job"], set_=changed))


def forget_failure(connection: Connection, job: str) -> None:
    """The job has done its work since."""
    connection.execute(delete(s.job_failures).where(s.job_failures.c.job == job))
