"""How a centre stands: what needs a person, what runs, what is missing or waits, what is done."""

from __future__ import annotations

import socket
from datetime import UTC
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from koukan.errors import Exit
from koukan.ledger import schema as s
from koukan.ledger.failures import Failure, failures
from koukan.ledger.served import BOOKS
from koukan.ledger.withdrawals import open_withdrawals
from koukan.reports.approvals import pending, unsigned
from koukan.reports.codes import clock as code_clock
from koukan.reports.codes import codes as code_page
from koukan.reports.copies import needs as copies_needs
from koukan.reports.copies import standing_copies
from koukan.reports.due import due_jobs, next_run
from koukan.reports.hosts import hosts, standing_hosts
from koukan.reports.identity import clock, identity
from koukan.reports.inboxes import closed_inboxes, inboxes
from koukan.reports.online import clock_online, online
from koukan.reports.served import answers as served_answers
from koukan.reports.source import Selection, Source, age, local, rows
from koukan.reports.summary import balanced, summary
from koukan.reports.usage import needs as usage_needs
from koukan.reports.usage import standing_usage
from koukan.sites.schedule import night_of

SHOWN = 20  # held receptions listed one by one; how many more there are is said
GAP = "H101"
FORGETS = "forget"  # the step that erases withdrawn members
NEXT_RUN = ("approvals", "due_jobs", "unfinished")  # what the next run goes on with


def status(source: Source, *, night: str | None = None, insurers: bool = False) -> dict[str, Any]:
    """The whole page.

    Args:
        night: the night shown as done; the present one when absent.
        insurers: with the table by insurer.

    Returns:
        {"verdict": {"state", "count", "code"}, "now",  # needs_you running waiting others quiet
         "needs_you": {…}, "running": {…} or None, "waiting": {…}, "identity": {…},
         "online": {…}, "pmh": {…}, "disclosure": {…}, "codes": {…}, "tonight": {…}}
    """
    chosen = night or night_of(source.clock())
    done = summary(source, night=chosen)
    if not insurers:
        del done["insurers"]
    waits, runs = waiting(source), running(source)
    needs = {
        **needs_you(source),
        "approvals": [item for item in waits["approvals"] if unsigned(item)],
        "ledger_balanced": done["ledger_balanced"],
    }
    asked, pushed = identity(source), online(source)
    answers = {book.name: served_answers(source, book) for book in BOOKS}
    built = asked["undelivered_total"]
    built += sum(found["undelivered_total"] for found in answers.values())
    needs["undelivered"] = 0 if runs is not None else built  # a run lays them out yet
    told = asked | {"pushes": pushed, "codes": (acquiring := code_page(source))}
    return {
        "verdict": verdict(needs, waits, runs, told, standing(source)),
        "now": local(source.clock().astimezone(UTC).isoformat()),
        "needs_you": needs,
        "running": runs,
        "waiting": waits,
        "identity": asked,
        **answers,
        "online": pushed,
        "codes": {name: acquiring[name] for name in ("events", "failures", "overdue")},
        "tonight": {"night": chosen, **done},
    }


def standing(source: Source) -> Exit:
    """The exit code that all that is known calls for, whatever ran last."""
    codes = [clock(source), *(Exit(item.exit) for item in standing_failures(source))]
    codes += [standing_hosts(source), standing_usage(source), clock_online(source)]
    codes += [code_clock(source), standing_copies(source)]
    table = s.receptions
    held = select(table.c.number).where(table.c.outcome == "held").limit(1)
    undelivered = (served_answers(source, book)["undelivered_total"] for book in BOOKS)
    if rows(source, held) or any(undelivered):
        codes.append(Exit.HELD)
    if closed_inboxes(source):
        codes.append(Exit.CONFIGURATION)
    if not balanced(source, Selection.of(night=night_of(source.clock()))):
        codes.append(Exit.INTEGRITY)
    return max(codes)


def verdict(
    needs: dict[str, Any],
    waits: dict[str, Any],
    runs: dict[str, Any] | None,
    asked: dict[str, Any],
    code: Exit,
) -> dict[str, Any]:
    """One word for all of it, with the exit code that it calls for."""
    count = needs["held_total"] + len(needs["failed_jobs"]) + (not needs["ledger_balanced"])
    count += sum(item["unreadable"] + item["stuck"] for item in waits["inboxes"])
    count += asked["overdue"] + len(needs["approvals"]) + asked["withheld"]["undecided"]
    count += len(asked["uncollected_long"]) + len(needs["hosts"])
    count += needs["undelivered"] + len(asked["left_as_laid"])
    lines, extracts = needs["usage"], needs["copies"]
    count += len(lines["held"]) + lines["undelivered"] + lines["uncollected_long"]
    count += extracts["undelivered"] + extracts["uncollected_long"]
    count += asked["pushes"]["overdue"] + asked["pushes"]["refused_pushes"]
    count += asked["codes"]["overdue"]
    next_run = any(waits[name] for name in NEXT_RUN) or any(
        item["files"] for item in waits["inboxes"]
    )
    next_run |= any(item["state"] != "sent" for item in asked["requests"])
    others = waits["missing"] or waits["inboxes"]
    others = others or asked["pushes"]["waiting"]
    others = others or any(asked[name] for name in ("requests", "open", "uncollected"))
    if count:
        state = "needs_you"
    elif runs is not None:
        state = "running"
    elif next_run:
        state = "waiting"
    else:
        state = "others" if others else "quiet"
    return {"state": state, "count": count, "code": int(code)}


def needs_you(source: Source) -> dict[str, Any]:
    """Held receptions with their age, jobs whose last run failed, hosts that cannot be served."""
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
        "hosts": hosts(source),
        "usage": usage_needs(source),
        "copies": copies_needs(source),
    }


def failed_jobs(source: Source) -> list[dict[str, Any]]:
    """Jobs whose last run ended in a fault: when, in what, and the words that tell it."""
    return [
        {
            "job": item.job,
            "title": source.jobs[item.job].title,
            "exit": item.exit,
            "finished_at": local(item.failed_at),
            "key": item.key,
            "where": dict(item.where),
        }
        for item in standing_failures(source)
    ]


def standing_failures(source: Source) -> list[Failure]:
    """Of the jobs that there are: one that the site has dropped is nobody's concern."""
    return [item for item in failures(source.ledger) if item.job in source.jobs]


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
    """Approvals, files in inboxes (and names that still grow), missing numbers, jobs, open work,
    members to be erased."""
    table = s.receptions.c
    open_ = select(func.count()).select_from(s.receptions).where(table.outcome.is_(None))
    return {
        "approvals": pending(source),
        "inboxes": inboxes(source),
        "missing": missing(source),
        "due_jobs": due_jobs(source),
        "unfinished": int(rows(source, open_)[0][0]),
        "withdrawals": withdrawals(source),
    }


def withdrawals(source: Source) -> dict[str, Any]:
    """Members of whom 管理終了 was told and whose rows are still to be erased."""
    found = open_withdrawals(source.ledger)
    oldest = found[0].received_at if found else None
    return {
        "members": sum(item.members for item in found),
        "receptions": len(found),
        "received_at": oldest and local(oldest),
        "age_seconds": oldest and age(source, oldest),
        "next_run": next_run(source, FORGETS) if found else None,
    }


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
