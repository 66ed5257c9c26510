"""What is destroyed in the step that splits an answer: the answer file, and the requests.

Flow 3, step 6. A killed run leaves the rest to the next one: the ledger knows what must go.
"""

from __future__ import annotations

from koukan.engine import approvals, entrusted
from koukan.engine.approvals import Subject
from koukan.engine.centre import Centre
from koukan.engine.steps import erase
from koukan.flows import identity
from koukan.ledger import Reception
from koukan.ledger import identity as asked
from koukan.ledger.identity import Request


def over(centre: Centre) -> list[Reception]:
    """Answers, and copies of them, that were split and are not destroyed yet."""
    return [
        reception
        for reception in centre.ledger.closed_unerased()
        if reception.format == identity.ANSWER and reception.outcome in ("accepted", "duplicate")
    ]


def finish(centre: Centre) -> None:
    """Destroy split answers and their requests; what a killed run left is done here, too."""
    for reception in over(centre):
        erase.erase(centre, reception)
        centre.observe("answer erased", step="split")
    finish_requests(centre)


def finish_requests(centre: Centre) -> None:
    """Destroy the requests that are over: answered, or with questions that were given up."""
    for request in asked.requests(centre.ledger, states=["over"]):
        erase_request(centre, request)
        centre.observe("request erased", step="split")


def erase_request(centre: Centre, request: Request) -> None:
    """Key and pieces of a request, and its copy in the outbox if the partner left it there.

    Nobody need approve any more what was not sent.
    """
    said = {
        "what": "request",
        "request": request.number,
        "partner": request.partner,
        "rows": request.rows,
        "sha256": request.sha256,
    }
    entrusted.destroy_request(centre, request.number)
    centre.outbox(request.partner).remove(request.name)
    with centre.ledger.begin() as transaction:
        erase.put(centre, transaction, "request", request.number, said)
        asked.set_request(transaction, request.number, state="erased")
        approvals.withdraw(centre, transaction, "send", Subject("request", request.number))
