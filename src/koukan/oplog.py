"""The operation log: who did what, chained so that altering, removing or reordering shows.

JSON Lines in `operations-YYYYMM.jsonl`, one entry a line, each naming the hash of the one before,
across the months too. An operation writes its intent before any effect and its outcome after it; an
intent without outcome tells of a run that was killed. Cutting off the newest entries cannot show
from inside, so `head` is meant to be kept elsewhere as well (packages, reports).

    {"sequence", "at" (UTC), "actor", "kind": "intent", "operation", "where": {…},
     "previous" (hash of the entry before), "hash" (SHA-256 of the rest as canonical JSON)}

An outcome ("done", "failed") also has "intent" (its sequence), "note": {…} and, if it failed,
"error": {"class", "key"}. An entry with "torn" stands where an append was killed half-way.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from koukan import durable
from koukan.errors import EnvironmentRefused, IntegrityError, KoukanError, UsageError
from koukan.keys.secret import canonical, private_folder

GENESIS = "0" * 64  # what the first entry names as the hash before it

_COUNTS = frozenset(
    "accepted added ambiguous answered asked bytes committed delivered destroyed duplicate erased "
    "expired files held issued joined kept linked packages parted received records refused "
    "rejected released removed requests rows unanswered waiting withheld".split()
)
_NAMES = _COUNTS | frozenset(
    "job reception receptions line group step table version sender insurer file code reason "
    "command actor format outcome approval request code_request sha256 sign".split()
)
_OPERATION = re.compile(r"[a-z][a-z0-9_.-]{0,63}")
_ACTOR = re.compile(r"[A-Za-z0-9_=-][A-Za-z0-9._=-]{0,199}")
_TEXT = re.compile(r"[A-Za-z0-9._:=+@/,-]{1,200}")
_REASON = 500  # characters
# 被保険者枝番, 個人番号, 紐付番号 and PMH-ID: no value may look like one.
_PERSONAL = re.compile(r"[0-9]{10}|[0-9]{12}|[0-9]{16}")
_NUMBER_WITHIN = re.compile(r"[0-9]{4}[\s‐‑‒–—―−ー・-]{0,2}[0-9]{4}[\s‐‑‒–—―−ー・-]{0,2}[0-9]{4}")
_LARGEST = 10**9  # of every count but bytes: below the shortest of those numbers

_FILES = "operations-[0-9][0-9][0-9][0-9][0-9][0-9].jsonl"
_BLOCK = 1 << 16


class _Tail(NamedTuple):
    path: Path | None  # the file to go on in; None before the first one
    offset: int  # where its last whole line ends
    torn: bytes  # what follows there: the rest of an append that was killed
    sequence: int
    hash: str


class Operation:
    """What `OperationLog.operation` lends to its body."""

    def __init__(self, sequence: int) -> None:
        self.sequence = sequence  # of the intent
        self._notes: dict[str, int | str] = {}

    def note(self, **counts: int | str) -> None:
        """Add to the outcome: counts, and names from the closed list."""
        self._notes.update(_checked(counts))

    @property
    def notes(self) -> Mapping[str, int | str]:
        return self._notes


class OperationLog:
    """Appends to the log in `folder` as `actor`; any number of processes and threads may.

    Raises (all methods):
        EnvironmentRefused: the log cannot be written.
        IntegrityError: its last entry is not what was written; nothing is built on it.
    """

    def __init__(self, folder: Path, actor: str, clock: Callable[[], datetime]) -> None:
        if not _ACTOR.fullmatch(actor):
            raise ValueError("the log does not take this actor's name")
        self._folder = folder
        self._actor = actor
        self._clock = clock

    @property
    def head(self) -> tuple[int, str]:
        """(sequence, hash) of the newest entry; (0, GENESIS) before the first."""
        tail = _tail(self._folder)
        return tail.sequence, tail.hash

    @contextmanager
    def operation(self, name: str, **where: int | str) -> Iterator[Operation]:
        """Log an operation: its intent before the body, *done* or *failed* after it.

        When the intent cannot be written, the body does not run. A failure is logged as the class
        of the error and its catalogue key, never its text, and goes on to the caller.

        Raises:
            ValueError: a name or value that the log does not take (a bug of ours).
            UsageError: a reason that is too long or holds something like a 個人番号.
        """
        if not _OPERATION.fullmatch(name):
            raise ValueError("the log does not take this operation's name")
        place = _checked(where)
        operation = Operation(self._append("intent", name, {"where": place}))
        closing = {"intent": operation.sequence, "where": place}
        try:
            yield operation
        except BaseException as error:
            failure = {"class": type(error).__name__}
            if isinstance(error, KoukanError):
                failure["key"] = error.key
            notes = {"note": operation.notes, "error": failure}
            try:
                self._append("failed", name, {**closing, **notes})
            except KoukanError as second:
                # The body's error matters more; the intent stays without outcome, which tells.
                error.add_note(f"its outcome could not be logged: {second}")
            raise
        self._append("done", name, {**closing, "note": operation.notes})

    def _append(self, kind: str, operation: str, content: Mapping[str, object]) -> int:
        now = self._clock()
        if now.tzinfo is None:
            raise ValueError("the clock tells no time zone")
        now = now.astimezone(UTC)
        try:
            with _locked(private_folder(self._folder)):
                tail = _tail(self._folder)
                entry: dict[str, object] = {
                    **content,
                    "sequence": tail.sequence + 1,
                    "at": now.isoformat(timespec="microseconds"),
                    "actor": self._actor,
                    "kind": kind,
                    "operation": operation,
                    "previous": tail.hash,
                }
                if tail.torn:
                    lost = hashlib.sha256(tail.torn).hexdigest()
                    entry["torn"] = {"sha256": lost, "length": len(tail.torn)}
                entry["hash"] = _hash(entry)
                _write(_place(self._folder, tail, now), tail, canonical(entry) + b"\n")
        except OSError:
            raise EnvironmentRefused("oplog.unwritable", path=self._folder.name) from None
        return tail.sequence + 1


def began(folder: Path) -> datetime | None:
    """When the first entry was written: the site's initialisation. None before it."""
    for path in sorted(folder.glob(_FILES)):
        with path.open("rb") as file:
            entry = _parsed(file.readline())
        return None if entry is None else datetime.fromisoformat(str(entry["at"]))
    return None


