"""Run jobs: their steps in order, groups one after another, from wherever the last run stopped."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import polars as pl

from koukan import durable
from koukan.engine import approvals, groups
from koukan.engine.centre import Centre, wipe
from koukan.engine.groups import Chunk, stage_of
from koukan.engine.leases import lease
from koukan.engine.stages import Stage
from koukan.engine.steps import (
    acknowledge,
    admit,
    ask,
    commit,
    confirm,
    deliver,
    erase,
    expire,
    gate,
    link,
    package,
    pick_up,
    request,
    send,
    split,
    validate,
)
from koukan.errors import Exit, UsageError
from koukan.flows import identity
from koukan.ledger import Group
from koukan.reports.identity import clock
from koukan.sites import Job
from koukan.sites.schedule import Schedule
from koukan.tables.log import LOG

FILE_STEPS: dict[str, Callable[[Centre, Job], Collection[int] | None]] = {
    "pick_up": pick_up.run,
    "gate": gate.run,
    "admit": admit.run,
    "request": request.run,
    "send": send.run,
    "package": package.run,
    "deliver": deliver.run,
    "acknowledge": acknowledge.run,
    "erase": erase.run,
    "expire": expire.run,
}
# Steps over groups of receptions: what follows `validate` depends on what the files are.
CONCLUDED: dict[str, Callable[[Centre, Group, list[Chunk], Iterator[pl.DataFrame]], None]] = {
    **dict.fromkeys(identity.QUESTIONS, ask.run),
    identity.ANSWER: split.run,
    identity.RECEIPT: confirm.run,
}
UNFINISHED = f"{durable.TEMPORARY}*"
STAGED = "*#*"  # what delta-rs writes before it links it under the name of a commit
ASKING = frozenset(("request", "send", "split", "package"))  # a job with one waits for answers
GROUP_STEPS = ("validate", "link", "commit", "ask", "split", "confirm")


class Ran(NamedTuple):
    """What a job did: numbers of the receptions it told their senders about, and its exit code."""

    job: str
    receptions: tuple[int, ...]
    seconds: float
    exit: Exit


def run_job(centre: Centre, name: str) -> Ran:
    """Run one job now, under its lease.

    Raises:
        UsageError: there is no such job.
        LeaseHeld: another process runs it.
        IntegrityError: something is not what was left there; nothing was done to it.
    """
    if name not in centre.jobs:
        raise UsageError("engine.no_job", job=name, known=", ".join(sorted(centre.jobs)))
    job = centre.jobs[name]
    began = time.monotonic()
    # One lease for all jobs: they share the receptions, and a night has room for one after another.
    with lease(centre.folder("locks"), centre.ledger, "jobs", centre.clock()):
        require_tables(centre)
        tidy(centre)
        untold = {item.number for item in centre.ledger.untold()}
        highest = centre.ledger.newest()
        untold |= run_steps(centre, job)
        untold |= set(range(highest + 1, centre.ledger.newest() + 1))
    told = tuple(sorted(untold))
    found = judge(centre, told)
    if ASKING.intersection(job.steps):
        found = max(found, clock(centre))
    return Ran(name, told, time.monotonic() - began, found)


def require_tables(centre: Centre) -> None:
    """Nothing is begun with tables that are not what the ledger says, or a ledger set back.

    Raises:
        TableRefused: they do not belong together.
    """
    for name in sorted(centre.tables):
        centre.snapshot(name)


def tidy(centre: Centre) -> None:
    """Remove what killed runs left unfinished; only the holder of the jobs' lease may.

    Unfinished files of tables are left to `sweep`, which knows when there can be any: there are too
    many folders to look into each time.
    """
    wipe(centre.folder("temporary"))
    approvals.tidy(centre)
    sealed = ("definitions", "originals", "results", "questions", "packages")
    folders = [centre.folder(name) for name in sealed]
    folders += centre.folder("keyring", "random").glob("*")
    folders += [centre.outbox(sender.name).folder for sender in centre.site.senders]
    for folder in folders:
        remove_unfinished(folder.glob(UNFINISHED))
    under_way = [group.number for group in centre.ledger.open_groups()]
    for stage in Stage.left(centre.folder("stages"), centre.keyring, centre.kept, under_way):
        stage.drop()


def remove_unfinished(paths: Iterable[Path]) -> None:
    for path in list(paths):
        path.unlink()


def run_steps(centre: Centre, job: Job) -> set[int]:
    """The job's steps in order; the group steps go group by group.

    Returns:
        the receptions whose senders were told, some of them for a second time.
    """
    grouped = False
    told: set[int] = set()
    for step in job.steps:
        if step in GROUP_STEPS:
            if not grouped:
                run_groups(centre, job.formats)
            grouped = True
        else:
            centre.observe("entered", step=step)
            told.update(FILE_STEPS[step](centre, job) or ())
    return told


def run_groups(centre: Centre, formats: Collection[str]) -> None:
    """Finish the groups of these formats that are under way, then form and run new ones."""
    for group in centre.ledger.open_groups():
        if group.format in formats:
            run_group(centre, group)
    for chosen in groups.choose(centre, formats):
        number = centre.ledger.form_group(chosen[0].format, chosen, centre.now())
        centre.observe("grouped", step="validate")
        run_group(centre, centre.ledger.group(number))


def run_group(centre: Centre, group: Group) -> None:
    """From its originals, or, when everything is written, from the commits that are missing."""
    if group.state == "open":
        centre.ledger.new_attempt(group.number)
        group = centre.ledger.group(group.number)
        sweep(centre, group)
        centre.observe("entered", step="validate")
        chunks, findings = validate.run(centre, group)
        if group.format in CONCLUDED:
            CONCLUDED[group.format](centre, group, chunks, findings)
            stage_of(centre, group.number, group.attempt).drop()
            centre.observe("stages dropped", step="validate")
            return
        centre.observe("entered", step="link")
        outcome = link.run(centre, group, chunks, findings)
        centre.observe("entered", step="commit")
        commit.run(centre, group, chunks, outcome)
    else:
        centre.observe("entered", step="commit")
        remove_unfinished(centre.folder("tables").glob(f"*/{LOG}/{STAGED}"))
    commit.finish(centre, centre.ledger.group(group.number))


def sweep(centre: Centre, group: Group) -> None:
    """Unlink exactly the data files that earlier attempts at this group left behind."""
    if group.attempt > 1:
        remove_unfinished(centre.folder("tables").rglob(UNFINISHED))
        for name, table in centre.tables.items():
            for path in table.orphans(centre.snapshot(name), name_prefix=f"g{group.number:08d}-"):
                path.unlink()


def judge(centre: Centre, told: tuple[int, ...]) -> Exit:
    """The largest code that the receptions call for."""
    codes = [Exit.DONE]
    for number in told:
        reception = centre.ledger.reception(number)
        rejected = any(item.rejected for item in centre.ledger.counts(number))
        if reception.outcome == "refused" or rejected:
            codes.append(Exit.REJECTS)
    if centre.ledger.receptions(outcome="held"):
        codes.append(Exit.HELD)
    return max(codes)


def due_jobs(centre: Centre) -> list[tuple[Job, datetime]]:
    """Jobs whose last due time has not been run; a missed schedule runs once."""
    now = centre.clock()
    found = []
    for name in sorted(centre.jobs):
        job = centre.jobs[name]
        due = Schedule.parse(job.schedule).latest(now)
        if due is None:
            continue
        stamp = due.astimezone(UTC).isoformat(timespec="minutes")
        if stamp > (centre.ledger.last_due(name, stamp) or ""):
            found.append((job, due))
    return sorted(found, key=lambda item: (item[1], item[0].name))


def tick(centre: Centre) -> list[Ran]:
    """Run what is due: the only thing that cron or a timer calls. Never waits for a person."""
    done = []
    for job, due in due_jobs(centre):
        ran = run_job(centre, job.name)
        stamp = due.astimezone(UTC).isoformat(timespec="minutes")
        centre.ledger.put_job_run(job.name, stamp, centre.now(), ran.seconds, int(ran.exit))
        done.append(ran)
    return done
