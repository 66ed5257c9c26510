"""The marker beside a finished file, `NAME.done`: laid by senders, and by us at partners' hosts.

One line `SHA-256 size records`, the hash in hexadecimal, the size in bytes, the records counted as
line ends; or the same as a JSON object of `sha256`, `size` and `records`. `records` may be absent.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

DONE = ".done"  # behind the name of the file that it speaks of
LARGEST = 512  # bytes of a marker
WRONG_CONTENT, WRONG_RECORDS, WRONG_MARKER = "F130", "F131", "F132"
CODES = frozenset((WRONG_CONTENT, WRONG_RECORDS, WRONG_MARKER))
AT_DOOR = CODES | {"F101"}  # refused before anybody looked into the file
_LINE = re.compile(rb"([0-9A-Fa-f]{64}) ([0-9]{1,15})(?: ([0-9]{1,15}))?\r?\n?")


@dataclass(frozen=True)
class Marker:
    """What its writer says of a file. Args: size: bytes; records: None where it does not tell."""

    sha256: str
    size: int
    records: int | None = None

    def written(self) -> bytes:
        """As the content of a file."""
        told = "" if self.records is None else f" {self.records}"
        return f"{self.sha256} {self.size}{told}\n".encode("ascii")

    def is_of(self, sha256: str, size: int) -> bool:
        """Whether a file is the one that it speaks of, by its bytes."""
        return (self.sha256, self.size) == (sha256, size)

    def complaint(self, sha256: str, size: int, records: int) -> str | None:
        """Reject code of a file that is not what its marker says; None where it is."""
        if not self.is_of(sha256, size):
            return WRONG_CONTENT
        return WRONG_RECORDS if self.records not in (None, records) else None


def parse(content: bytes) -> Marker | None:
    """A marker's content; None for what is none."""
    if len(content) > LARGEST:
        return None
    line = _LINE.fullmatch(content)
    if line is not None:
        records = None if line[3] is None else int(line[3])
        return Marker(line[1].decode("ascii").lower(), int(line[2]), records)
    try:
        said = json.loads(content)
    except (ValueError, RecursionError):  # RecursionError: brackets within brackets
        return None
    return _of_object(said) if isinstance(said, dict) else None


def _of_object(said: dict[str, object]) -> Marker | None:
    sha256, size, records = (said.get(name) for name in ("sha256", "size", "records"))
    if not isinstance(sha256, str) or re.fullmatch(r"[0-9A-Fa-f]{64}", sha256) is None:
        return None
    if type(size) is not int or size < 0:
        return None
    if records is None or (type(records) is int and records >= 0):
        return Marker(sha256.lower(), size, records)
    return None