def verify(folder: Path, head: tuple[int, str] | None = None) -> int:
    """Read the whole log and return its number of entries.

    The rest of a killed append at the very end is no entry and no fault.

    Args:
        head: (sequence, hash) of an entry known from elsewhere; the log must still hold it.

    Raises:
        IntegrityError("oplog.broken"): with file and line_number of the first entry that is not
            what was written there, or with the end of the log when `head` is missing from it.
    """
    sequence, previous = 0, GENESIS
    name, number = "operations", 0
    paths = sorted(folder.glob(_FILES))
    for path in paths:
        name = path.name
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if not line.endswith(b"\n") and path == paths[-1]:
                    break
                entry = _parsed(line)
                if entry is None or (entry["sequence"], entry["previous"]) != (
                    sequence + 1,
                    previous,
                ):
                    raise _broken(name, number)
                sequence, previous = sequence + 1, str(entry["hash"])
                if head and head[0] == sequence and head[1] != previous:
                    raise _broken(name, number)
    if head and (head[0] > sequence or (head[0] == 0 and head[1] != GENESIS)):
        raise _broken(name, number + 1)
    return sequence


def _checked(values: Mapping[str, int | str]) -> dict[str, int | str]:
    """The values as they are, when every name is on the list and no value can be a person's."""
    for name, value in values.items():
        if name not in _NAMES:
            raise ValueError(f"the log does not take {name!r}")
        if name == "reason":
            _check_reason(value)
        elif (name in _COUNTS and type(value) is not int) or not (
            name == "bytes" or harmless(value)
        ):
            raise ValueError(f"the log does not take this value of {name!r}")
    return dict(values)


