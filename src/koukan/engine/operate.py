"""What an operator does with single receptions: release, refuse, rerun.

Release and refusal are acts of a person, and the batch actor may do neither. As yet an act carries
only a name that its caller gave, and stands in the operation log under it: that proves neither who
it was nor that it was a person, since whoever holds the batch actor's key can give any name.
Persons with keys of their own give approvals (`engine/approvals.py`), which these two do not ask
for yet; a name is refused where it is plainly the batch actor's, and every act is logged with its
reason.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from koukan.engine import rewriting
from koukan.engine.centre import Centre
from koukan.engine.leases import lease
from koukan.engine.run import Ran, judge, run_group, run_steps
from koukan.engine.steps import acknowledge
from koukan.engine.steps.admit import uncounted
from koukan.engine.steps.gate import close
from koukan.errors import UsageError
from koukan.exchange import AT_DOOR
from koukan.flows import identity
from koukan.ledger import Ledger, Reception
from koukan.oplog import OperationLog
from koukan.rules.remarks import PASSED, with_remark
from koukan.sites import Job

NAME_REFUSED, BY_OPERATOR = "F101", "F901"
OPERATOR = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,63}")
AGAIN = ("acknowledge",)  # lay the receipts out again, nothing else


class Plan(NamedTuple):
    """What a rerun of a reception would do.

    Args:
        steps: in their order.
        reason: key of the word catalogue.
    """

    reception: int
    steps: tuple[str, ...]
    reason: str


def release(centre: Centre, number: int, reason: str, operator: str) -> Reception:
    """Let a held file in, whatever held it; the next run takes it on from there.

    Where a gap held it, the sender's next file is expected behind it from now on.

    Args:
        operator: who says so. A name, not a proof: see the module.

    Raises:
        UsageError: it is not held, there is no reason, or the operator is no person.
        LeaseHeld: a job is running.
    """
    with _decision(centre, "release", number, reason, operator) as reception:
        counts = uncounted(centre.ledger.counts(number))
        following = centre.ledger.next_sequence(reception.sender, reception.format)
        behind = max(following, reception.sequence + 1)
        with centre.ledger.begin() as transaction:
            Ledger.put_counts(transaction, number, counts)
            Ledger.put_sequence(transaction, reception.sender, reception.format, behind)
            Ledger.set(
                transaction,
                number,
                state="admitted",
                outcome=None,
                code=None,
                reason=reason,
                admitted_at=centre.now(),
                remarks=with_remark(reception.remarks, PASSED.get(reception.code or "")),
            )
    return centre.ledger.reception(number)


def refuse(centre: Centre, number: int, reason: str, operator: str) -> Reception:
    """Refuse a held file and tell its sender; it frees its name and number.

    Args and errors are those of `release`.
    """
    with _decision(centre, "refuse", number, reason, operator) as reception:
        with centre.ledger.begin() as transaction:
            Ledger.put_counts(transaction, number, [])  # a refused file counts as a file only
            close(centre, transaction, reception, "refused", BY_OPERATOR, reason=reason)
        acknowledge.tell(centre, centre.ledger.reception(number))
    return centre.ledger.reception(number)


@contextmanager
def _decision(
    centre: Centre, name: str, number: int, reason: str, operator: str
) -> Iterator[Reception]:
    """The held reception, under the lease, with intent and outcome in the log."""
    require_person(centre, number, reason, operator)
    log = OperationLog(centre.folder("log"), operator, centre.clock)
    with lease(centre.folder("locks"), centre.ledger, "jobs", centre.clock()):
        reception = centre.ledger.reception(number)
        if reception.outcome != "held":
            raise UsageError("operate.not_held", reception=number)
        place = {"sender": reception.sender, "code": reception.code or "-"}
        with log.operation(name, reception=number, reason=reason, **place):
            yield reception


def require_person(centre: Centre, number: int, reason: str, operator: str) -> None:
    """Raises UsageError where there is no reason, or the operator is plainly no person."""
    if not OPERATOR.fullmatch(operator):
        raise UsageError("operate.no_operator")
    if operator.casefold() == centre.site.actor.casefold():
        raise UsageError("operate.batch_actor", actor=operator)
    if not reason.strip():
        raise UsageError("operate.no_reason", reception=number)


def plan_rerun(centre: Centre, number: int) -> Plan:
    """What a rerun would do, and why. Looks only.

    Raises:
        UsageError: there is no such reception, its original is erased, or its job is gone.
    """
    reception = centre.ledger.reception(number)
    if reception.original_erased:
        # What was asked and answered goes when it is handed on, long before its time is over.
        asked = reception.format in (*identity.QUESTIONS, identity.ANSWER)
        key = "operate.erased_identity" if asked else "operate.erased"
        raise UsageError(key, reception=number)
    job = job_of(centre, reception)
    if reception.state == "closed":
        if reception.outcome != "refused":
            return Plan(number, AGAIN, "operate.plan_finished")
        if reception.code == BY_OPERATOR:
            return Plan(number, AGAIN, "operate.plan_decided")
        if reception.code in AT_DOOR:
            named = reception.code == NAME_REFUSED
            return Plan(number, AGAIN, "operate.plan_name" if named else "operate.plan_marker")
        return Plan(number, steps_from(job, "gate"), "operate.plan_refused")
    if reception.outcome == "held":
        return Plan(number, AGAIN, "operate.plan_held")
    under_way = [
        item
        for item in centre.ledger.receptions()
        if item.state != "closed" and item.outcome != "held" and item.job == reception.job
    ]
    steps = max((_remaining(centre, job, item) for item in under_way), key=len)
    return Plan(number, steps, "operate.plan_unfinished")


def job_of(centre: Centre, reception: Reception) -> Job:
    """Raises UsageError when the site has dropped the reception's job since."""
    if reception.job not in centre.jobs:
        known = ", ".join(sorted(centre.jobs))
        raise UsageError("engine.no_job", job=reception.job, known=known)
    return centre.jobs[reception.job]


