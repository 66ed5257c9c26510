"""本人確認 as operators see it: what is asked and answered, what waits, what nobody collected."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from koukan.errors import Exit
from koukan.ledger import asking, withholding
from koukan.ledger import identity as asked
from koukan.ledger.approvals import open_approvals
from koukan.ledger.identity import Questions
from koukan.reports import approvals
from koukan.reports.packages import SHOWN, left_as_laid, lies_long, told, waiting
from koukan.reports.source import Source, age, local


def identity(source: Source) -> dict[str, Any]:
    """The whole of it.

    Returns:
        {"questions": {asked, answered, ambiguous, unanswered, expired}: questions that were ever
            asked; asked = answered + ambiguous + unanswered, of which `expired` were given up,
         "packages": {built, delivered, erased},
         "open": files with unanswered questions, oldest first, at most 20, and "open_total",
         "overdue": files that have waited longer than the site allows,
         "requests": those that wait to be sent or to be answered,
         "undelivered": packages that cannot be laid out, and why, at most 20,
            and "undelivered_total",
         "uncollected": packages in outboxes, oldest first, at most 20, and "uncollected_total",
         "uncollected_long": [{sender, count, age_seconds}] of those there for too long,
         "left_as_laid": the same of those that may not be encrypted anew, with the reason,
         "withheld": {rows, files, undecided, age_seconds}: answers that wait for a person}
    """
    packages = asked.packages(source.ledger)
    return {
        **_questions(source),
        "packages": {
            "built": len(packages),
            "delivered": sum(item.state == "delivered" for item in packages),
            "erased": sum(item.erased for item in packages),
        },
        "requests": [
            {
                "request": item.number,
                "file": item.name,
                "partner": item.partner,
                "rows": item.rows,
                "state": item.state,
                "age_seconds": age(source, item.sent_at or item.created_at),
            }
            for item in asked.requests(source.ledger, states=asked.UNDER_WAY)
        ],
        **waiting(source, packages),
        "withheld": _withheld(source),
    }


def _withheld(source: Source) -> dict[str, Any]:
    """Answers that wait for a person's decision, and the files of which nobody asked for one."""
    found = withholding.all_withheld(source.ledger)
    asked_for = {item.reception for item in withholding.open_decisions(source.ledger)}
    return {
        "rows": sum(item.rows for item in found),
        "files": len(found),
        "undecided": sum(item.reception not in asked_for for item in found),
        "age_seconds": age(source, min(item.since for item in found)) if found else 0,
    }


def _questions(source: Source) -> dict[str, Any]:
    """What was asked, and which files wait."""
    files = asked.questions(source.ledger)
    answered: dict[int, int] = {}
    sums = {"asked": 0, "answered": 0, "ambiguous": 0}
    for share in asked.shares(source.ledger):
        sums["answered"] += share.answered
        sums["ambiguous"] += share.ambiguous
        got = share.answered + share.ambiguous
        answered[share.reception] = answered.get(share.reception, 0) + got
    sums["asked"] = sum(item.asked for item in files)
    left = {item.reception: item.asked - answered.get(item.reception, 0) for item in files}
    waiting = [item for item in files if item.state == "open" and left[item.reception]]
    again = asking.last_wished(source.ledger)
    return {
        "questions": {
            **sums,
            "unanswered": sum(left.values()),
            "expired": sum(left[item.reception] for item in files if item.state == "expired"),
        },
        "open_total": len(waiting),
        "open": [_open(source, item, left[item.reception], again) for item in waiting[:SHOWN]],
        "overdue": sum(overdue(source, item, again) for item in waiting),
    }


def asked_by(source: Source, reception: int) -> dict[str, Any] | None:
    """What became of one file's questions; None for a file that asked nothing.

    Returns:
        {"kind", "mode", "state", asked, answered, ambiguous, unanswered, expired, withheld,
         "requests": [{"request", "file", "state"}], "packages": as `packages` has them}
    """
    found = asked.questions_of(source.ledger, reception)
    if found is None:
        return None
    shares = asked.shares(source.ledger, reception=reception)
    answered = sum(item.answered for item in shares)
    ambiguous = sum(item.ambiguous for item in shares)
    left = found.asked - answered - ambiguous
    holding = asked.requests_holding(source.ledger, [reception])
    return {
        "kind": found.kind,
        "mode": found.mode,
        "state": found.state,
        "asked": found.asked,
        "answered": answered,
        "ambiguous": ambiguous,
        "unanswered": left,
        "expired": left if found.state == "expired" else 0,
        "withheld": withholding.rows_of(source.ledger).get(reception, 0),
        "requests": [
            {"request": item.number, "file": item.name, "state": item.state}
            for item in asked.requests(source.ledger)
            if item.number in holding
        ],
        "packages": [told(item) for item in asked.packages(source.ledger, reception=reception)],
    }


def clock(source: Source) -> Exit:
    """The exit code that open questions, waiting approvals and packages call for at rest."""
    files = [item for item in asked.questions(source.ledger, state="open") if item.open]
    again = asking.last_wished(source.ledger)
    late = any(overdue(source, item, again) for item in files) or withheld_too_long(source)
    if late or any(approvals.overdue(source, item) for item in open_approvals(source.ledger)):
        return Exit.OVERDUE
    lying = asked.packages(source.ledger, states=["laid_out"])
    if any(lies_long(source, item) for item in lying):
        return Exit.OVERDUE
    if asked.packages(source.ledger, states=["built"]) or left_as_laid(source, lying):
        return Exit.HELD
    return Exit.UNANSWERED if files else Exit.DONE


def withheld_too_long(source: Source) -> bool:
    """Whether answers have waited for persons longer than the site allows."""
    limit = timedelta(hours=source.site.approvals.overdue_hours)
    return any(
        datetime.fromisoformat(item.since) + limit < source.clock()
        for item in withholding.all_withheld(source.ledger)
    )


def overdue(source: Source, item: Questions, again: Mapping[int, str]) -> bool:
    """Whether a file has waited for its answers longer than the site allows.

    Args:
        again: reception -> when it was last asked for again; its time runs from there.
    """
    limit = timedelta(days=source.site.identity.overdue_days)
    since = max(item.asked_at, again.get(item.reception, ""))
    return datetime.fromisoformat(since) + limit < source.clock()


def overdue_files(source: Source) -> list[dict[str, Any]]:
    """Files whose questions have waited too long, the oldest first; fields as in `identity`."""
    again = asking.last_wished(source.ledger)
    answered: dict[int, int] = {}
    for share in asked.shares(source.ledger):
        got = share.answered + share.ambiguous
        answered[share.reception] = answered.get(share.reception, 0) + got
    found = [
        _open(source, item, item.asked - answered.get(item.reception, 0), again)
        for item in asked.questions(source.ledger, state="open")
    ]
    return [item for item in found if item["overdue"] and item["unanswered"]]


def _open(source: Source, item: Questions, left: int, again: Mapping[int, str]) -> dict[str, Any]:
    wished = again.get(item.reception)
    return {
        "reception": item.reception,
        "insurer": item.insurer,
        "kind": item.kind,
        "asked": item.asked,
        "unanswered": left,
        "asked_at": local(item.asked_at),
        "age_seconds": age(source, item.asked_at),
        "asked_again_at": None if wished is None else local(wished),
        "overdue": overdue(source, item, again),
    }
