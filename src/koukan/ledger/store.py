"""The ledger whole: receptions, groups, and what was laid out, run, held and erased."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, func, select
from sqlalchemy.dialects.sqlite import insert as upsert
from sqlalchemy.engine import Row

from koukan.ledger import schema as s
from koukan.ledger.groups import Groups
from koukan.ledger.receptions import Receptions
from koukan.ledger.statements import LAID_OUT, done


class Ledger(Receptions, Groups):
    """The one way into a site's ledger."""

    # --- outboxes

    def laid_out(self, number: int | None = None) -> list[Row[Any]]:
        """Files put into outboxes: reception, kind, sender, name, sha256, lines."""
        query = select(s.laid_out).order_by(s.laid_out.c.reception, s.laid_out.c.kind)
        if number is not None:
            query = query.where(s.laid_out.c.reception == number)
        return self.read(query)

    @staticmethod
    def put_laid_out(connection: Connection, values: Mapping[str, object]) -> None:
        done(connection, LAID_OUT, values)

    # --- jobs

    def last_due(self, job: str, until: str) -> str | None:
        """The last due time up to one: later ones are those of a clock that was wrong."""
        query = select(func.max(s.job_runs.c.due)).where(s.job_runs.c.job == job)
        query = query.where(s.job_runs.c.due <= until)
        found = self.read(query)[0][0]
        return None if found is None else str(found)

    def put_job_run(self, job: str, due: str, finished_at: str, seconds: float, exit_: int) -> None:
        values = {"finished_at": finished_at, "seconds": seconds, "exit": exit_}
        with self.begin() as connection:
            row = upsert(s.job_runs).values(job=job, due=due, **values)
            connection.execute(
                row.on_conflict_do_update(index_elements=["job", "due"], set_=values)
            )

    # --- leases

    def note_lease(self, name: str, holder: str, since: str) -> None:
        """For `status` only: what excludes others is the lock that the holder's process has."""
        with self.begin() as connection:
            row = upsert(s.leases).values(name=name, holder=holder, since=since)
            changed = {"holder": holder, "since": since}
            connection.execute(row.on_conflict_do_update(index_elements=["name"], set_=changed))

    def leases(self) -> list[Row[Any]]:
        return self.read(select(s.leases).order_by(s.leases.c.name))

    # --- erasures

    def erasures(self) -> list[Row[Any]]:
        return self.read(select(s.erasures).order_by(s.erasures.c.what, s.erasures.c.number))

    @staticmethod
    def put_erasure(connection: Connection, values: Mapping[str, object]) -> None:
        connection.execute(upsert(s.erasures).values(values).on_conflict_do_nothing())
