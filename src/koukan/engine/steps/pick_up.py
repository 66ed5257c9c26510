"""pick up: files leave the inboxes for good only when our own sealed copy is durable.

Two equal looks, then lot by lot in (sender, sequence, name) order: copy and hash each file in one
pass into a sealed original, then a reception for each in the ledger, its first receipt into its
sender's outbox, and only then out of the inbox. Killed in between, the next run finds the same
names with the same bytes and makes no second reception.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from concurrent.futures import ThreadPoolExecutor as Threads
from dataclasses import dataclass
from typing import NamedTuple

from koukan import durable
from koukan.engine import originals
from koukan.engine.centre import Centre
from koukan.engine.foreseen import Passing
from koukan.engine.lots import lots
from koukan.engine.receipts import Laid, first_receipt, note_laid
from koukan.errors import IntegrityError, TransientError
from koukan.exchange import Arrival, Inbox, Outbox
from koukan.exchange.folder import safe_name
from koukan.ledger import Ledger, Reception
from koukan.sites import Job, Sender

OF_NO_FORMAT = 0  # sequence of a file whose name no format knows


@dataclass(frozen=True)
class Candidate:
    """A file that lay still between two looks."""

    sender: Sender
    sequence: int
    arrival: Arrival
    door: str
    form: str | None
    inbox: Inbox

    @property
    def order(self) -> tuple[str, int, str, str]:
        return self.sender.name, self.sequence, self.arrival.name, self.door


class Copy(NamedTuple):
    """A sealed copy of which no reception knows yet."""

    candidate: Candidate
    name: str
    sha256: str
    length: int


def look(centre: Centre, job: Job) -> list[Candidate]:
    """Every regular file in the inboxes that is not another job's."""
    found = []
    for sender in centre.site.senders:
        for door in sender.doors:
            inbox = centre.inbox(sender.name, door)
            for arrival in inbox.look()[0]:
                form, sequence = recognise(centre, arrival.name)
                if form in job.formats or form is None:
                    found.append(Candidate(sender, sequence, arrival, door, form, inbox))
    return sorted(found, key=lambda candidate: candidate.order)


def recognise(centre: Centre, name: str) -> tuple[str | None, int]:
    """The format that claims the name, of any job, and the sequence number in it.

    A name that no job's format has is refused by the first job that comes upon it.
    """
    for job in centre.jobs.values():
        for form in job.formats:
            match = centre.catalogue.formats[form].file.expression.fullmatch(name)
            if match:
                return form, int(match["sequence"])
    return None, OF_NO_FORMAT


def run(centre: Centre, job: Job) -> None:
    """Take in what lies still; finish what a killed run left half done."""
    recover(centre)
    first = look(centre, job)
    if not first:
        return
    time.sleep(centre.site.limits.settle_seconds)
    still = set(look(centre, job)) & set(first)
    ordered = sorted(still, key=lambda item: item.order)
    with centre.log.operation("pick_up", job=job.name) as operation, Threads(2) as helpers:
        taken = 0
        for lot in lots(ordered, lambda candidate: candidate.arrival.size):
            taken += take(centre, job, lot, helpers)
            centre.observe("picked_up", step="pick_up", done=taken, total=len(still))
        operation.note(files=taken, kept=len(first) - taken)


def take(centre: Centre, job: Job, candidates: Sequence[Candidate], helpers: Executor) -> int:
    """A lot of files: sealed copies, receptions, out of the inbox; how many were taken."""
    lot = originals.new_lot()
    centre.ledger.note_lot(lot)
    copies = []
    with durable.together():
        for place, candidate in enumerate(candidates):
            try:
                copies.append(copy(centre, candidate, originals.name_in(lot, place), helpers))
            except TransientError:
                continue  # its owner changed it under our eyes: the next run takes it
            centre.observe("sealed", step="pick_up")
    receipts = []
    with centre.ledger.together():
        for made in copies:
            receipts += receive(centre, job, made)
    centre.observe("noted", step="pick_up")
    with durable.together():
        for outbox, laid in receipts:
            outbox.put(laid.name, laid.content, laid.sha256)
    centre.observe("receipts laid out", step="pick_up")
    taken = 0
    with durable.together():
        for made in copies:
            try:
                made.candidate.inbox.remove(made.candidate.arrival)
            except TransientError:
                continue
            taken += 1
    return taken


