"""How far a reception has come: what its sender is told and what operators see are the same."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from koukan.ledger import Reception
from koukan.rules.ladder import Rung, ladder
from koukan.sites import Job
from koukan.sites.schedule import Schedule

GAP = "H101"  # the one hold that ends by itself


def ladder_of(jobs: Mapping[str, Job], reception: Reception, moment: datetime) -> tuple[Rung, ...]:
    """The rungs of a reception, with what was due at a moment; times are the ledger's (UTC)."""
    reached = (reception.received_at, reception.admitted_at, reception.judged_at)
    waits = reception.outcome is None or reception.code == GAP or reception.state == "picked_up"
    due = next_run(jobs, reception.job, moment) if waits else None
    outcome = None if reception.state == "picked_up" else reception.outcome
    return ladder(reached, outcome, reception.closed_at, due)


def next_run(jobs: Mapping[str, Job], name: str, moment: datetime) -> str | None:
    """When a job is due next; None for one that the site has dropped."""
    job = jobs.get(name)
    at = Schedule.parse(job.schedule).following(moment) if job else None
    return None if at is None else at.astimezone(UTC).isoformat(timespec="seconds")
