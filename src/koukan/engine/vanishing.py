"""What is destroyed in the step that takes an answer in: the answer file, and the requests.

Flow 3, step 6, and flow 2-(1), step 1-5. A killed run leaves the rest to the next one: the ledger
knows what must go.
"""

from __future__ import annotations

from typing import Protocol

from koukan.engine import approvals, entrusted
from koukan.engine.approvals import Subject
from koukan.engine.centre import Centre
from koukan.engine.steps import erase
from koukan.flows import codes, identity
from koukan.ledger import Reception
from koukan.ledger import codes as acquiring
from koukan.ledger import identity as asked

ANSWERS = (identity.ANSWER, codes.ANSWER)


class Sent(Protocol):
    """A request of either flow."""

    @property
    def number(self) -> int: ...
    @property
    def partner(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def rows(self) -> int: ...
    @property
    def sha256(self) -> str: ...


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
        erase_code_request(centre, request)
        centre.observe("request erased", step=step)


def finish_requests(centre: Centre) -> None:
    """Destroy the requests that are over: answered, or with questions that were given up."""
    for request in asked.requests(centre.ledger, states=["over"]):
        erase_request(centre, request)
        centre.observe("request erased", step="split")


def erase_request(centre: Centre, request: Sent) -> None:
    """Key and pieces of a request, and its copy in the outbox if the partner left it there.

    Nobody need approve any more what was not sent.
    """
    entrusted.destroy_request(centre, entrusted.request_name(request.number))
    centre.outbox(request.partner).remove(request.name)
    with centre.ledger.begin() as transaction:
        erase.put(centre, transaction, "request", request.number, recorded("request", request))
        asked.set_request(transaction, request.number, state="erased")
        approvals.withdraw(centre, transaction, "send", Subject("request", request.number))


def erase_code_request(centre: Centre, request: Sent) -> None:
    """The same of a request for 機関別符号."""
    entrusted.destroy_request(centre, entrusted.code_request_name(request.number))
    centre.outbox(request.partner).remove(request.name)
    number = request.number
    with centre.ledger.begin() as transaction:
        said = recorded("code_request", request)
        erase.put(centre, transaction, "code_request", number, said)
        acquiring.set_request(transaction, number, state="erased")
        approvals.withdraw(centre, transaction, "send", Subject("code_request", number))


def recorded(what: str, request: Sent) -> dict[str, object]:
    """What the erasure record of a request says, by the ledger."""
    return {
        "what": what,
        "request": request.number,
        "partner": request.partner,
        "rows": request.rows,
        "sha256": request.sha256,
    }
