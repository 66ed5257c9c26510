"""fetch: what a partner's host has for us comes into the partner's inbox.

A file that still grows is left: it has the name of one (`.part`), it lacks its marker where the
partner writes markers, or it does not look the same twice. It is copied under a growing name,
hashed on the way, and appears in the inbox whole, with its marker: what that says of records is
compared where files are picked up. Only then does the host lose it. A run killed in between fetches
it once more, and the same bytes under the same name make no second reception.
"""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from koukan import durable
from koukan.engine import hosts
from koukan.engine.centre import Centre
from koukan.engine.hosts import Visit
from koukan.errors import EnvironmentRefused, KoukanError, TransientError
from koukan.exchange.folder import PARTIAL
from koukan.exchange.marker import DONE, LARGEST, Marker, parse
from koukan.keys.secret import open_regular
from koukan.sites import Job
from koukan.sites.model import Host

if TYPE_CHECKING:
    from koukan.exchange.sftp import Entry, Remote


class MarkerDiffers(TransientError):
    """A file is not what its marker says."""


class Finished(NamedTuple):
    """A file that grows no more. Args: marker: None where the partner writes none."""

    entry: Entry
    marker: Marker | None


def run(centre: Centre, job: Job) -> None:
    """Fetch from every partner to whom we go."""
    for sender, host in hosts.partners(centre):
        hosts.serve(centre, "fetch", sender, host, lambda visit: fetch_all(visit, job))


def fetch_all(visit: Visit, job: Job) -> None:
    """Everything that is finished there; one file that cannot be had stops no other.

    Raises:
        EnvironmentRefused, TransientError: of the first file that should have been fetched.
    """
    centre, sender = visit.centre, visit.sender
    durable.remove(left_half(inbox(visit)))
    ready, problems = finished(visit)
    if ready:
        with centre.log.operation("fetch", job=job.name, sender=sender.name) as operation:
            taken = size = 0
            for number, found in enumerate(ready):
                try:
                    done = take(visit, found)
                except MarkerDiffers as error:
                    problems.append(error)
                    continue
                if done:
                    taken, size = taken + 1, size + found.entry.size
                centre.observe("fetched", step="fetch", done=number + 1, total=len(ready))
            operation.note(files=taken, bytes=size, kept=len(ready) - taken)
    if problems:
        raise problems[0]


def inbox(visit: Visit) -> Path:
    """Where its files go."""
    sender = visit.sender
    return visit.centre.inbox(sender.name, sender.fetched_to).folder


def left_half(folder: Path) -> list[Path]:
    """What a killed run left in an inbox that nobody else writes to: copies, markers alone."""
    alone = [path for path in folder.glob(f"*{DONE}") if lying(path.with_suffix("")) is None]
    return [*folder.glob(f"*{PARTIAL}"), *alone]


def finished(visit: Visit) -> tuple[list[Finished], list[KoukanError]]:
    """Files that grow no more, and what is wrong with others of which that can be said."""
    remote, host = visit.remote, visit.host
    first, _ = remote.look(host.fetch_from)
    files = [entry for entry in first if not entry.name.endswith((PARTIAL, DONE))]
    problems: list[KoukanError] = [
        EnvironmentRefused("exchange.host_file_large", **place(visit, entry))
        for entry in files
        if entry.size > host.max_bytes
    ]
    files = [entry for entry in files if entry.size <= host.max_bytes]
    if host.markers:
        return marked(visit, files, {entry.name for entry in first}, problems), problems
    if files:
        time.sleep(visit.centre.site.limits.settle_seconds)
        still = set(remote.look(host.fetch_from)[0])
        files = [entry for entry in files if entry in still]
    return [Finished(entry, None) for entry in files], problems


def marked(
    visit: Visit, files: list[Entry], names: set[str], problems: list[KoukanError]
) -> list[Finished]:
    """Those that have a marker; one that cannot be read is a problem."""
    remote, folder = visit.remote, visit.host.fetch_from
    for name in sorted(names):
        of = name.removesuffix(DONE)
        if of != name and of not in names and remote.stat(folder, of) is None:
            remote.remove(folder, name)  # its file was fetched by a run that was killed after that
    ready = []
    for entry in files:
        if entry.name + DONE in names:
            marker = marker_of(remote, visit.host, entry)
            if marker is None:
                problems.append(MarkerDiffers("exchange.marker_differs", **place(visit, entry)))
            else:
                ready.append(Finished(entry, marker))
    return ready


def place(visit: Visit, entry: Entry) -> dict[str, str]:
    """A file in an error."""
    return {"sender": visit.sender.name, "file": entry.name}


def marker_of(remote: Remote, host: Host, entry: Entry) -> Marker | None:
    """What a file's marker says of it; None where that cannot be read."""
    name = entry.name + DONE
    found = remote.stat(host.fetch_from, name)
    if found is None or found.size > LARGEST:
        return None
    return parse(b"".join(remote.read(host.fetch_from, name, found.size)))


def take(visit: Visit, found: Finished) -> bool:
    """Copy one file into the inbox, then take it away there; False where it is left for later.

    Raises:
        MarkerDiffers: it is not what its marker says.
        TransientError: the connection broke.
    """
    centre, remote, host = visit.centre, visit.remote, visit.host
    entry, marker = found
    final = inbox(visit) / entry.name
    waits = lying(final)
    if waits is not None and waits != entry.size:
        return False  # another of that name is not picked up yet
    growing = final.with_name(entry.name + PARTIAL)
    digest, length = copy(remote, host, entry, growing)
    centre.observe("copied", step="fetch")
    if length != entry.size or remote.stat(host.fetch_from, entry.name) != entry:
        growing.unlink()
        return False  # its writer had not finished
    if marker is not None and not marker.is_of(digest, length):
        growing.unlink()
        raise MarkerDiffers("exchange.marker_differs", **place(visit, entry))
    if waits is not None and digest_of(final) != digest:
        growing.unlink()
        return False
    with centre.log.operation("fetched", **place(visit, entry)) as operation:
        if marker is not None:  # before its file, which is never picked up without it
            durable.write(final.with_name(entry.name + DONE), marker.written(), replace=True)
            centre.observe("marker in the inbox", step="fetch")
        durable.publish(growing, final, length=length)
        operation.note(bytes=length, sha256=digest)
        centre.observe("in the inbox", step="fetch")
        remote.remove(host.fetch_from, entry.name)
        if marker is not None:
            centre.observe("removed there", step="fetch")
            remote.remove(host.fetch_from, entry.name + DONE)
    return True


def lying(path: Path) -> int | None:
    """The length of what has the name in the inbox; None where nothing has."""
    try:
        return path.lstat().st_size
    except FileNotFoundError:
        return None


def digest_of(path: Path) -> str | None:
    """SHA-256 of a regular file; a run that was killed may have fetched it just so."""
    handle = open_regular(path)
    if handle is None:
        return None
    with os.fdopen(handle, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def copy(remote: Remote, host: Host, entry: Entry, growing: Path) -> tuple[str, int]:
    """Its SHA-256 and length, as they came."""
    digest, length = hashlib.sha256(), 0
    handle = os.open(growing, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "wb") as file:
        for block in remote.read(host.fetch_from, entry.name, entry.size):
            digest.update(block)
            length += file.write(block)
    return digest.hexdigest(), length
