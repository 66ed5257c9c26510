"""hand out: answers go to who asked in sealed packages, and are erased when they are there.

Flow 4, step 5-2, and flow 2-(5), step 5-3. An answer lies here, sealed for its system only, until
it is moved to `taken/` or confirmed, at the latest for `kept_days`; then its key, its sealed file
and every copy go, and a record is signed.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial

from koukan.engine import answering, entrusted
from koukan.engine.centre import Centre
from koukan.engine.packages import SIGNED, Content, lay
from koukan.engine.steps import erase
from koukan.flows import served
from koukan.flows.served import Flow
from koukan.ledger.served import Answer
from koukan.rules.package import About, Counts
from koukan.sites import Job


def run(centre: Centre, job: Job) -> None:
    """Of the flows of this job: erase what is over, then lay out what is built."""
    for flow in served.FLOWS:
        if flow.request in job.formats:
            answering.destroy_requests(centre, flow)  # of a run that was killed before it
            close(centre, flow, job)
            erase_closed(centre, flow, job)
            lay_out(centre, flow, job)


def close(centre: Centre, flow: Flow, job: Job) -> None:
    """Note which answers the system has taken, and which it has left for too long."""
    kept = timedelta(days=flow.kept_days(centre.site))
    closed: list[tuple[Answer, str]] = []
    for item in flow.book.answers(centre.ledger, states=["built", "laid_out"]):
        if item.sha256 and centre.taken(item.sender).holds(item.name) == item.sha256:
            closed.append((item, "delivered"))
        elif datetime.fromisoformat(item.built_at) + kept <= centre.clock():
            closed.append((item, "expired"))
    if not closed:
        return
    with centre.log.operation("collect", job=job.name) as operation:
        with centre.ledger.begin() as transaction:
            for item, state in closed:
                values = {"state": state, "closed_at": centre.now()}
                flow.book.set_answer(transaction, item.reception, **values)
        operation.note(packages=len(closed))
    centre.observe("collected", step="hand_out")


def erase_closed(centre: Centre, flow: Flow, job: Job) -> None:
    """Erase delivered and expired answers; killed anywhere, the next run does the rest."""
    due = flow.book.answers(centre.ledger, states=["delivered", "expired"], erased=False)
    if not due:
        return
    with centre.log.operation("erase_packages", job=job.name) as operation:
        for item in due:
            erase_answer(centre, flow, item)
            centre.observe("answer erased", step="hand_out")
        operation.note(destroyed=len(due))


def recorded(flow: Flow, item: Answer) -> dict[str, object]:
    """What the erasure record of an answer says, by the ledger; verified against it later."""
    return {
        "what": flow.erased,
        "reception": item.reception,
        "package": item.name,
        "rows": item.rows,
        "given": item.given,
        "file_sha256": item.file_sha256,
        "archive_sha256": item.archive_sha256 or "",
        "how": item.state,
    }


def erase_answer(centre: Centre, flow: Flow, item: Answer) -> None:
    """Key first: with it gone the rest is for its system alone, and goes as well."""
    entrusted.destroy_result(centre, item.reception, served.ONLY)
    centre.observe("answer's key destroyed", step="hand_out")
    for folder in (centre.outbox(item.sender), centre.taken(item.sender)):
        for name in (item.name, item.name + SIGNED):
            folder.remove(name)
    with centre.ledger.begin() as transaction:
        erase.put(centre, transaction, flow.erased, item.reception, recorded(flow, item))
        flow.book.set_answer(transaction, item.reception, erased=True)


def lay_out(centre: Centre, flow: Flow, job: Job) -> None:
    """Lay out the answers that are built; one whose sender has no key any more waits."""
    keys = {sender.name: sender.package_key for sender in centre.site.senders}
    built = flow.book.answers(centre.ledger, states=["built"])
    if not built:
        return
    with centre.log.operation("lay_out", job=job.name) as operation:
        done = sum(lay_one(centre, flow, item, keys.get(item.sender, "")) for item in built)
        operation.note(packages=done, waiting=len(built) - done)


def lay_one(centre: Centre, flow: Flow, item: Answer, key: str) -> bool:
    """One answer into its system's outbox; again under the same name, it replaces the first.

    False when it has to wait: no key, or a folder of somebody's in its place.
    """
    if not key:
        return False
    name = f"{flow.prefix}_{item.name.removeprefix('PK_').partition('.')[0]}.csv"
    blocks = partial(entrusted.result_blocks, centre, item.reception, served.ONLY)
    content = Content(name, item.file_length, item.file_sha256, blocks)
    counts = Counts(item.rows, item.given, 0, 0)
    about = About(flow.system, item.reception, flow.answer, counts)
    target = centre.outbox(item.sender).folder / item.name
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        laid = lay(target, [content], about, signer=centre.signer, recipients=[key])
    except IsADirectoryError:
        return False
    centre.observe("answer laid out", step="hand_out")
    values = {"archive_sha256": laid.archive_sha256, "sha256": laid.sha256, "state": "laid_out"}
    with centre.ledger.begin() as transaction:
        flow.book.set_answer(transaction, item.reception, **values)
    return True
