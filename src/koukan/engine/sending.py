"""How a request leaves for its partner: with an approval, where it takes one, and once.

An approval *send* is over the SHA-256 of the request, and a run never waits with it. The ledger
says first that the request goes and by whose approval, which is used up with that; a run that is
killed then lays the same file out under the same name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Literal, Protocol, TypeVar

from koukan.engine import approvals, entrusted
from koukan.engine.approvals import Grant, Subject
from koukan.engine.centre import Centre
from koukan.ledger import Ledger
from koukan.sites import Job

WAITING = ("cut", "sending")
Parameters = dict[str, int | str]
What = Literal["request", "code_request"]  # in approvals and erasure records


class Request(Protocol):
    """What both kinds have, for whoever sends or destroys one."""

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
    @property
    def state(self) -> str: ...


R = TypeVar("R", bound=Request)


@dataclass(frozen=True)
class Sending(Generic[R]):
    """How requests of one kind go.

    Args:
        step: that sends them.
        subject: what an approval of one is over.
        requests: those in WAITING.
        change: sets columns of the one with a number.
        sealed: a request's number -> the name under which its pieces lie.
        told: what is shown to who approves; None of a request that needs nobody.
    """

    step: str
    subject: What
    requests: Callable[[Ledger], list[R]]
    change: Callable[..., None]
    sealed: Callable[[int], str]
    told: Callable[[Centre, R], Parameters | None]


def run(centre: Centre, job: Job, kind: Sending[R]) -> None:
    """Send what may be sent; ask for the approvals that are missing."""
    waiting = kind.requests(centre.ledger)
    if not waiting:
        return
    with centre.log.operation("send", job=job.name) as operation:
        sent = 0
        for request in waiting:
            grant = None
            told = kind.told(centre, request) if request.state == "cut" else None
            if told is not None:
                grant = permitted(centre, kind, request, told)
                if grant is None:
                    continue
            lay_out(centre, kind, request, grant)
            sent += 1
            centre.observe("sent", step=kind.step)
        operation.note(requests=sent, waiting=len(waiting) - sent)


def permitted(centre: Centre, kind: Sending[R], request: R, told: Parameters) -> Grant | None:
    """The approval of a request; it is asked for where it is missing."""
    subject, hashes = Subject(kind.subject, request.number), {"request": request.sha256}
    approvals.ask(centre, "send", subject, hashes, told)
    return approvals.granted(centre, "send", subject, hashes)


def lay_out(centre: Centre, kind: Sending[R], request: R, grant: Grant | None) -> None:
    """The ledger says so first, and the approval is used up; then into the partner's outbox."""
    with centre.ledger.begin() as transaction:
        kind.change(transaction, request.number, state="sending")
        if grant is not None:
            approvals.use(transaction, grant)
    centre.observe("request to be laid out", step=kind.step)
    blocks = entrusted.request_blocks(centre, kind.sealed(request.number))
    centre.outbox(request.partner).stream(request.name, blocks, request.sha256)
    centre.observe("request laid out", step=kind.step)
    with centre.ledger.begin() as transaction:
        kind.change(transaction, request.number, state="sent", sent_at=centre.now())