def copy(centre: Centre, candidate: Candidate, name: str, helpers: Executor) -> Copy:
    """A file's sealed original, hashed on the way; and through the gate, if its format is known."""
    digest = hashlib.sha256()
    length = 0

    def hashed(blocks: Iterator[bytes]) -> Iterator[bytes]:
        nonlocal length
        for block in blocks:
            length += len(block)
            if len(block) < originals.BLOCK:
                digest.update(block)
                yield block
                continue
            hashing = helpers.submit(digest.update, block)
            yield block  # it is sealed while it is hashed
            hashing.result()

    try:
        blocks = hashed(candidate.inbox.read(candidate.arrival))
        if candidate.form is None:
            originals.seal_original(centre, name, blocks)
        else:
            bundle = centre.bundle(candidate.form)
            passing = Passing(bundle.form, candidate.arrival.size, helpers)
            originals.seal_original(centre, name, passing.seen(blocks))
            centre.foreseen.note(name, bundle, passing.verdict())
    except TransientError:
        centre.keyring.destroy("original", name)
        raise
    return Copy(candidate, name, digest.hexdigest(), length)


def receive(centre: Centre, job: Job, copy: Copy) -> list[tuple[Outbox, Laid]]:
    """A reception for a copy, unless there is one of the same file; its first receipt.

    The receipt is laid out before the file leaves the inbox: killed in between, the next run finds
    the file there and has it told anew.
    """
    candidate = copy.candidate
    form = candidate.form or job.formats[0]
    again = same_file(centre, candidate, form, copy.sha256)
    if again is not None:
        originals.destroy(centre, copy.name)
        with centre.ledger.begin() as transaction:
            Ledger.set(transaction, again.number, told=None)  # lay the old receipt out again
        return []
    unknown = {} if candidate.form else {"outcome": "refused", "code": "F101"}
    now = centre.now()
    number = centre.ledger.add_reception(
        {
            "job": job.name,
            "format": form,
            "definition": centre.bundle(form).digest,
            "rights": centre.rights_digest(candidate.sender.name, form),
            "policy": centre.policies.digest(candidate.sender.name),
            "sender": candidate.sender.name,
            "door": candidate.door,
            "file_name": safe_name(candidate.arrival.name),
            "sequence": candidate.sequence,
            "sha256": copy.sha256,
            "length": copy.length,
            "original": copy.name,
            "received_at": now,
            "told": "picked_up",
            "told_at": now,
            **unknown,
        }
    )
    reception = centre.ledger.reception(number)
    laid = first_receipt(centre, reception)
    with centre.ledger.begin() as transaction:
        note_laid(transaction, reception, laid)
    return [(centre.outbox(reception.sender), laid)]


def same_file(centre: Centre, candidate: Candidate, form: str, digest: str) -> Reception | None:
    """An earlier reception of the same name and bytes, unless it could end otherwise today."""
    earlier = centre.ledger.earlier(
        sender=candidate.sender.name,
        door=candidate.door,
        format=form,
        file_name=safe_name(candidate.arrival.name),
        sha256=digest,
    )
    if not earlier:
        return None
    last = earlier[-1]
    today = (
        centre.bundle(form).digest,
        centre.rights_digest(candidate.sender.name, form),
        centre.policies.digest(candidate.sender.name),
    )
    changed = (last.definition, last.rights, last.policy) != today
    return None if last.outcome == "refused" and changed else last


def recover(centre: Centre) -> None:
    """Remove the copies that a killed run had made and no reception knows.

    They are of the lot that the ledger noted last. Others mean that it is the ledger which lacks
    receptions, and what is destroyed could never be brought back.

    Raises:
        IntegrityError: there are such; none was touched.
    """
    unknown = copies(centre) - centre.ledger.originals()
    if not unknown:
        return
    lot = centre.ledger.lot()
    if lot is None or not all(originals.is_in(lot, name) for name in unknown):
        raise IntegrityError("engine.ledger_older", path="originals")
    originals.destroy(centre, *sorted(unknown))


def copies(centre: Centre) -> set[str]:
    """Names of all sealed copies, results and their keys."""
    found = {key.stem for key in centre.folder("keyring", "random", "original").glob("*.key")}
    for folder in ("originals", "results"):
        found |= {path.name.removesuffix(".sealed") for path in centre.folder(folder).iterdir()}
    return found
