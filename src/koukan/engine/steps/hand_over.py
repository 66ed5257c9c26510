"""hand_over: what lies in a partner's outbox goes to the partner's host.

It is uploaded under a growing name and read back; the ledger says that it is uploaded, and then
that it is ready, which is said right before it gets its own name; the marker follows where the
partner wants one; the ledger says that it was handed over; then our copy goes, that of a package
into `taken/`, where what is delivered is looked for. So a file is there whole or not at all, and
once: what is uploaded and has no growing name any more was removed there, and is uploaded anew; a
run killed after `ready` finds the file under one of its names, or knows that it was taken already.
"""

from __future__ import annotations

import hashlib
import io
import os
from dataclasses import replace
from pathlib import Path

from koukan import durable
from koukan.engine import hosts
from koukan.engine.centre import Centre
from koukan.engine.hosts import Visit
from koukan.engine.packages import PACKAGE, SIGNED
from koukan.errors import TransientError
from koukan.exchange.folder import PARTIAL, safe_name
from koukan.exchange.marker import DONE, Marker
from koukan.keys.secret import open_regular
from koukan.ledger.hosts import (
    Handover,
    forget_handover,
    handover,
    put_handover,
    unfinished_handovers,
)
from koukan.sites import Job, Sender

UPLOADED, READY, HANDED = "uploaded", "ready", "handed"


def run(centre: Centre, job: Job) -> None:
    """Hand over whatever lies there, to every partner to whom we go."""
    for sender, host in hosts.partners(centre):
        files = waiting(centre.outbox(sender.name).folder)
        if not (files or withdrawn(centre, sender, files)) or hosts.left_alone(centre, sender):
            continue
        hosts.serve(centre, "hand_over", sender, host, lambda visit: hand_all(visit, job))


def hand_all(visit: Visit, job: Job) -> None:
    """Everything in its outbox, one file after another."""
    centre, sender = visit.centre, visit.sender
    files = waiting(centre.outbox(sender.name).folder)
    with centre.log.operation("hand_over", job=job.name, sender=sender.name) as operation:
        take_back(visit, withdrawn(centre, sender, files))
        size = 0
        for number, path in enumerate(files):
            size += hand_file(visit, path)
            operation.note(files=number + 1, bytes=size)


def waiting(folder: Path) -> list[Path]:
    """Whole files in an outbox, by name."""
    if not folder.is_dir():
        return []
    return sorted(
        path
        for path in folder.iterdir()
        if safe_name(path.name) == path.name and path.is_file() and not path.is_symlink()
    )


def withdrawn(centre: Centre, sender: Sender, files: list[Path]) -> list[Handover]:
    """What a killed run had uploaded, and was erased here before it got its name there."""
    names = {path.name for path in files}
    left = unfinished_handovers(centre.ledger, sender.name)
    return [item for item in left if item.name not in names]


def take_back(visit: Visit, items: list[Handover]) -> None:
    """Its growing name goes; what the partner has under its own name by now is the partner's."""
    centre = visit.centre
    for item in items:
        visit.remote.remove(visit.host.hand_to, item.name + PARTIAL)
        with centre.ledger.begin() as transaction:
            forget_handover(transaction, item)
        centre.observe("taken back", step="hand_over")


def hand_file(visit: Visit, path: Path) -> int:
    """One file, whole and once; its length."""
    centre, sender = visit.centre, visit.sender
    try:
        handle = open_regular(path)
    except FileNotFoundError:
        handle = None  # a person took it
    if handle is None:
        return 0
    with os.fdopen(handle, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        length = file.tell()
        known = handover(centre.ledger, sender.name, path.name)
        if known is None or known.sha256 != digest or removed_there(visit, known):
            file.seek(0)
            visit.remote.upload(visit.host.hand_to, path.name, file, length, digest)
            centre.observe("read back", step="hand_over")
            known = Handover(sender.name, path.name, digest, length, centre.now(), UPLOADED)
            told(visit, known, UPLOADED)
    if known.state != HANDED:
        publish(visit, known)
    put_away(visit, path)
    centre.observe("handed over", step="hand_over")
    return length


def put_away(visit: Visit, path: Path) -> None:
    """Our copy goes; a package's goes to where its owner would have put it, for it has it now."""
    if not path.name.endswith((PACKAGE, PACKAGE + SIGNED)):
        durable.unlink(path)
        return
    taken = visit.centre.taken(visit.sender.name).folder
    taken.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.replace(taken / path.name)
    for folder in (taken, path.parent):
        durable.sync_folder(folder)


def told(visit: Visit, item: Handover, state: str) -> Handover:
    """The ledger knows how far it is."""
    known = replace(item, state=state)
    with visit.centre.ledger.begin() as transaction:
        put_handover(transaction, known)
    visit.centre.observe(state, step="hand_over")
    return known


def removed_there(visit: Visit, item: Handover) -> bool:
    """Whether it was uploaded, and nobody but the partner can have removed it since."""
    if item.state != UPLOADED:
        return False
    return visit.remote.stat(visit.host.hand_to, item.name + PARTIAL) is None


def publish(visit: Visit, item: Handover) -> None:
    """Its own name, its marker, and the ledger knows. What is ready and has no name was taken.

    Raises:
        TransientError: the partner removed it a moment ago; the next run uploads it anew.
    """
    centre, remote, host = visit.centre, visit.remote, visit.host
    where = {"sender": item.sender, "file": item.name}
    fresh = item.state == UPLOADED
    if fresh:
        item = told(visit, item, READY)
    named = remote.publish(host.hand_to, item.name)
    if fresh and not named:
        told(visit, item, UPLOADED)
        raise TransientError("exchange.host_removed", **where)
    if not named:
        remote.look(host.hand_to)  # only what a folder does not have was taken out of it
    centre.observe("published", step="hand_over")
    if host.markers and remote.stat(host.hand_to, item.name) is not None:
        mark(visit, item)
    with centre.log.operation("handed_over", **where) as operation:
        operation.note(bytes=item.length, sha256=item.sha256)
        told(visit, item, HANDED)


def mark(visit: Visit, item: Handover) -> None:
    """Lay its marker. Raises TransientError where the partner removed that, too."""
    remote, folder, name = visit.remote, visit.host.hand_to, item.name + DONE
    content = Marker(item.sha256, item.length).written()
    digest = hashlib.sha256(content).hexdigest()
    remote.upload(folder, name, io.BytesIO(content), len(content), digest)
    if not remote.publish(folder, name):
        raise TransientError("exchange.host_removed", sender=item.sender, file=name)
    visit.centre.observe("marked", step="hand_over")