def steps_from(job: Job, first: str, *, behind: bool = False) -> tuple[str, ...]:
    """The job's steps from one on, or only those behind it."""
    return job.steps[job.steps.index(first) + behind :]


def _remaining(centre: Centre, job: Job, reception: Reception) -> tuple[str, ...]:
    """The steps that a reception which was left under way still needs."""
    if reception.state == "picked_up":
        return steps_from(job, "gate")
    if reception.state == "gated":
        return steps_from(job, "admit")
    group = reception.group_number
    written = group is not None and centre.ledger.group(group).state == "written"
    return steps_from(job, "commit") if written else steps_from(job, "admit", behind=True)


def rerun(centre: Centre, number: int) -> Ran:
    """Do what `plan_rerun` says, under the lease of the jobs. A second time changes nothing.

    The steps are those of a run, each over everything that waits for it: other files that were left
    under way are finished in their turn, so that numbers are issued in the order of receptions.

    Raises:
        UsageError: see `plan_rerun`; or the reception's job is no longer there.
        LeaseHeld: a job is running.
    """
    began = time.monotonic()
    with lease(centre.folder("locks"), centre.ledger, "jobs", centre.clock()):
        plan = plan_rerun(centre, number)
        before = centre.ledger.reception(number)
        untold = {item.number for item in centre.ledger.untold()}
        with centre.log.operation("rerun", reception=number):
            if plan.steps == AGAIN:
                acknowledge.tell(centre, before)
            else:
                rewriting.settle(centre)
                run_rest(centre, plan, before)
    receptions = (number,) if plan.steps == AGAIN else tuple(sorted(untold | {number}))
    return Ran(before.job, receptions, time.monotonic() - began, judge(centre, receptions))


def reopen(centre: Centre, reception: Reception) -> None:
    """A refused reception as it was when it had been picked up, under today's rights."""
    rights = centre.rights_digest(reception.sender, reception.format)
    with centre.ledger.begin() as transaction:
        Ledger.put_counts(transaction, reception.number, [])
        Ledger.put_findings(transaction, reception.number, [])
        Ledger.set(
            transaction,
            reception.number,
            state="picked_up",
            outcome=None,
            code=None,
            line=0,
            rows=0,
            cuts="[]",
            group_number=None,  # the old group is committed, without any line of this file
            rights=rights,
            told=None,
            admitted_at=None,
            judged_at=None,
            remarks="",
            closed_at=None,
        )


def run_rest(centre: Centre, plan: Plan, before: Reception) -> None:
    """The steps of the reception's job that are in the plan."""
    job = job_of(centre, before)
    chosen = [step for step in job.steps if step in plan.steps]
    if before.state == "closed":
        for group in centre.ledger.open_groups():  # one may be its own, and would close it again
            run_group(centre, group)
        reopen(centre, before)
        chosen.remove("gate")
        run_steps(centre, job.model_copy(update={"steps": ("gate",)}))
        readmit(centre, before.number)
    run_steps(centre, job.model_copy(update={"steps": tuple(chosen)}))
    after = centre.ledger.reception(before.number)
    if before.outcome == "refused" and (after.outcome, after.code) == ("refused", before.code):
        with centre.ledger.begin() as transaction:  # looking again must not prolong the retention
            Ledger.set(transaction, before.number, closed_at=before.closed_at)


def readmit(centre: Centre, number: int) -> None:
    """Let a reception that was refused after it had been admitted take its number once more.

    Only when nobody else has come under that number or name since; it is held then.
    """
    reception = centre.ledger.reception(number)
    following = centre.ledger.next_sequence(reception.sender, reception.format)
    if reception.state != "gated" or reception.sequence >= following:
        return
    sender, form = reception.sender, reception.format
    others = [
        *centre.ledger.earlier(sender=sender, format=form, sequence=reception.sequence),
        *centre.ledger.earlier(sender=sender, format=form, file_name=reception.file_name),
    ]
    if all(item.number == number or item.outcome == "refused" for item in others):
        with centre.ledger.begin() as transaction:
            Ledger.set(transaction, number, state="admitted", admitted_at=centre.now())
