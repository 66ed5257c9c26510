"""機関別符号 as operators see them: requests and events in numbers; no code, no person."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from koukan.errors import Exit
from koukan.ledger import codes as asked
from koukan.ledger.approvals import open_approvals
from koukan.ledger.codes import CodeRequest
from koukan.reports import approvals
from koukan.reports.source import Source, age, local
from koukan.rules.linkage import EVENTS, FAILED, SET


def codes(source: Source) -> dict[str, Any]:
    """The whole of it.

    Returns:
        {"events": {wanted, asked, set, failed}: how often each was noted,
         "failures": {処理結果詳細コード: how often},
         "requests": [{request, file, partner, reissue, rows, set, failed, unanswered, state,
            created_at, sent_at, age_seconds, overdue}], oldest first,
         "overdue": requests of which answers have been missing for too long}
    """
    told = asked.committed_events(source.ledger)
    sums = dict.fromkeys(EVENTS, 0)
    failures: dict[str, int] = {}
    by_request: dict[tuple[int, str], int] = {}
    for item in told:
        sums[item["event"]] += item["rows"]
        place = item["request"], item["event"]
        by_request[place] = by_request.get(place, 0) + item["rows"]
        if item["event"] == FAILED:
            failures[item["detail"]] = failures.get(item["detail"], 0) + item["rows"]
    requests = [_request(source, one, by_request) for one in asked.all_requests(source.ledger)]
    return {
        "events": sums,
        "failures": dict(sorted(failures.items())),
        "requests": requests,
        "overdue": sum(item["overdue"] for item in requests),
    }


def _request(
    source: Source, item: CodeRequest, events: dict[tuple[int, str], int]
) -> dict[str, Any]:
    done, failed = (events.get((item.number, event), 0) for event in (SET, FAILED))
    left = item.rows - done - failed
    return {
        "request": item.number,
        "file": item.name,
        "partner": item.partner,
        "reissue": item.reissue,
        "rows": item.rows,
        "set": done,
        "failed": failed,
        "unanswered": left,
        "state": item.state,
        "created_at": local(item.created_at),
        "sent_at": None if item.sent_at is None else local(item.sent_at),
        "age_seconds": age(source, item.sent_at or item.created_at),
        "overdue": left > 0 and overdue(source, item),
    }


def overdue(source: Source, item: CodeRequest) -> bool:
    """Whether a request has waited for its answers longer than the site allows.

    What was asked for again, or given up, waits elsewhere.
    """
    if item.sent_at is None or item.repeated_at is not None:
        return False
    limit = timedelta(days=source.site.codes.overdue_days)
    return datetime.fromisoformat(item.sent_at) + limit < source.clock()


def clock(source: Source) -> Exit:
    """The exit code that requests without answers, or approvals, call for at rest."""
    page = codes(source)
    waiting = [item for item in open_approvals(source.ledger) if approvals.is_of_codes(item)]
    if page["overdue"] or any(approvals.overdue(source, item) for item in waiting):
        return Exit.OVERDUE
    open_ = any(
        one["unanswered"] > 0 and item.repeated_at is None
        for one, item in zip(page["requests"], asked.all_requests(source.ledger), strict=True)
    )
    return Exit.UNANSWERED if open_ else Exit.DONE
