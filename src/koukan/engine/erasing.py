"""What is due to be erased now, and erasing it: the steps that the jobs of the morning have.

Nothing goes before its time, and what goes is what those steps take: see `erase`, `expire`,
`forget`. A plan touches nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from koukan.engine import returning, usage, vanishing
from koukan.engine.centre import Centre
from koukan.engine.run import Ran, run_job
from koukan.engine.steps import erase, expire, retire, retire_records
from koukan.flows.codes import CODES
from koukan.flows.pmh import ISSUES
from koukan.ledger import code_lists, codes, copies
from koukan.ledger import identity as asked
from koukan.ledger.withdrawals import open_withdrawals
from koukan.sites.model import Retention

STEPS = frozenset(
    ("erase", "expire", "forget", "retire", "retire_codes", "retire_records")
)  # jobs of these and no other steps


@dataclass(frozen=True)
class Due:
    """Something whose time has come.

    Args:
        what: original, questions, packages, answer, request, held (lines), pmh_ids, codes,
            records, members, copies; code_request, code_list (of 機関別符号: at the next run of
            their job).
        number: of the reception, the request or the list.
        whose: sender or insurer.
        rows: lines, questions or members that are concerned.
        since: when its time came, UTC, ISO.
    """

    what: str
    number: int
    whose: str
    rows: int
    since: str


def plan(centre: Centre) -> list[Due]:
    """Everything that `erase_due` would erase, the longest due first."""
    return sorted(_due(centre), key=lambda item: (item.since, item.what, item.number))


def _due(centre: Centre) -> Iterator[Due]:
    for item in erase.expired(centre):
        job = centre.jobs.get(item.job)
        kept = (job.retention if job else Retention()).days(item.outcome)
        since = _after(item.closed_at or item.received_at, kept)
        yield Due("original", item.number, item.sender, item.rows, since)
    kept = centre.site.identity.kept_days
    for asking in expire.expired(centre):
        since = _after(asking.asked_at, kept)
        yield Due("questions", asking.reception, asking.insurer, asking.asked, since)
    for package in asked.packages(centre.ledger, states=["delivered", "expired"], erased=False):
        since = package.closed_at or package.built_at
        yield Due("packages", package.reception, package.insurer, package.rows, since)
    for request in asked.requests(centre.ledger, states=["over"]):
        since = request.sent_at or request.created_at
        yield Due("request", request.number, request.partner, request.rows, since)
    for answer in vanishing.over(centre):
        yield Due("answer", answer.number, answer.sender, answer.rows, answer.received_at)
    yield from _due_usage(centre)
    yield from _due_copies(centre)
    yield from _due_codes(centre)
    for what, table in (("pmh_ids", ISSUES), ("codes", CODES)):
        over = sum(len(item.links) for item in retire.due(centre, table))
        if over:
            yield Due(what, 0, "", over, centre.now())
    if records := sum(file.rows for file in retire_records.due(centre)):
        yield Due("records", 0, "", records, centre.now())
    for withdrawn in open_withdrawals(centre.ledger):
        whose = centre.ledger.reception(withdrawn.reception).sender
        members = withdrawn.members
        yield Due("members", withdrawn.reception, whose, members, withdrawn.received_at)


def _due_usage(centre: Centre) -> Iterator[Due]:
    """Of 資格確認実績ログ: what is over, and packages and held lines that waited too long."""
    kept = centre.site.usage.kept_days
    over, given_up = usage.closed(centre)
    late, lines = usage.late(centre)
    for package in over:
        since = package.closed_at or package.built_at
        yield Due("packages", package.reception, package.insurer, package.rows, since)
    for package in late:
        since = _after(package.built_at, kept)
        yield Due("packages", package.reception, package.insurer, package.rows, since)
    for item in given_up:
        yield Due("held", item.reception, "", item.rows, item.since)
    for item in lines:
        yield Due("held", item.reception, "", item.rows, _after(item.since, kept))


def _due_copies(centre: Centre) -> Iterator[Due]:
    """Of 副本: packages that are over or waited too long, and copies that were deleted."""
    for package in returning.closed(centre):
        since = package.closed_at or package.built_at
        yield Due("packages", package.reception, package.insurer, package.rows, since)
    for package in returning.late(centre):
        since = _after(package.built_at, centre.site.copies.kept_days)
        yield Due("packages", package.reception, package.insurer, package.rows, since)
    for item in copies.open_deletions(centre.ledger):
        yield Due("copies", item.reception, item.insurer, item.rows, item.since)


def _due_codes(centre: Centre) -> Iterator[Due]:
    """Of 機関別符号: requests that are over, and lists that staff have checked."""
    for request in codes.all_requests(centre.ledger, states=["over"]):
        since = request.sent_at or request.created_at
        yield Due("code_request", request.number, request.partner, request.rows, since)
    for item in code_lists.all_lists(centre.ledger, states=["checked"]):
        since = item.checked_at or item.registered_at
        yield Due("code_list", item.number, item.registered_by, item.rows, since)


def _after(moment: str, days: int) -> str:
    return (datetime.fromisoformat(moment) + timedelta(days=days)).isoformat(timespec="seconds")


def erase_due(centre: Centre) -> list[Ran]:
    """Run the jobs that do nothing but erase, whenever they would be due."""
    names = [name for name, job in sorted(centre.jobs.items()) if STEPS.issuperset(job.steps)]
    return [run_job(centre, name) for name in names]
