"""acknowledge: every file gets its answer; an accepted one its result for every line, too.

The acknowledgement is made from the ledger alone, the result is the sealed one: both can be laid
out again at any time and are the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from koukan import durable
from koukan.engine import originals
from koukan.engine.centre import Centre
from koukan.engine.lots import lots
from koukan.engine.receipts import Laid, acknowledged, note_laid, outbound_name, receipt_of
from koukan.engine.steps.admit import following
from koukan.engine.steps.erase import due
from koukan.errors import SecretError
from koukan.flows.results import line_result
from koukan.ledger import Ledger, Reception
from koukan.sites import Job

FRAME = 2  # lines of a result beside its records: control and end record


def run(centre: Centre, job: Job) -> list[int]:
    """Tell every sender what it has not been told yet; the receptions that were told.

    Files that are still under way are told of where they have come to.
    """
    untold = [
        item for item in centre.ledger.untold() if item.outcome is not None or not item.is_told
    ]
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


def tell(centre: Centre, reception: Reception) -> None:
    """Lay out what belongs to one reception; told already, the same once more."""
    if not reception.is_told:
        expects = following(centre, reception) if reception.sequence else None
        reception = replace(reception, told_at=centre.now(), expects=expects)
    outbox = centre.outbox(reception.sender)
    files = [acknowledged(centre, reception, receipt_of(centre, reception))]
    if has_result(centre, reception):
        kind = line_result(reception.format) or ""
        lines = (reception.result_lines or 0) + FRAME
        content, digest = result_of(centre, reception), str(reception.result_sha256)
        files.append(Laid(kind, outbound_name(kind, reception), content, digest, lines))
    for laid in files:
        outbox.stream(laid.name, laid.content, laid.sha256)
        for _ in laid.content:  # of what lies there already, an altered seal must show, too
            pass
        with centre.ledger.begin() as transaction:
            note_laid(transaction, reception, laid)
        centre.observe("laid out", step="acknowledge")
    with centre.ledger.begin() as transaction:
        Ledger.set(
            transaction,
            reception.number,
            told=reception.message,
            told_at=reception.told_at,
            expects=reception.expects,
        )


def has_result(centre: Centre, reception: Reception) -> bool:
    """Whether there is a sealed result; none any more when it is erased.

    An erasure that was killed half-way has destroyed the key already; the next one finishes it.
    """
    if reception.result_sha256 is None or reception.original_erased:
        return False
    try:
        centre.keyring.existing_key("original", reception.original)
    except SecretError as error:
        if error.key != "keys.key_absent" or not due(centre, reception):
            raise
        return False
    return True


def result_of(centre: Centre, reception: Reception) -> Iterator[bytes]:
    """The result in blocks: of a large file it is large, and never in memory as a whole.

    The next one is opened while the last is hashed and written.
    """
    with originals.read_result(centre, reception.original) as sealed:
        blocks = sealed.blocks(originals.BLOCK)
        yield from originals.ahead(blocks) if sealed.length > originals.BLOCK else blocks
