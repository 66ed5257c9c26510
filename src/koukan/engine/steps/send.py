"""send: a request that may go goes into the partner's outbox.

Flow 3, step 2. An immediate request needs nobody; a bulk one waits for the approval *send*, see
`engine.sending`.
"""

from __future__ import annotations

from koukan.engine import entrusted, sending
from koukan.engine.centre import Centre
from koukan.flows import identity
from koukan.ledger import Ledger
from koukan.ledger import identity as asked
from koukan.ledger.identity import Request
from koukan.sites import Job


def run(centre: Centre, job: Job) -> None:
    """Send what may be sent; ask for the approvals that are missing."""
    sending.run(centre, job, QUESTIONS)


def waiting(ledger: Ledger) -> list[Request]:
    return asked.requests(ledger, states=sending.WAITING)


def told(centre: Centre, request: Request) -> sending.Parameters | None:
    """What is shown to who approves a bulk request."""
    if request.mode != identity.BULK:
        return None
    return {
        "partner": request.partner,
        "kind": request.kind,
        "rows": request.rows,
        "files": len(asked.parts_of(centre.ledger, request.number)),
    }


QUESTIONS = sending.Sending(
    "send", "request", waiting, asked.set_request, entrusted.request_name, told
)
