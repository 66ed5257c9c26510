"""acknowledge: every file gets its answer; an accepted one its result for every line, too.

The acknowledgement is made from the ledger alone, the result is the sealed one: both can be laid
out again at any time and are the same.
"""

from __future__ import annotations

import hashlib

from koukan import durable
from koukan.engine import originals
from koukan.engine.centre import Centre
from koukan.engine.lots import lots
from koukan.engine.receipts import outbound_name, receipt_of
from koukan.engine.steps.erase import due
from koukan.errors import SecretError
from koukan.flows.results import ACKNOWLEDGEMENT, line_result
from koukan.ledger import Ledger, Reception
from koukan.rules.acknowledge import acknowledgement
from koukan.sites import Job


def run(centre: Centre, job: Job) -> list[int]:
    """Tell every sender what it has not been told yet; the receptions that were told."""
    untold = [item for item in centre.ledger.untold() if item.outcome is not None]
    if not untold:
        return []
    with centre.log.operation("acknowledge", job=job.name) as operation:
        done = 0
        for lot in lots(untold, lambda reception: reception.length):
            # The names in the outboxes are durable before the ledger says that they are there.
            with centre.ledger.together(), durable.together():
                for reception in lot:
                    tell(centre, reception)
                    done += 1
                    centre.observe("acknowledged", step="acknowledge", done=done, total=len(untold))
        operation.note(files=len(untold))
    return [item.number for item in untold]


def message_of(reception: Reception) -> str:
    """What the sender is told, for the ledger: the outcome and its code."""
    return f"{reception.outcome} {reception.code or ''}".strip()


def tell(centre: Centre, reception: Reception) -> None:
    """Lay out what belongs to one reception."""
    outbox = centre.outbox(reception.sender)
    form = centre.catalogue.formats[ACKNOWLEDGEMENT]
    receipt = receipt_of(centre, reception)
    content = acknowledgement(form, centre.catalogue.reasons, receipt)
    files = [(ACKNOWLEDGEMENT, content, hashlib.sha256(content).hexdigest())]
    result = result_of(centre, reception)
    if result is not None:
        kind = line_result(reception.format) or ""
        files.append((kind, result, str(reception.result_sha256)))
    for kind, body, digest in files:
        name = outbound_name(kind, reception)
        outbox.put(name, body, digest)
        with centre.ledger.begin() as transaction:
            Ledger.put_laid_out(
                transaction,
                {
                    "reception": reception.number,
                    "kind": kind,
                    "sender": reception.sender,
                    "name": name,
                    "sha256": digest,
                    "lines": body.count(b"\n"),
                },
            )
        centre.observe("laid out", step="acknowledge")
    with centre.ledger.begin() as transaction:
        Ledger.set(transaction, reception.number, told=message_of(reception))


def result_of(centre: Centre, reception: Reception) -> bytes | None:
    """The sealed result; None when there is none, or it is erased.

    An erasure that was killed half-way has destroyed the key already; the next one finishes it.
    """
    if reception.result_sha256 is None or reception.original_erased:
        return None
    try:
        return originals.open_result(centre, reception.original)
    except SecretError as error:
        if error.key != "keys.key_absent" or not due(centre, reception):
            raise
        return None
