"""When jobs run: what is due now, what was missed, when a step comes next."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from koukan import oplog
from koukan.reports.source import Source, local
from koukan.sites import Job
from koukan.sites.schedule import Schedule


def stamp_of(due: datetime) -> str:
    """A due time as the ledger writes it."""
    return due.astimezone(UTC).isoformat(timespec="minutes")


def due(source: Source) -> list[tuple[Job, datetime]]:
    """Jobs whose last due time has not been run, in order; a missed schedule runs once."""
    now = source.clock()
    found = []
    for name in sorted(source.jobs):
        job = source.jobs[name]
        at = Schedule.parse(job.schedule).latest(now)
        if at is not None and stamp_of(at) > (source.ledger.last_due(name, stamp_of(at)) or ""):
            found.append((job, at))
    return sorted(found, key=lambda item: (item[1], item[0].name))


def between(source: Source) -> list[tuple[Job, None]]:
    """Jobs that are not due and have something to do at every tick."""
    now = {job.name for job, _ in due(source)}
    jobs = [source.jobs[name] for name in sorted(source.jobs)]
    return [(job, None) for job in jobs if job.every_tick and job.name not in now]


def due_jobs(source: Source) -> list[dict[str, Any]]:
    """What is due by name.

    Returns:
        [{"job", "title", "due", "missed"}]; a time before the site was initialised is not missed.
    """
    began = oplog.began(source.root / "log")
    return [
        {
            "job": job.name,
            "title": job.title,
            "due": local(stamp_of(at)),
            "missed": began is None or at >= began,
        }
        for job, at in sorted(due(source), key=lambda item: item[0].name)
    ]


def next_run(source: Source, step: str) -> dict[str, Any] | None:
    """The next scheduled run of a step; None where no job has it.

    Returns:
        {"job", "at", "due"}: `due` when `koukan tick` would run it now.
    """
    now, waiting = source.clock(), {job.name for job, _ in due(source)}
    found = []
    for name, job in sorted(source.jobs.items()):
        if step in job.every_tick:
            return {"job": name, "at": local(stamp_of(now)), "due": True}
        at = Schedule.parse(job.schedule).following(now) if step in job.steps else None
        if at is not None:
            found.append((name not in waiting, at, name))
    if not found:
        return None
    later, at, name = min(found)
    return {"job": name, "at": local(stamp_of(at)), "due": not later}
