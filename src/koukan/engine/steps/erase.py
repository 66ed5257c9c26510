"""erase: sealed originals and results whose retention is over are destroyed, each with a record.

The record says what was there in counts and hashes, signed; it is what the ledger is verified
against from then on. The key goes first: with it gone the rest is noise.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy import Connection

from koukan.engine import originals
from koukan.engine.centre import Centre
from koukan.flows.results import is_correction
from koukan.ledger import Ledger, Reception
from koukan.rules.acknowledge import COUNTS
from koukan.sites import Job
from koukan.sites.model import Retention


def expired(centre: Centre) -> list[Reception]:
    """Closed receptions whose original has been kept long enough."""
    return [item for item in centre.ledger.closed_unerased() if due(centre, item)]


def due(centre: Centre, reception: Reception) -> bool:
    """Whether a reception's original has been kept long enough."""
    if reception.closed_at is None:
        return False
    job = centre.jobs.get(reception.job)  # a site may have dropped it since
    retention = job.retention if job else Retention()
    kept = timedelta(days=retention.days(reception.outcome))
    return datetime.fromisoformat(reception.closed_at) + kept <= centre.clock()


def run(centre: Centre, job: Job) -> None:
    """Destroy what is due."""
    found = expired(centre)
    if not found:
        return
    with centre.log.operation("erase", job=job.name) as operation:
        for done, reception in enumerate(found, 1):
            erase(centre, reception)
            centre.observe("erased", step="erase", done=done, total=len(found))
        operation.note(destroyed=len(found))


def recorded(centre: Centre, reception: Reception) -> dict[str, object]:
    """What the erasure record of a reception says, by the ledger; verified against it later."""
    return {
        "what": "original",
        "reception": reception.number,
        "sender": reception.sender,
        "sha256": reception.sha256,
        "rows": reception.rows,
        "outcome": reception.outcome or "",
        "result_sha256": reception.result_sha256 or "",
        "counts": {
            item.insurer: {name: getattr(item, name) for name in COUNTS}
            for item in centre.ledger.counts(reception.number)
        },
    }


def erase(centre: Centre, *receptions: Reception) -> None:
    """Originals and results of receptions. Killed anywhere, the next run does the rest."""
    said = {item.number: recorded(centre, item) for item in receptions}
    originals.destroy(centre, *(item.original for item in receptions))
    centre.observe("destroyed", step="erase")
    withdraw(centre, *receptions)
    with centre.ledger.begin() as transaction:
        for number, record in said.items():
            put(centre, transaction, "original", number, record)
            Ledger.set(transaction, number, original_erased=True)


def withdraw(centre: Centre, *receptions: Reception) -> None:
    """Take back the packages of rejected lines that nobody has collected."""
    for reception in receptions:
        for row in centre.ledger.laid_out(reception.number):
            if is_correction(row.kind):
                centre.outbox(row.sender).remove(row.name)


def put(
    centre: Centre,
    transaction: Connection,
    what: str,
    number: int,
    said: Mapping[str, object],
) -> None:
    """Sign what was erased and keep the record; a second one for the same is not taken."""
    now = centre.now()
    record = centre.signer.sign({**said, "erased_at": now})
    text = json.dumps(record, ensure_ascii=False, sort_keys=True)
    values = {"what": what, "number": number, "erased_at": now, "record": text}
    Ledger.put_erasure(transaction, values)
