"""Flows in which a national system asks file by file, and gets one sealed package for each file.

What a request asks by is for matching alone: it is destroyed once the answer is durable, and the
answer once the system has it. What differs between the flows stands here; the rest is the same
(`engine/answering.py`, `steps/hand_out.py`).
"""

from __future__ import annotations

from dataclasses import dataclass

from koukan.flows import disclosure, pmh
from koukan.ledger import served
from koukan.ledger.served import Book
from koukan.sites import Site

ONLY = 1  # ordinal of the one package of a request
NO_KEY = "F171"


@dataclass(frozen=True)
class Flow:
    """One of them.

    Args:
        system: whose sender asks; the manifest names it where it names an insurer else.
        request, answer, receipt: formats.
        prefix: how the name of an answer file begins.
        book: of the ledger; its name is that of the flow's entry in site.toml, too.
    """

    system: str
    request: str
    answer: str
    receipt: str
    prefix: str
    book: Book

    @property
    def name(self) -> str:
        return self.book.name

    @property
    def erased(self) -> str:
        """What its answers are called among the records of erasures."""
        return f"{self.name}_answer"

    def kept_days(self, site: Site) -> int:
        """How long an answer waits for its system."""
        kept = {"pmh": site.pmh.kept_days, "disclosure": site.disclosure.kept_days}
        return kept[self.name]


PMH = Flow(pmh.SYSTEM, pmh.REQUEST, pmh.ANSWER, pmh.RECEIPT, "PA", served.PMH)
DISCLOSURE = Flow(
    disclosure.SYSTEM,
    disclosure.REQUEST,
    disclosure.ANSWER,
    disclosure.RECEIPT,
    "SA",
    served.DISCLOSURE,
)
FLOWS = (PMH, DISCLOSURE)
REQUESTS = {flow.request: flow for flow in FLOWS}
RECEIPTS = {flow.system: flow.receipt for flow in FLOWS}
