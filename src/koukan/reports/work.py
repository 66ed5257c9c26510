"""What one run did with requests and packages: the ledger's counts before it and after it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, Table, func, select

from koukan.ledger import schema as s
from koukan.reports.source import Source, rows
from koukan.sites import Job

UNSENT = ("cut", "sending")
WAITING = "waiting"  # a count of what is now, not of what was done
STEPS = {  # which steps have to do with what
    "requests": {"request", "request_immediate", "send"},
    "answers": {"split"},
    "packages": {"package", "deliver", "expire"},
    "originals": {"erase", "expire"},
}
Work = dict[str, dict[str, int]]


def tally(source: Source) -> Work:
    """How far everything is, ever.

    Returns:
        {"requests": {"built", "sent", "waiting"}: `waiting` for persons now,
         "answers": {"waiting"}: answer files that wait for persons now,
         "packages": {"built", "delivered", "erased"},
         "originals": {"erased"}}
    """
    request, package = s.requests.c, s.packages.c
    return {
        "requests": {
            "built": _count(source, _all(s.requests)),
            "sent": _count(source, _all(s.requests).where(request.state.not_in(UNSENT))),
            "waiting": _count(source, _open("send")),
        },
        "answers": {"waiting": _count(source, _open("store"))},
        "packages": {
            "built": _count(source, _all(s.packages)),
            "delivered": _count(source, _all(s.packages).where(package.state == "delivered")),
            "erased": _count(source, _all(s.packages).where(package.erased)),
        },
        "originals": {
            "erased": _count(source, _all(s.receptions).where(s.receptions.c.original_erased))
        },
    }


def since(before: Work, after: Work, job: Job) -> Work:
    """What came to be in between, as far as the job deals with it; what waits now, waits."""
    return {
        kind: {
            name: count - (0 if name == WAITING else before[kind][name])
            for name, count in counts.items()
        }
        for kind, counts in after.items()
        if STEPS[kind].intersection(job.steps)
    }


def moved(work: Work | None) -> bool:
    """Whether anything came to be."""
    return any(
        count
        for counts in (work or {}).values()
        for name, count in counts.items()
        if name != WAITING
    )


def _all(table: Table) -> Select[Any]:
    return select(func.count()).select_from(table)


def _open(operation: str) -> Select[Any]:
    approval = s.approvals.c
    return _all(s.approvals).where(approval.state == "open", approval.operation == operation)


def _count(source: Source, query: Select[Any]) -> int:
    return int(rows(source, query)[0][0])
