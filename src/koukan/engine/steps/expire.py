"""expire: nothing of 本人確認 is kept for a year; what nobody answered or collected goes.

So do packages of 資格確認実績ログ, its lines that no office is known for, and packages of copies
(副本).
"""

from __future__ import annotations

from datetime import datetime, timedelta

from koukan.engine import entrusted, returning, usage, withholding
from koukan.engine.centre import Centre
from koukan.engine.steps import erase
from koukan.engine.steps.deliver import erase_delivered
from koukan.engine.vanishing import finish_requests
from koukan.ledger import identity as asked
from koukan.ledger import withholding as withheld
from koukan.ledger.identity import Questions
from koukan.sites import Job


def expired(centre: Centre) -> list[Questions]:
    """Files of questions whose time is over and of which anything is left."""
    kept = timedelta(days=centre.site.identity.kept_days)
    open_packages = {
        item.reception for item in asked.packages(centre.ledger, states=["built", "laid_out"])
    }
    return [
        item
        for item in asked.questions(centre.ledger)
        if datetime.fromisoformat(item.asked_at) + kept <= centre.clock()
        and (item.state == "open" or item.reception in open_packages)
    ]


def run(centre: Centre, job: Job) -> None:
    """Destroy what is over: open questions, packages that nobody collected, requests, originals."""
    due = expired(centre)
    if due:
        with centre.log.operation("expire", job=job.name) as operation:
            for item in due:
                expire(centre, item)
                centre.observe("expired", step="expire")
            operation.note(expired=len(due))
    erase_delivered(centre, job.name)
    finish(centre)
    usage.expire(centre, job.name)
    returning.expire(centre, job.name)


def recorded(item: Questions) -> dict[str, object]:
    """What the erasure record of a file's open questions says."""
    return {
        "what": "questions",
        "reception": item.reception,
        "insurer": item.insurer,
        "asked": item.asked,
    }


def left(centre: Centre, item: Questions) -> dict[str, object]:
    """What is given up: questions in no package, those of them that were answered, and withheld."""
    shares = asked.shares(centre.ledger, packaged=False, reception=item.reception)
    return {
        "unanswered": item.open,
        "answered": sum(share.answered + share.ambiguous for share in shares),
        "withheld": withheld.rows_of(centre.ledger).get(item.reception, 0),
    }


def expire(centre: Centre, item: Questions) -> None:
    """One file: the ledger says so first; then keys and files go.

    A request that holds its questions goes with them. What else stood in one that was never sent
    is asked in the next.
    """
    packages = asked.packages(centre.ledger, states=["built", "laid_out"], reception=item.reception)
    with centre.ledger.begin() as transaction:
        for package in packages:
            values = {"state": "expired", "closed_at": centre.now()}
            asked.set_package(transaction, package, **values)
        if item.state == "open":
            said = {**recorded(item), **left(centre, item)}
            withholding.drop(
                centre, transaction, withheld.open_decisions(centre.ledger, item.reception)
            )
            withheld.put(transaction, item.reception, 0, since=None)
            erase.put(centre, transaction, "questions", item.reception, said)
            asked.set_questions(transaction, item.reception, state="expired", open=0)
            asked.take_up(transaction, item.reception, asked.NO_PACKAGE)
            asked.give_up(transaction, item.reception)


def finish(centre: Centre) -> None:
    """Keys and files of what is over; a killed run leaves the rest to the next one."""
    over = {item.reception for item in asked.questions(centre.ledger) if item.state == "expired"}
    left = [item for item in entrusted.generations(centre) if item.reception in over]
    entrusted.destroy_generations(centre, left)
    built = {(item.reception, item.ordinal) for item in asked.packages(centre.ledger)}
    for reception, ordinal in entrusted.results(centre):  # of a run killed before its ledger knew
        if reception in over and (reception, ordinal) not in built:
            entrusted.destroy_result(centre, reception, ordinal)
    originals = [item for item in centre.ledger.closed_unerased() if item.number in over]
    if originals:
        erase.erase(centre, *originals)
    finish_requests(centre)
