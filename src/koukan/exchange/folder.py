"""Inboxes and outboxes as local folders (the SFTP server's chroots on the same machine).

A sender owns its inbox and may do anything there at any time: what is opened is checked to be the
regular file that was looked at, and links are never followed.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import accumulate, islice
from pathlib import Path
from typing import Protocol

from koukan import durable
from koukan.errors import IntegrityError, TransientError
from koukan.exchange.marker import DONE, LARGEST, Marker, parse
from koukan.keys.secret import open_regular, read_small

PARTIAL = ".part"  # a name that still grows
SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
TEMPORARY = "."
LONGEST = 100  # bytes of a name
MOST = 100_000  # names that one look takes in; the next look takes the others
BLOCK = 2 * 1024 * 1024
FOR_COLLECTING = 0o640  # an outbox's group is its owner's, where insurers have accounts


class Digest(Protocol):
    """What of a hash of `hashlib` is needed here."""

    def update(self, data: bytes, /) -> None: ...


def safe_name(name: str) -> str:
    """A name fit for logs and reports: what is not on the allow-list becomes `_`."""
    if SAFE.fullmatch(name):
        return name
    return "x" + re.sub(r"[^A-Za-z0-9._-]", "_", name)[:99]


def fit(name: str) -> bool:
    """Whether a name may be taken at all: short, one printable line, no dot or dash before it.

    A name that is fit and no format's is taken and refused, so that its sender hears of it.
    """
    if SAFE.fullmatch(name):
        return True
    # What the file system holds in no proper encoding comes as surrogates, which do not print.
    return name.isprintable() and name[0] not in ".-" and len(name.encode()) <= LONGEST


def within(sizes: Sequence[int], files: int, size: int) -> int:
    """How many of the first files are taken at once; one at least, so that nothing lies for ever.

    Args:
        sizes: of all of them, in bytes.
        files, size: bounds of their number and of their bytes together.
    """
    together = accumulate(sizes[:files])
    return max(sum(1 for total in together if total <= size), min(1, len(sizes)))


def hashed(blocks: Iterable[bytes], digest: Digest) -> Iterator[bytes]:
    """The same blocks; a large one is hashed while the caller is busy with it, by a thread.

    Args:
        digest: has seen every block when there is no further one.
    """
    with ThreadPoolExecutor(1) as beside:  # none is started before there is something for it
        hashing: Future[None] | None = None
        for block in blocks:
            if hashing is not None:
                hashing.result()
            if len(block) < BLOCK:
                hashing = None
                digest.update(block)
            else:
                hashing = beside.submit(digest.update, block)
            yield block


@dataclass(frozen=True, order=True)
class Arrival:
    """One look at a file in an inbox.

    Args:
        changed: when anything of it changed, in nanoseconds; its owner cannot set it.
        marked: a marker lies beside it, so that it is whole.
    """

    name: str
    size: int
    changed: int
    inode: int
    marked: bool = False


@dataclass(frozen=True)
class Look:
    """What lies in an inbox.

    Args:
        arrivals: files that can be taken, by name.
        aside: why others cannot (partial, special, linked, foreign, unnamed, unreadable, orphaned:
            a marker without its file), each with when it last changed, in nanoseconds.
        orphans: names of which there is a marker only.
        readable: False where the folder itself cannot be looked into.
    """

    arrivals: list[Arrival]
    aside: list[tuple[str, int]]
    orphans: list[str]
    readable: bool = True


@dataclass(frozen=True)
class Inbox:
    """One door of one sender.

    Args:
        owner: uid to whom all files have to belong; None where the site names none.
    """

    folder: Path
    owner: int | None = None

    def look(self) -> Look:
        """What can be taken and what cannot. A folder that is not there is an empty inbox."""
        aside: list[tuple[str, int]] = []
        files: dict[str, os.stat_result] = {}
        markers: dict[str, int] = {}
        ours = {os.getegid(), *os.getgroups()}
        try:
            entries = list(islice(os.scandir(self.folder), MOST))
        except FileNotFoundError:
            return Look([], [], [])
        except PermissionError:
            return Look([], [], [], readable=False)
        for entry in entries:
            try:
                state = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue  # its owner took it back while we looked
            except PermissionError:
                return Look([], [], [], readable=False)  # names can be read, nothing behind them
            reason = self._why_not(entry.name, state, ours)
            if reason is not None:
                aside.append((reason, state.st_ctime_ns))
            elif entry.name.endswith(DONE):
                markers[entry.name.removesuffix(DONE)] = state.st_ctime_ns
            else:
                files[entry.name] = state
        orphans = sorted(markers.keys() - files.keys())
        aside += [("orphaned", markers[name]) for name in orphans]
        found = [
            Arrival(name, state.st_size, state.st_ctime_ns, state.st_ino, name in markers)
            for name, state in sorted(files.items())
        ]
        return Look(found, aside, orphans)

    def _why_not(self, name: str, state: os.stat_result, ours: Collection[int]) -> str | None:
        """Why a name is not taken; None for a file that can be."""
        if name.endswith(PARTIAL) or name.startswith(TEMPORARY):
            return "partial"
        if not stat.S_ISREG(state.st_mode):
            return "special"
        if not fit(name):
            return "unnamed"
        if state.st_nlink != 1:
            return "linked"
        if self.owner not in (None, state.st_uid):
            return "foreign"
        return None if _readable(state, ours) else "unreadable"

    def read(self, arrival: Arrival, limit: int | None = None) -> Iterator[bytes]:
        """The content in blocks, of more than `limit` bytes no more than tells so.

        Raises:
            TransientError: the file is no longer the one that was looked at.
        """
        path = self.folder / arrival.name
        try:
            handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            raise TransientError("exchange.changed", file=safe_name(arrival.name)) from None
        left = arrival.size if limit is None else min(arrival.size, limit + 1)
        done = told = 0
        with os.fdopen(handle, "rb", buffering=0) as file:
            self._same(os.fstat(file.fileno()), arrival)
            while left and (block := file.read(min(left, BLOCK))):
                left -= len(block)
                done += len(block)
                yield block
                told = durable.forget_behind(handle, told, done)
            self._same(os.fstat(file.fileno()), arrival)

    def marker(self, arrival: Arrival) -> Marker | None:
        """What the marker beside a file says; None for one that cannot be read as such."""
        try:
            return parse(read_small(self.folder / (arrival.name + DONE), LARGEST))
        except OSError:
            return None

    def remove(self, arrival: Arrival) -> None:
        """Take the file out of the inbox, if it is still the one that was read, then its marker."""
        path = self.folder / arrival.name
        try:
            self._same(os.lstat(path), arrival)
        except FileNotFoundError:
            return
        durable.unlink(path)
        if arrival.marked:
            self.remove_marker(arrival.name)

    def remove_marker(self, name: str) -> None:
        """Take away a marker whose file is gone."""
        path = self.folder / (name + DONE)
        if not path.is_dir():
            durable.unlink(path)

    def _same(self, state: os.stat_result, arrival: Arrival) -> None:
        now = (state.st_size, state.st_ctime_ns, state.st_ino)
        regular = stat.S_ISREG(state.st_mode) and state.st_nlink == 1
        owned = self.owner in (None, state.st_uid)
        if now != (arrival.size, arrival.changed, arrival.inode) or not (regular and owned):
            raise TransientError("exchange.changed", file=safe_name(arrival.name))


def _readable(state: os.stat_result, ours: Collection[int]) -> bool:
    """Whether its mode lets us read a file (of which we ask no more, for speed)."""
    user = os.geteuid()
    if user in (0, state.st_uid):
        return user == 0 or bool(state.st_mode & stat.S_IRUSR)
    wanted = stat.S_IRGRP if state.st_gid in ours else stat.S_IROTH
    return bool(state.st_mode & wanted)


@dataclass(frozen=True)
class Outbox:
    """Where a sender collects what is for it."""

    folder: Path

    def put(self, name: str, content: bytes, digest: str) -> None:
        """Lay a file out, whole or not at all; the same content (SHA-256) again changes nothing."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if self.holds(name) != digest:
            durable.write(self.folder / name, content, replace=True, mode=FOR_COLLECTING)

    def stream(self, name: str, blocks: Iterable[bytes], digest: str) -> None:
        """The same for what is not to be in memory as a whole.

        Raises:
            IntegrityError: the blocks are not what the digest says; nothing was laid out.
        """
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if self.holds(name) == digest:
            return
        final = self.folder / name
        temporary = durable.temporary_name(final)
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(handle, "wb") as file:
                os.fchmod(handle, FOR_COLLECTING)
                found, length, told = hashlib.sha256(), 0, 0
                for block in hashed(blocks, found):
                    length += file.write(block)
                    told = durable.write_and_forget(handle, told, length)
            if found.hexdigest() != digest:
                raise IntegrityError("exchange.other_content", file=safe_name(name))
            durable.publish(temporary, final, length=length, replace=True)
        finally:
            temporary.unlink(missing_ok=True)

    def remove(self, name: str) -> bool:
        """Take back what was laid out; False when it is gone already, or a folder is there."""
        path = self.folder / name
        return not path.is_dir() and durable.unlink(path)

    def holds(self, name: str) -> str | None:
        """SHA-256 of the file under a name; None once its owner took it, or it is none to read."""
        try:
            handle = open_regular(self.folder / name)
        except (FileNotFoundError, PermissionError):
            return None
        if handle is None:
            return None
        with os.fdopen(handle, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def read(self, name: str) -> bytes | None:
        try:
            return (self.folder / name).read_bytes()
        except FileNotFoundError:
            return None
