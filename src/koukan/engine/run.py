"""Run jobs: their steps in order, groups one after another, from wherever the last run stopped."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import polars as pl

from koukan.engine import apart, approvals, faults, groups, rewriting
from koukan.engine.centre import Centre
from koukan.engine.groups import Chunk, relieve, stage_of
from koukan.engine.leases import lease
from koukan.engine.leftovers import UNFINISHED, remove_files, remove_staged, remove_unfinished
from koukan.engine.stages import Stage
from koukan.engine.steps import (
    acknowledge,
    admit,
    allot,
    ask,
    commit,
    compact,
    confirm,
    correct,
    deliver,
    deposit,
    disclose,
    erase,
    expire,
    export,
    extract,
    fetch,
    forget,
    gate,
    hand_out,
    hand_over,
    instruct,
    issue,
    link,
    notify,
    package,
    pick_up,
    provide,
    report,
    request,
    request_codes,
    retire,
    retire_records,
    return_copies,
    review,
    send,
    send_codes,
    split,
    take_codes,
    take_in,
    tell_codes,
    validate,
    want,
)
from koukan.errors import Exit, IntegrityError, KoukanError, LeaseHeld, UsageError
from koukan.flows import codes, copies, disclosure, identity, online, pmh, usage
from koukan.ledger import Group, Reception
from koukan.reports.codes import clock as code_clock
from koukan.reports.copies import RETURNS, standing_copies
from koukan.reports.due import between, due, stamp_of
from koukan.reports.hosts import standing_hosts
from koukan.reports.identity import clock
from koukan.reports.inboxes import closed_inboxes
from koukan.reports.online import clock_online
from koukan.reports.usage import PROVIDES, standing_usage
from koukan.reports.work import Work, moved, since, tally
from koukan.sites import Job

FILE_STEPS: dict[str, Callable[[Centre, Job], Collection[int] | None]] = {
    "pick_up": pick_up.run,
    "gate": gate.run,
    "admit": admit.run,
    "request": request.run,
    "request_immediate": request.run_immediate,
    "send": send.run,
    "package": package.run,
    "deliver": deliver.run,
    "acknowledge": acknowledge.run,
    "report": report.run,
    "correct": correct.run,
    "erase": erase.run,
    "expire": expire.run,
    "compact": compact.run,
    "forget": forget.run,
    "review": review.run,
    "hand_out": hand_out.run,
    "export": export.run,
    "fetch": fetch.run,
    "hand_over": hand_over.run,
    "provide": provide.run,
    "notify": notify.run,
    "instruct": instruct.run,
    "request_codes": request_codes.run,
    "send_codes": send_codes.run,
    "tell_codes": tell_codes.run,
    "retire": retire.run,
    "retire_codes": retire.run_codes,
    "retire_records": retire_records.run,
    "return_copies": return_copies.run,
}
# Steps over groups of receptions: what follows `validate` depends on what the files are.
CONCLUDED: dict[str, Callable[[Centre, Group, list[Chunk], Iterator[pl.DataFrame]], None]] = {
    **dict.fromkeys(identity.QUESTIONS, ask.run),
    identity.ANSWER: split.run,
    identity.RECEIPT: confirm.run,
    pmh.RECEIPT: confirm.run,
    disclosure.RECEIPT: confirm.run,
    pmh.REQUEST: issue.run,
    disclosure.REQUEST: disclose.run,
    usage.LOG: allot.run,
    online.RESPONSE: take_in.run,
    codes.QUERY: want.run,
    codes.ANSWER: take_codes.run,
    copies.REGISTRATION: deposit.run,
    copies.QUERY: extract.run,
}
ASKING = frozenset(
    ("request", "request_immediate", "send", "split", "package")
)  # a job with one waits for answers
CODING = frozenset(("request_codes", "send_codes"))  # a job with one waits for codes
GOING = frozenset(("fetch", "hand_over"))  # a job with one goes to partners' hosts
GROUP_STEPS = (
    *("validate", "link", "commit", "ask", "split", "confirm", "issue", "allot", "take_in"),
    *("want", "take_codes", "disclose", "deposit", "extract"),
)


class Ran(NamedTuple):
    """What a job did.

    Args:
        receptions: numbers of its own receptions that came or went on in this run.
        work: what it did with requests and packages, see `koukan.reports.work`.
        failure: what stopped it, if anything did; `exit` is that error's code then.
    """

    job: str
    receptions: tuple[int, ...]
    seconds: float
    exit: Exit
    work: Work | None = None
    failure: KoukanError | None = None


def require_job(centre: Centre, name: str) -> Job:
    """The job of that name.

    Raises:
        UsageError: there is no such job.
    """
    if name not in centre.jobs:
        raise UsageError("engine.no_job", job=name, known=", ".join(sorted(centre.jobs)))
    return centre.jobs[name]


def run_job(centre: Centre, name: str, *, between: bool = False) -> Ran:
    """Run one job now, under its lease.

    Args:
        between: only what it does at every tick.

    Raises:
        UsageError: there is no such job.
        LeaseHeld: another process runs it.
        IntegrityError: something is not what was left there; nothing was done to it.
        Exception: whatever stopped it, of which ledger and log know then.
    """
    job = require_job(centre, name)
    if between:
        job = job.model_copy(update={"steps": job.every_tick})
    began = time.monotonic()
    try:
        # One lease for all jobs: they share the receptions, and a night has room for all in turn.
        with lease(centre.folder("locks"), centre.ledger, "jobs", centre.clock()):
            ran = run_whole(centre, job)
            faults.forget(centre, name)
    except LeaseHeld:
        raise  # nothing was begun, so nothing failed
    except Exception as error:
        faults.note(centre, name, error)
        raise
    return ran._replace(seconds=time.monotonic() - began)


def run_whole(centre: Centre, job: Job) -> Ran:
    """All steps of a job, over everything that waits for them."""
    require_tables(centre)
    tidy(centre)
    rewriting.settle(centre)
    before = {item.number: item for item in centre.ledger.untold()}
    highest, done = centre.ledger.newest(), tally(centre)
    looked_at = before.keys() | run_steps(centre, job)
    looked_at |= set(range(highest + 1, centre.ledger.newest() + 1))
    own = tuple(sorted(went_on(centre, job, before, looked_at)))
    found = judge(centre, own)
    if ASKING.intersection(job.steps):
        found = max(found, clock(centre))
    if CODING.intersection(job.steps):
        found = max(found, code_clock(centre))
    if GOING.intersection(job.steps):
        found = max(found, standing_hosts(centre))
    if PROVIDES in job.steps:
        found = max(found, standing_usage(centre))
    if RETURNS in job.steps:
        found = max(found, standing_copies(centre))
    if "take_in" in job.steps:
        found = max(found, clock_online(centre))
    return Ran(job.name, own, 0.0, found, since(done, tally(centre), job))


def went_on(
    centre: Centre, job: Job, before: Mapping[int, Reception], looked_at: Iterable[int]
) -> Iterator[int]:
    """Receptions that this job took and that are not as they were: others wait, or are others'."""
    for reception in centre.ledger.receptions_of(sorted(looked_at)):
        if reception.job == job.name and reception != before.get(reception.number):
            yield reception.number


