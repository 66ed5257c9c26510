"""Inboxes and outboxes as local folders (the SFTP server's chroots on the same machine).

A sender owns its inbox and may do anything there at any time: what is opened is checked to be the
regular file that was looked at, and links are never followed.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from koukan import durable
from koukan.errors import IntegrityError, TransientError
from koukan.keys.secret import open_regular

PARTIAL = ".part"  # a name that still grows
SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
BLOCK = 2 * 1024 * 1024


def safe_name(name: str) -> str:
    """A name fit for logs and reports: what is not on the allow-list becomes `_`."""
    if SAFE.fullmatch(name):
        return name
    return "x" + re.sub(r"[^A-Za-z0-9._-]", "_", name)[:99]


@dataclass(frozen=True, order=True)
class Arrival:
    """One look at a file in an inbox."""

    name: str
    size: int
    changed: int
    inode: int


@dataclass(frozen=True)
class Inbox:
    """One door of one sender."""

    folder: Path

    def look(self) -> tuple[list[Arrival], int]:
        """Regular files by name, and the number of names that still grow (`.part`) or are no files.

        A folder that is not there is an empty inbox.
        """
        found, others = [], 0
        try:
            entries = sorted(os.scandir(self.folder), key=lambda entry: entry.name)
        except FileNotFoundError:
            return [], 0
        for entry in entries:
            try:
                state = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue  # its owner took it back while we looked
            if stat.S_ISREG(state.st_mode) and not self._grows(entry.name):
                found.append(Arrival(entry.name, state.st_size, state.st_mtime_ns, state.st_ino))
            else:
                others += 1
        return found, others

    @staticmethod
    def _grows(name: str) -> bool:
        return name.endswith(PARTIAL) or name.startswith(".")

    def read(self, arrival: Arrival) -> Iterator[bytes]:
        """The content in blocks.

        Raises:
            TransientError: the file is no longer the one that was looked at.
        """
        path = self.folder / arrival.name
        try:
            handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            raise TransientError("exchange.changed", file=safe_name(arrival.name)) from None
        with os.fdopen(handle, "rb", buffering=0) as file:
            self._same(os.fstat(file.fileno()), arrival)
            while block := file.read(BLOCK):
                yield block
            self._same(os.fstat(file.fileno()), arrival)

    def remove(self, arrival: Arrival) -> None:
        """Take the file out of the inbox, if it is still the one that was read."""
        path = self.folder / arrival.name
        try:
            self._same(os.lstat(path), arrival)
        except FileNotFoundError:
            return
        durable.unlink(path)

    @staticmethod
    def _same(state: os.stat_result, arrival: Arrival) -> None:
        now = (state.st_size, state.st_mtime_ns, state.st_ino)
        if now != (arrival.size, arrival.changed, arrival.inode) or not stat.S_ISREG(state.st_mode):
            raise TransientError("exchange.changed", file=safe_name(arrival.name))


@dataclass(frozen=True)
class Outbox:
    """Where a sender collects what is for it."""

    folder: Path

    def put(self, name: str, content: bytes, digest: str) -> None:
        """Lay a file out, whole or not at all; the same content (SHA-256) again changes nothing."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if self.holds(name) != digest:
            durable.write(self.folder / name, content, replace=True)

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
                found, length = hashlib.sha256(), 0
                for block in blocks:
                    found.update(block)
                    length += file.write(block)
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
