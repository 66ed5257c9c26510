"""Markers: a small file `<name>.done` that says of another that it is whole, and what it is.

One line of ASCII: SHA-256 in hexadecimal digits, length in bytes and, if its writer counts them,
the number of records, with single blanks between. Our own choice; see README.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

DONE = ".done"  # behind the name of the file that it speaks of
LARGEST = 4096  # bytes; more is no marker
_LINE = re.compile(rb"([0-9a-f]{64}) (0|[1-9][0-9]{0,15})(?: (0|[1-9][0-9]{0,15}))?\r?\n?")


@dataclass(frozen=True)
class Marker:
    """What a marker says. Args: size: bytes; records: None where its writer does not tell."""

    sha256: str
    size: int
    records: int | None = None

    def written(self) -> bytes:
        """As the content of a file."""
        told = "" if self.records is None else f" {self.records}"
        return f"{self.sha256} {self.size}{told}\n".encode("ascii")


def read_marker(content: bytes) -> Marker | None:
    """What the content of a marker says; None where it is none."""
    found = _LINE.fullmatch(content)
    if found is None:
        return None
    sha256, size, records = found.groups()
    return Marker(sha256.decode(), int(size), None if records is None else int(records))
