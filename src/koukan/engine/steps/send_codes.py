"""send_codes: a request for 機関別符号 goes into 住基ネット's outbox once a person approved it.

Flow 2-(1), steps 1-3 and 1-4; 2-(2), 2-5 and 2-6. Who gives the approval sees counts and hash: no
code is in the request, and none is shown. For the rest see `engine.sending`.
"""

from __future__ import annotations

from koukan.engine import entrusted, sending, vanishing
from koukan.engine.centre import Centre
from koukan.ledger import Ledger
from koukan.ledger import codes as asked
from koukan.ledger.codes import CodeRequest
from koukan.sites import Job


def run(centre: Centre, job: Job) -> None:
    """Send what may be sent; ask for the approvals that are missing."""
    vanishing.finish(centre, "take_codes")  # of a run that was killed before it came to it
    sending.run(centre, job, CODES)


def waiting(ledger: Ledger) -> list[CodeRequest]:
    return asked.all_requests(ledger, states=sending.WAITING)


def told(_: Centre, request: CodeRequest) -> sending.Parameters:
    """What is shown to who approves a request."""
    return {
        "partner": request.partner,
        "kind": "code_reissue" if request.reissue else "code",
        "rows": request.rows,
    }


CODES = sending.Sending(
    "send_codes", "code_request", waiting, asked.set_request, entrusted.code_request_name, told
)
