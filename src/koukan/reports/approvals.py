"""What waits for persons: open approvals, their age, and who has signed so far."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select

from koukan.exchange import ApprovalFolder
from koukan.keys.approval import Judged, counting, judged
from koukan.ledger import codes, withholding
from koukan.ledger import schema as s
from koukan.ledger.approvals import Approval, open_approvals
from koukan.reports.due import next_run
from koukan.reports.source import Source, age, local, rows
from koukan.sites.schedule import day_of

USED_BY = {
    "send": "send",
    "store": "split",
    "release": "package",
}  # operation -> the step that goes on with it
CODE_REQUEST = "code_request"  # a subject of "send" that has a step of its own
_NAME = re.compile(r"a[0-9]{10}\.[A-Za-z0-9._-]{1,100}")


def pending(source: Source) -> list[dict[str, Any]]:
    """Open approvals in ascending number.

    Returns:
        [{"approval", "operation", "subject": {"kind", "number"}, "parameters", "hashes",
          "file" (name) or None, "asked_at", "age_seconds", "expires_at", "expired", "overdue",
          "needed", "given", "next_run" (when it is used once enough persons have signed),
          "signatures": [{"file", "person" or None, "reason" (word key) or None}]}]
    """
    return [_told(source, approval) for approval in open_approvals(source.ledger)]


def _told(source: Source, approval: Approval) -> dict[str, Any]:
    files = ApprovalFolder.below(source.root).signatures(approval.number)
    found = judged(approval.content, files, source.site, day_of(source.clock()))
    asked = approval.asked
    return {
        "approval": approval.number,
        **{name: asked[name] for name in ("operation", "subject", "parameters", "hashes")},
        "file": file_of(source, approval),
        "asked_at": local(approval.created_at),
        "age_seconds": age(source, approval.created_at),
        "expires_at": local(asked["expires"]),
        "expired": approval.expired(source.clock()),
        "overdue": overdue(source, approval),
        "needed": source.site.approvals.needed(approval.operation),
        "given": len(counting(found)),
        "next_run": next_run(source, used_by(approval)),
        "signatures": [_signature(item) for item in found],
    }


def is_of_codes(approval: Approval) -> bool:
    """Whether it is about a request for 機関別符号."""
    return approval.subject.kind == CODE_REQUEST


def used_by(approval: Approval) -> str:
    """The step that goes on with an approval."""
    if is_of_codes(approval):
        return "send_codes"
    return USED_BY[approval.operation]


def unsigned(item: dict[str, Any]) -> bool:
    """Whether one of `pending` waits for a person.

    Signed by enough it waits for the next run; so does one that has expired, to be asked anew.
    """
    return not item["expired"] and bool(item["given"] < item["needed"])


def overdue(source: Source, approval: Approval) -> bool:
    """Whether what it is about has waited for persons longer than the site allows.

    It counts from the day that the request was cut or the answer received: an approval that expired
    and was asked for anew does not start afresh.
    """
    kind, number = approval.subject
    decisions = withholding.decisions
    table, column = {
        "request": (s.requests, s.requests.c.created_at),
        "reception": (s.receptions, s.receptions.c.received_at),
        "withheld": (decisions, decisions.c.created_at),
        CODE_REQUEST: (codes.requests, codes.requests.c.created_at),
    }[kind]
    known = rows(source, select(column).where(table.c.number == number))
    since = known[0][0] if known else approval.created_at
    limit = timedelta(hours=source.site.approvals.overdue_hours)
    return datetime.fromisoformat(since) + limit < source.clock()


def file_of(source: Source, approval: Approval) -> str | None:
    """The name of the file that it is about: a request's, or a received one's."""
    kind, number = approval.subject
    if kind == "withheld":
        return None
    table, column = {
        "request": (s.requests, s.requests.c.name),
        "reception": (s.receptions, s.receptions.c.file_name),
        CODE_REQUEST: (codes.requests, codes.requests.c.name),
    }[kind]
    known = rows(source, select(column).where(table.c.number == number))
    return str(known[0][0]) if known else None


def _signature(item: Judged) -> dict[str, Any]:
    """The name of a file comes from whoever laid it there: shown only if it is a plain one."""
    shown = item.name if _NAME.fullmatch(item.name) else "?"
    return {"file": shown, "person": item.person, "reason": item.reason}
