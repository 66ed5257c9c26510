"""send_codes: a request for 機関別符号 goes into 住基ネット's outbox once a person approved it.

Flow 2-(1), steps 1-3 and 1-4; 2-(2), 2-5 and 2-6. The approval *send* is over the SHA-256 of the
request, and who gives it sees counts and hash: no code is in the request, and none is shown. As
with 本人確認 the ledger says first that it goes; a run that is killed then lays the same file out
again.
"""

from __future__ import annotations

from koukan.engine import approvals, entrusted, vanishing
from koukan.engine.approvals import Grant, Subject
from koukan.engine.centre import Centre
from koukan.ledger import codes as asked
from koukan.ledger.codes import CodeRequest
from koukan.sites import Job


def run(centre: Centre, job: Job) -> None:
    """Send what may be sent; ask for the approvals that are missing."""
    vanishing.finish(centre, "take_codes")  # of a run that was killed before it came to it
    waiting = asked.all_requests(centre.ledger, states=["cut", "sending"])
    if not waiting:
        return
    with centre.log.operation("send", job=job.name) as operation:
        sent = 0
        for request in waiting:
            grant = None
            if request.state == "cut":
                grant = permitted(centre, request)
                if grant is None:
                    continue
            lay_out(centre, request, grant)
            sent += 1
            centre.observe("sent", step="send_codes")
        operation.note(requests=sent, waiting=len(waiting) - sent)


def permitted(centre: Centre, request: CodeRequest) -> Grant | None:
    """The approval of a request; it is asked for where it is missing."""
    subject, hashes = Subject("code_request", request.number), {"request": request.sha256}
    parameters: dict[str, int | str] = {
        "partner": request.partner,
        "kind": "code_reissue" if request.reissue else "code",
        "rows": request.rows,
    }
    approvals.ask(centre, "send", subject, hashes, parameters)
    return approvals.granted(centre, "send", subject, hashes)


def lay_out(centre: Centre, request: CodeRequest, grant: Grant | None) -> None:
    """The ledger says so first, and the approval is used up; then into the partner's outbox."""
    with centre.ledger.begin() as transaction:
        asked.set_request(transaction, request.number, state="sending")
        if grant is not None:
            approvals.use(transaction, grant)
    centre.observe("request to be laid out", step="send_codes")
    blocks = entrusted.request_blocks(centre, entrusted.code_request_name(request.number))
    centre.outbox(request.partner).stream(request.name, blocks, request.sha256)
    centre.observe("request laid out", step="send_codes")
    with centre.ledger.begin() as transaction:
        asked.set_request(transaction, request.number, state="sent", sent_at=centre.now())