def require_tables(centre: Centre) -> None:
    """Nothing is begun with tables that are not what the ledger says, or a ledger set back.

    Raises:
        TableRefused: they do not belong together.
    """
    for name in sorted(centre.tables):
        centre.snapshot(name)


def tidy(centre: Centre) -> None:
    """Remove what killed runs left unfinished; only the holder of the jobs' lease may.

    Unfinished files of tables are left to `remove_files`, where there can be any: there are too
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


def wipe(folder: Path) -> None:
    """Empty a private folder of temporary files."""
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


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
        if group.attempt > 1:
            remove_files(centre, group)
        centre.observe("entered", step="validate")
        chunks, failed = validate.run(centre, group)
        if group.format in CONCLUDED:
            findings = validate.explained(centre, failed)
            CONCLUDED[group.format](centre, group, chunks, findings)
            stage_of(centre, group.number, group.attempt).drop()
            centre.observe("stages dropped", step="validate")
            return
        centre.observe("entered", step="link")
        relieve(chunks)
        outcome = link.run(centre, group, chunks)
        centre.observe("entered", step="commit")
        relieve(chunks)
        written = [outcome]
        del outcome  # `commit` frees what it has written
        commit.run(centre, group, chunks, failed, written.pop())
    else:
        centre.observe("entered", step="commit")
        remove_staged(centre)
    commit.finish(centre, centre.ledger.group(group.number))


def judge(centre: Centre, told: tuple[int, ...]) -> Exit:
    """The largest code that the receptions call for."""
    codes = [Exit.DONE]
    refused = any(item.outcome == "refused" for item in centre.ledger.receptions_of(told))
    if refused or any(item.rejected for item in centre.ledger.counts_of(told)):
        codes.append(Exit.REJECTS)
    if centre.ledger.receptions(outcome="held"):
        codes.append(Exit.HELD)
    if closed_inboxes(centre):
        codes.append(Exit.CONFIGURATION)
    return max(codes)


def run_as_actor(centre: Centre, job: Job, *, between: bool) -> Ran:
    """Run a job here, or in a process of its own where it has another actor.

    Raises:
        Exception: see `run_job`; of another process one with its exit code.
    """
    other = apart.actor_of(centre, job)
    if other is None:
        return run_job(centre, job.name, between=between)
    return Ran(job.name, (), *apart.run_apart(centre, job, other))


def tick(centre: Centre) -> list[Ran]:
    """Run what is due: the only thing that cron or a timer calls. Never waits for a person.

    Between its times a job may have something to do at every tick, of which only what it came to
    is told.

    A job that fails stands in nobody's way: it stays due, and the others go on. Only when ledger
    or tables are not what they were is nothing done after it; and when another process runs, which
    has the one lease of all jobs.

    Raises:
        Exception: what nobody foresaw (a bug), after the others went on.
    """
    done: list[Ran] = []
    bug: Exception | None = None
    for job, at in (*due(centre), *between(centre)):
        began = time.monotonic()
        try:
            ran = run_as_actor(centre, job, between=at is None)
        except Exception as error:  # noqa: BLE001 - told, or raised when the others are done
            failure = faults.foreseen(error, centre.root)
            if failure is None:
                bug = bug or error
                continue
            if at is None and isinstance(failure, LeaseHeld):
                break  # nothing was due
            seconds = time.monotonic() - began
            done.append(Ran(job.name, (), seconds, failure.exit_code, failure=failure))
            if isinstance(failure, IntegrityError | LeaseHeld):
                break
            continue
        if at is not None:
            stamp, ended = stamp_of(at), centre.now()
            centre.ledger.put_job_run(job.name, stamp, ended, ran.seconds, int(ran.exit))
        if at is not None or ran.receptions or moved(ran.work):
            done.append(ran)
    if bug is not None:
        raise bug
    return done
