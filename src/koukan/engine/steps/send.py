"""send: a request that may go goes into the partner's outbox.

Flow 3, step 2. An immediate request needs nobody; a bulk one waits for the approval *send* over its
SHA-256, and a run never waits with it. The ledger says first that it goes and by whose approval,
which is used up with that; a run that is killed then lays the same file out under the same name.
"""

from __future__ import annotations

from koukan.engine import approvals, entrusted
from koukan.engine.approvals import Grant, Subject
from koukan.engine.centre import Centre
from koukan.flows import identity
from koukan.ledger import identity as asked
from koukan.ledger.identity import Request
from koukan.sites import Job


def run(centre: Centre, job: Job) -> None:
    """Send what may be sent; ask for the approvals that are missing."""
    waiting = asked.requests(centre.ledger, states=["cut", "sending"])
    if not waiting:
        return
    with centre.log.operation("send", job=job.name) as operation:
        sent = 0
        for request in waiting:
            grant = None
            if request.mode == identity.BULK and request.state == "cut":
                grant = permitted(centre, request)
                if grant is None:
                    continue
            lay_out(centre, request, grant)
            sent += 1
            centre.observe("sent", step="send")
        operation.note(requests=sent, waiting=len(waiting) - sent)


def permitted(centre: Centre, request: Request) -> Grant | None:
    """The approval of a bulk request; it is asked for where it is missing."""
    subject, hashes = Subject("request", request.number), {"request": request.sha256}
    parameters: dict[str, int | str] = {
        "partner": request.partner,
        "kind": request.kind,
        "rows": request.rows,
        "files": len(asked.parts_of(centre.ledger, request.number)),
    }
    approvals.ask(centre, "send", subject, hashes, parameters)
    return approvals.granted(centre, "send", subject, hashes)


def lay_out(centre: Centre, request: Request, grant: Grant | None) -> None:
    """The ledger says so first, and the approval is used up; then into the partner's outbox."""
    with centre.ledger.begin() as transaction:
        asked.set_request(transaction, request.number, state="sending")
        if grant is not None:
            approvals.use(transaction, grant)
    centre.observe("request to be laid out", step="send")
    outbox = centre.outbox(request.partner)
    blocks = entrusted.request_blocks(centre, entrusted.request_name(request.number))
    outbox.stream(request.name, blocks, request.sha256)
    centre.observe("request laid out", step="send")
    with centre.ledger.begin() as transaction:
        asked.set_request(transaction, request.number, state="sent", sent_at=centre.now())
