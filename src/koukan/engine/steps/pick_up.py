"""pick up: files leave the inboxes for good only when our own sealed copy is durable.

Two equal looks, or one at a file whose marker says that it is whole. Then lot by lot in (sender,
sequence, name) order: copy and hash each file in one pass into a sealed original, then a reception
for each in the ledger, its first receipt into its sender's outbox, and only then out of the inbox.
Killed in between, the next run finds the same names with the same bytes and makes no second
reception.
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
from koukan.exchange.folder import safe_name, within
from koukan.exchange.marker import CODES, WRONG_MARKER
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
    complaint: str | None


def look(centre: Centre, job: Job) -> list[Candidate]:
    """Every file in the inboxes that can be taken, is not another job's, and within the bounds.

    An inbox that cannot be looked into stands in nobody else's way: `koukan status` tells it.
    """
    found = []
    for sender in centre.site.senders:
        own = []
        for door in sender.doors:
            inbox = centre.inbox(sender.name, door)
            seen = inbox.look()
            for name in seen.orphans:
                if left_behind(centre, sender, door, name):
                    inbox.remove_marker(name)
            for arrival in seen.arrivals:
                form, sequence = recognise(centre, arrival.name)
                if form in job.formats or form is None:
                    own.append(Candidate(sender, sequence, arrival, door, form, inbox))
        own.sort(key=lambda candidate: candidate.order)
        limits = centre.site.limits
        sizes = [candidate.arrival.size for candidate in own]
        found += own[: within(sizes, limits.inbox_files, limits.inbox_bytes)]
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
    still = set(first)
    if not all(candidate.arrival.marked for candidate in first):
        time.sleep(centre.site.limits.settle_seconds)
        still &= set(look(centre, job))
    ordered = sorted(still, key=lambda item: item.order)
    with centre.log.operation("pick_up", job=job.name) as operation, Threads(1) as helpers:
        taken = 0
        for lot in lots(ordered, lambda candidate: candidate.arrival.size):
            taken += take(centre, job, lot, helpers)
            centre.observe("picked_up", step="pick_up", done=taken, total=len(still))
        operation.note(files=taken, kept=len(first) - taken)


def take(centre: Centre, job: Job, candidates: Sequence[Candidate], helpers: Executor) -> int:
    """A lot of files: sealed copies, receptions, out of the inbox; how many were taken."""
    lot = originals.new_lot()
    centre.ledger.note_lot(lot)
    names = [originals.name_in(lot, place) for place in range(len(candidates))]
    centre.keyring.make_keys("original", names)
    copies = []
    with durable.together():
        for name, candidate in zip(names, candidates, strict=True):
            try:
                copies.append(copy(centre, job, candidate, name, helpers))
            except TransientError:
                continue  # its owner changed it under our eyes: the next run takes it
            centre.observe("sealed", step="pick_up")
    centre.observe("copied", step="pick_up")
    receipts = []
    with centre.ledger.together():
        for made in copies:
            receipts += receive(centre, job, made)
    centre.observe("noted", step="pick_up")
    with durable.together():
        for outbox, laid in receipts:
            outbox.stream(laid.name, laid.content, laid.sha256)
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


def copy(centre: Centre, job: Job, candidate: Candidate, name: str, helpers: Executor) -> Copy:
    """A file's sealed original, hashed on the way; and through the gate, if its format is known."""
    digest = hashlib.sha256()
    length = records = 0
    arrival = candidate.arrival

    def hashed(blocks: Iterator[bytes]) -> Iterator[bytes]:
        nonlocal length, records
        for block in blocks:
            digest.update(block)  # here: the gate's thread has as much to do as this one with it
            length += len(block)
            records += block.count(b"\n") if arrival.marked else 0
            yield block

    try:
        # What is longer than its format allows is copied until that shows, and refused for it.
        limit = centre.bundle(candidate.form or job.formats[0]).form.file.max_bytes
        blocks = hashed(candidate.inbox.read(arrival, limit))
        if candidate.form is None:
            originals.seal_original(centre, name, blocks)
        else:
            bundle = centre.bundle(candidate.form)
            passing = Passing(bundle.form, min(arrival.size, limit), helpers)
            originals.seal_original(centre, name, passing.seen(blocks))
            centre.foreseen.note(name, bundle, passing.verdict())
    except TransientError:
        centre.keyring.destroy("original", name)
        raise
    complaint = None
    if arrival.marked and arrival.size == length:
        marker = candidate.inbox.marker(arrival)
        found = digest.hexdigest(), length, records
        complaint = WRONG_MARKER if marker is None else marker.complaint(*found)
    return Copy(candidate, name, digest.hexdigest(), length, complaint)


def receive(centre: Centre, job: Job, copy: Copy) -> list[tuple[Outbox, Laid]]:
    """A reception for a copy, unless there is one of the same file; its first receipt.

    The receipt is laid out before the file leaves the inbox: killed in between, the next run finds
    the file there and has it told anew.
    """
    candidate = copy.candidate
    form = candidate.form or job.formats[0]
    again = same_file(centre, candidate, form, copy)
    if again is not None:
        originals.destroy(centre, copy.name)
        with centre.ledger.begin() as transaction:
            Ledger.set(transaction, again.number, told=None)  # lay the old receipt out again
        return []
    code = copy.complaint if candidate.form else "F101"
    refused = {} if code is None else {"outcome": "refused", "code": code}
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
            **refused,
        }
    )
    reception = centre.ledger.reception(number)
    laid = first_receipt(centre, reception)
    with centre.ledger.begin() as transaction:
        note_laid(transaction, reception, laid)
    return [(centre.outbox(reception.sender), laid)]


def same_file(centre: Centre, candidate: Candidate, form: str, copy: Copy) -> Reception | None:
    """An earlier reception of the same name and bytes, unless it could end otherwise today."""
    earlier = centre.ledger.earlier(
        sender=candidate.sender.name,
        door=candidate.door,
        format=form,
        file_name=safe_name(candidate.arrival.name),
        sha256=copy.sha256,
    )
    if not earlier:
        return None
    last = earlier[-1]
    if copy.complaint != (last.code if last.code in CODES else None):
        return None  # its marker says something else than the one before
    today = (
        centre.bundle(form).digest,
        centre.rights_digest(candidate.sender.name, form),
        centre.policies.digest(candidate.sender.name),
    )
    changed = (last.definition, last.rights, last.policy) != today
    return None if last.outcome == "refused" and changed else last


def left_behind(centre: Centre, sender: Sender, door: str, name: str) -> bool:
    """Whether a marker without its file is one of a file that a killed run had taken."""
    found = centre.ledger.earlier(sender=sender.name, door=door, file_name=safe_name(name))
    return bool(found)


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
