"""Asking again: open questions of a file that nobody answered go out once more, and only those.

They keep their 要求レコード番号, so whichever answer comes first closes a question, once for all. A
bulk request waits for the approval *send* as the first one did.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import numpy.typing as npt

from koukan.engine import entrusted
from koukan.engine.centre import Centre
from koukan.engine.leases import lease
from koukan.errors import UsageError
from koukan.ledger import asking, identity
from koukan.ledger.identity import Questions


def again(centre: Centre, receptions: Sequence[int]) -> int:
    """Note that these files' open questions are to be asked again; how many they are.

    Raises:
        UsageError: one of them has no open question, was not asked once yet, or is being asked
            again already. Nothing is noted then.
        LeaseHeld: a job is running.
    """
    with lease(centre.folder("locks"), centre.ledger, "jobs", centre.clock()):
        files = [require_askable(centre, number) for number in dict.fromkeys(receptions)]
        rows = sum(item.open for item in files)
        log = centre.log.operation("ask_again", files=len(files), rows=rows)
        with log, centre.ledger.begin() as transaction:
            for item in files:
                asking.wish(transaction, item.reception, centre.now())
    return rows


def require_askable(centre: Centre, reception: int) -> Questions:
    """The file, if its open questions may be asked again."""
    found = identity.questions_of(centre.ledger, reception)
    if found is None or found.state != "open" or not found.open:
        raise UsageError("asking.nothing_open", reception=reception)
    holding = identity.requests_holding(centre.ledger, [reception])
    states = {item.state for item in identity.requests(centre.ledger) if item.number in holding}
    wished = {item.reception for item in asking.waiting(centre.ledger)}
    unsent = {gap.questions.reception for gap in identity.unsent(centre.ledger)}
    if states & {"cut", "sending"} or reception in wished | unsent:
        raise UsageError("asking.under_way", reception=reception)
    return found


def due(centre: Centre, modes: Collection[str]) -> list[Questions]:
    """Files to be asked again now: a package has all that was answered of them."""
    pending = {share.reception for share in identity.shares(centre.ledger, packaged=False)}
    found = []
    for number in dict.fromkeys(item.reception for item in asking.waiting(centre.ledger)):
        item = identity.questions_of(centre.ledger, number)
        if item is not None and item.open and item.mode in modes and number not in pending:
            found.append(item)
    return found


def places_of(centre: Centre, item: Questions) -> npt.NDArray[np.int64]:
    """Where a file's open questions stand among all of its questions, ascending."""
    frame = entrusted.open_questions(centre, item.reception, item.generation)
    return np.sort(frame["position"].to_numpy())
