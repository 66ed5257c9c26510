"""What is destroyed in the step that takes an answer in: the answer file, and the requests.

Flow 3, step 6, and flow 2-(1), step 1-5. A killed run leaves the rest to the next one: the ledger
knows what must go.
"""

from __future__ import annotations

from collections.abc import Callable

from koukan.engine import approvals, entrusted
from koukan.engine.approvals import Subject
from koukan.engine.centre import Centre
from koukan.engine.sending import Request, What
from koukan.engine.steps import erase
from koukan.flows import codes, identity
from koukan.ledger import Reception
from koukan.ledger import codes as acquiring
from koukan.ledger import identity as asked

ANSWERS = (identity.ANSWER, codes.ANSWER)


def over(centre: Centre) -> list[Reception]:
    """Answers, and copies of them, that were taken in and are not destroyed yet."""
    return [
        reception
        for reception in centre.ledger.closed_unerased()
        if reception.format in ANSWERS and reception.outcome in ("accepted", "duplicate")
    ]


def finish(centre: Centre, step: str = "split") -> None:
    """Destroy answers and their requests; what a killed run left is done here, too."""
    for reception in over(centre):
        erase.erase(centre, reception)
        centre.observe("answer erased", step=step)
    finish_requests(centre)
    for request in acquiring.all_requests(centre.ledger, states=["over"]):
        sealed = entrusted.code_request_name(request.number)
        erase_request(centre, "code_request", request, sealed, acquiring.set_request)
        centre.observe("request erased", step=step)


def finish_requests(centre: Centre) -> None:
    """Destroy the requests that are over: answered, or with questions that were given up."""
    for request in asked.requests(centre.ledger, states=["over"]):
        sealed = entrusted.request_name(request.number)
        erase_request(centre, "request", request, sealed, asked.set_request)
        centre.observe("request erased", step="split")


def erase_request(
    centre: Centre, what: What, request: Request, sealed: str, change: Callable[..., None]
) -> None:
    """Key and pieces of a request, and its copy in the outbox if the partner left it there.

    Nobody need approve any more what was not sent.

    Args:
        sealed: the name under which its pieces lie.
        change: sets columns of the one with a number.
    """
    number = request.number
    entrusted.destroy_request(centre, sealed)
    centre.outbox(request.partner).remove(request.name)
    with centre.ledger.begin() as transaction:
        erase.put(centre, transaction, what, number, recorded(what, request))
        change(transaction, number, state="erased")
        approvals.withdraw(centre, transaction, "send", Subject(what, number))


def recorded(what: What, request: Request) -> dict[str, object]:
    """What the erasure record of a request says, by the ledger."""
    return {
        "what": what,
        "request": request.number,
        "partner": request.partner,
        "rows": request.rows,
        "sha256": request.sha256,
    }
