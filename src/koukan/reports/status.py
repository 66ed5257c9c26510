"""How a centre stands: what needs a person, what runs, what is missing or waits, what is done."""

from __future__ import annotations

import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from koukan.errors import Exit
from koukan.exchange import Inbox
from koukan.ledger import schema as s
from koukan.reports.approvals import pending
from koukan.reports.identity import identity
from koukan.reports.source import Source, age, local, rows
from koukan.reports.summary import summary
from koukan.sites.schedule import Schedule, night_of

SHOWN = 20  # held receptions listed one by one; how many more there are is said
GAP = "H101"
WAITING = ("approvals", "inboxes", "due_jobs", "missing", "unfinished")
FAILED = Exit.BUSY  # a job that ended in this or more has not done its work


def status(source: Source, *, night: str | None = None, insurers: bool = False) -> dict[str, Any]:
    """The whole page.

    Args:
        night: the night shown as done; the present one when absent.
        insurers: with the table by insurer.

    Returns:
        {"verdict": {"state": needs_you | running | waiting | quiet, "count", "code"}, "now",
         "needs_you": {…}, "running": {…} or None, "waiting": {…}, "identity": {…},
         "tonight": {…}}
    """
    chosen = night or night_of(source.clock())
    done = summary(source, night=chosen)
    if not insurers:
        del done["insurers"]
    needs = {**needs_you(source), "ledger_balanced": done["ledger_balanced"]}
    waits, runs = waiting(source), running(source)
    asked = identity(source)
    return {
        "verdict": verdict(needs, waits, runs, asked),
        "now": local(source.clock().astimezone(UTC).isoformat()),
        "needs_you": needs,
        "running": runs,
        "waiting": waits,
        "identity": asked,
        "tonight": {"night": chosen, **done},
    }


def verdict(
    needs: dict[str, Any],
    waits: dict[str, Any],
    runs: dict[str, Any] | None,
    asked: dict[str, Any],
) -> dict[str, Any]:
    """One word for all of it, and the exit code that it would call for."""
    count = needs["held_total"] + len(needs["failed_jobs"]) + (not needs["ledger_balanced"])
    late = asked["overdue"] + sum(item["overdue"] for item in waits["approvals"])
    stuck = 0 if runs is not None else asked["undelivered_total"]  # a run lays them out yet
    count += late + stuck
    codes = [Exit.DONE, *(Exit(job["exit"]) for job in needs["failed_jobs"])]
    codes += [Exit.UNANSWERED] if asked["open_total"] else []
    codes += [Exit.HELD] if needs["held_total"] or stuck else []
    codes += [Exit.OVERDUE] if late else []
    code = max(codes)
    if not needs["ledger_balanced"]:
        code = max(code, Exit.INTEGRITY)
    waiting_for = any(waits[name] for name in WAITING)
    waiting_for |= any(asked[name] for name in ("requests", "open", "uncollected"))
    if count:
        state = "needs_you"
    elif runs is not None:
        state = "running"
    else:
        state = "waiting" if waiting_for else "quiet"
    return {"state": state, "count": count, "code": int(code)}


def needs_you(source: Source) -> dict[str, Any]:
    """Held receptions with their age, and jobs whose last run failed."""
    table = s.receptions.c
    held = table.outcome == "held"
    total = rows(source, select(func.count()).select_from(s.receptions).where(held))[0][0]
    columns = (table.number, table.sender, table.file_name, table.code, table.received_at)
    oldest = select(*columns).where(held).order_by(table.number).limit(SHOWN)
    return {
        "held_total": int(total),
        "held": [
            {
                "reception": row.number,
                "sender": row.sender,
                "file": row.file_name,
                "code": row.code,
                "received_at": local(row.received_at),
                "age_seconds": age(source, row.received_at),
            }
            for row in rows(source, oldest)
        ],
        "failed_jobs": failed_jobs(source),
    }


def failed_jobs(source: Source) -> list[dict[str, Any]]:
    """Jobs whose last scheduled run ended in a fault."""
    table = s.job_runs.c
    last = select(table.job, func.max(table.due).label("due")).group_by(table.job).subquery()
    query = select(table.job, table.exit, table.finished_at).join_from(
        s.job_runs, last, (table.job == last.c.job) & (table.due == last.c.due)
    )
    return [
        {"job": row.job, "exit": row.exit, "finished_at": local(row.finished_at)}
        for row in rows(source, query)
        if row.exit is not None and row.exit >= FAILED
    ]


def running(source: Source) -> dict[str, Any] | None:
    """Who holds the lease of the jobs now. The ledger names the last holder; the process tells."""
    for lease in source.ledger.leases():
        host, _, process = lease.holder.rpartition(":")
        lock = source.root / "locks" / f"{lease.name}.lock"
        if host == socket.gethostname() and _holds(int(process), lock):
            return {"lease": lease.name, "holder": lease.holder, "since": local(lease.since)}
    return None


def _holds(process: int, lock: Path) -> bool:
    """Whether a process of this machine has the lock's file open."""
    try:
        entries = list(Path(f"/proc/{process}/fd").iterdir())
    except PermissionError:
        return True  # it is there, and somebody else's
    except OSError:
        return False
    return any(_points_to(entry, lock.resolve()) for entry in entries)


def _points_to(entry: Path, file: Path) -> bool:
    try:
        return entry.readlink() == file
    except OSError:
        return False  # closed while we looked


def waiting(source: Source) -> dict[str, Any]:
    """Approvals, files in inboxes (and names that still grow), missing numbers, jobs, open work."""
    table = s.receptions.c
    open_ = select(func.count()).select_from(s.receptions).where(table.outcome.is_(None))
    return {
        "approvals": pending(source),
        "inboxes": inboxes(source),
        "missing": missing(source),
        "due_jobs": due_jobs(source),
        "unfinished": int(rows(source, open_)[0][0]),
    }


def inboxes(source: Source) -> list[dict[str, Any]]:
    """Senders in whose inboxes something lies; no name is shown before it was checked."""
    found = []
    for sender in source.site.senders:
        files = partial = 0
        for door in sender.doors:
            arrivals, others = Inbox(source.root / "exchange" / sender.name / "inbox" / door).look()
            files += len(arrivals)
            partial += others
        if files or partial:
            found.append({"sender": sender.name, "files": files, "partial": partial})
    return found


def missing(source: Source) -> list[dict[str, Any]]:
    """Numbers without which held files cannot go on."""
    table = s.receptions.c
    query = (
        select(table.sender, table.format)
        .where(table.outcome == "held", table.code == GAP)
        .distinct()
        .order_by(table.sender, table.format)
    )
    return [
        {
            "sender": row.sender,
            "format": row.format,
            "sequence": source.ledger.next_sequence(row.sender, row.format),
        }
        for row in rows(source, query)
    ]


def due_jobs(source: Source) -> list[dict[str, Any]]:
    """Jobs whose last due time has passed without a run."""
    found = []
    for name in sorted(source.jobs):
        due = Schedule.parse(source.jobs[name].schedule).latest(source.clock())
        if due is not None and _stamp(due) > (source.ledger.last_due(name, _stamp(due)) or ""):
            found.append({"job": name, "due": local(_stamp(due))})
    return found


def _stamp(due: datetime) -> str:
    return due.astimezone(UTC).isoformat(timespec="minutes")