def harmless(value: object) -> bool:
    """Whether it is a count, or a name that cannot be a person's number."""
    if isinstance(value, str):
        return bool(_TEXT.fullmatch(value)) and not _PERSONAL.fullmatch(value)
    return type(value) is int and 0 <= value < _LARGEST


def _check_reason(value: object) -> None:
    """A reason is a person's own words: one line, and nothing in it that reads like a 個人番号."""
    if not isinstance(value, str) or not 0 < len(value) <= _REASON or not value.isprintable():
        raise UsageError("oplog.reason")
    if _NUMBER_WITHIN.search(unicodedata.normalize("NFKC", value)):
        raise UsageError("oplog.reason")


def _hash(entry: Mapping[str, object]) -> str:
    content = {name: value for name, value in entry.items() if name != "hash"}
    return hashlib.sha256(canonical(content)).hexdigest()


def _parsed(line: bytes) -> dict[str, object] | None:
    """The entry of one line; None if it is not, byte for byte, one that `_append` writes."""
    try:
        entry = json.loads(line)
        whole = isinstance(entry, dict) and canonical(entry) + b"\n" == line
    except (ValueError, RecursionError):
        return None
    if not whole or not {"sequence", "previous", "hash"} <= entry.keys():
        return None
    return entry if entry["hash"] == _hash(entry) else None


def _broken(file: str, line_number: int) -> IntegrityError:
    return IntegrityError("oplog.broken", file=file, line_number=line_number)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    handle = os.open(
        folder / "operations.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600
    )
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _tail(folder: Path) -> _Tail:
    """The end of the chain, from the last lines of the newest files only.

    A newest file without a whole line (its first append was killed) is gone on in, on top of the
    last entry of the file before.
    """
    newest: Path | None = None
    torn = b""
    for path in sorted(folder.glob(_FILES), reverse=True):
        line, offset, rest = _last_line(path)
        if newest is not None and rest:
            raise _broken(path.name, _lines(path))
        if newest is None:
            newest, torn = path, rest
        if line:
            entry = _parsed(line)
            if entry is None or not isinstance(entry["sequence"], int):
                raise _broken(path.name, _lines(path) - bool(rest))
            place = offset if path == newest else 0
            return _Tail(newest, place, torn, entry["sequence"], str(entry["hash"]))
    return _Tail(newest, 0, torn, 0, GENESIS)


def _last_line(path: Path) -> tuple[bytes, int, bytes]:
    """The last whole line, where it ends, and what comes after it; read from the end."""
    with path.open("rb") as file:
        start = file.seek(0, os.SEEK_END)
        content = b""
        while start and content.count(b"\n") < 2:
            size = min(_BLOCK, start)
            start = file.seek(start - size)
            content = file.read(size) + content
    end = content.rfind(b"\n") + 1
    begin = content.rfind(b"\n", 0, max(end - 1, 0)) + 1
    return content[begin:end], start + end, content[end:]


def _lines(path: Path) -> int:
    with path.open("rb") as file:
        return sum(1 for _ in file)


def _place(folder: Path, tail: _Tail, now: datetime) -> Path:
    """The file of this month; that of the tail while it is torn, or when the clock was set back."""
    path = folder / f"operations-{now:%Y%m}.jsonl"
    if tail.path is None or (not tail.torn and tail.path.name < path.name):
        return path
    return tail.path


def _write(path: Path, tail: _Tail, line: bytes) -> None:
    """Write a line, durably, over what is torn there (whose rest is cut off after it)."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    offset = tail.offset if path == tail.path else 0
    handle = os.open(path, flags, 0o600)
    try:
        if offset == 0:  # the file's name must be durable before its first entry counts
            durable.sync_folder(path.parent)
        done = 0
        while done < len(line):
            done += os.pwrite(handle, line[done:], offset + done)
        os.ftruncate(handle, offset + len(line))
        os.fsync(handle)
    finally:
        os.close(handle)
