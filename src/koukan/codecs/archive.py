"""A tar archive that is the same, byte for byte, whenever it is made of the same members.

    for each member   512 bytes of header (ustar), its content, zero bytes up to a multiple of 512
    at the end        1,024 zero bytes

A header says name and length only: mode 0600, owner and group 0 without names, time 0. The standard
library writes it (`TarInfo.tobuf`); any tar reads it, and a test pins its bytes.

`unpack` does not read archives with the standard library: `tarfile` is made to accept what others
write (links, devices, sparse files, pax headers that replace names and lengths, an end that is
missing), and each of these would have to be refused after it was interpreted. Here a header is
right if it is, byte for byte, the one that `pack` would write for its name and length. Nothing else
of it is ever looked at, so there is nothing that an attacker could say in it.
"""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from koukan.errors import IntegrityError, SealBroken

LARGEST = 8**11 - 1  # bytes of a member: eleven octal digits
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_BLOCK = 512  # bytes, tar's unit
_ZEROS = bytes(_BLOCK)
_LENGTH = re.compile(rb"[0-7]{11}\0")
_MODE = 0o600


class Member(NamedTuple):
    """One file of an archive: its name, its length in bytes, its content in blocks of any size."""

    name: str
    length: int
    blocks: Iterable[bytes]


def pack(members: Iterable[Member]) -> Iterator[bytes]:
    """The archive in blocks; it holds no more than one of them.

    Raises:
        ValueError: a name is not allowed or stands twice, or a length is not within 0 and `LARGEST`
            (a bug of ours).
        IntegrityError: the blocks of a member do not have its length.
    """
    seen: set[str] = set()
    for member in members:
        if not NAME.fullmatch(member.name) or member.name.lower() in seen:
            raise ValueError("a name that an archive cannot hold")
        if not 0 <= member.length <= LARGEST:
            raise ValueError("a length that an archive cannot hold")
        seen.add(member.name.lower())
        yield _header(member.name, member.length)
        yield from _counted(member)
        yield bytes(-member.length % _BLOCK)
    yield _ZEROS * 2


def unpack(blocks: Iterable[bytes]) -> Iterator[Member]:
    """The members of an archive that `pack` has made, each with its blocks.

    A member's blocks can be read until the next member is asked for; what was not read is skipped.
    Names that differ by capitals only are the same name: they are on some disks.

    Raises:
        SealBroken: `pack` cannot have written this: another header, a name that is not allowed or
            stands twice, an end that is missing, or bytes behind it.
    """
    source = _Source(blocks)
    seen: set[str] = set()
    while (header := source.exactly(_BLOCK)) != _ZEROS:
        name, length = _read_header(header)
        if name.lower() in seen:
            raise SealBroken("archive.twice", file=name)
        seen.add(name.lower())
        content = source.content(length)
        yield Member(name, length, content)
        for _ in content:
            pass
        if any(source.exactly(-length % _BLOCK)):
            raise SealBroken("archive.foreign")
    if source.exactly(_BLOCK) != _ZEROS or source.some(1):
        raise SealBroken("archive.trailing")


class _Source:
    """Bytes as they are asked for, from blocks of any size."""

    def __init__(self, blocks: Iterable[bytes]) -> None:
        self._blocks = iter(blocks)
        self._block = memoryview(b"")

    def some(self, most: int) -> bytes:
        """At least one byte and at most so many; none at the end."""
        while not self._block:
            block = next(self._blocks, None)
            if block is None:
                return b""
            self._block = memoryview(block)
        found, self._block = self._block[:most], self._block[most:]
        return bytes(found)

    def content(self, length: int) -> Iterator[bytes]:
        """So many bytes in blocks. Raises SealBroken when they end too early."""
        while length:
            found = self.some(length)
            if not found:
                raise SealBroken("archive.cut")
            length -= len(found)
            yield found

    def exactly(self, length: int) -> bytes:
        return b"".join(self.content(length))


def _header(name: str, length: int) -> bytes:
    item = tarfile.TarInfo(name)
    item.size, item.mode = length, _MODE
    return item.tobuf(tarfile.USTAR_FORMAT, "ascii", "strict")


def _read_header(header: bytes) -> tuple[str, int]:
    """Name and length of a header that is the one for them."""
    name = header[:100].rstrip(b"\0").decode("latin-1")
    digits = header[124:136]
    if NAME.fullmatch(name) and _LENGTH.fullmatch(digits):
        length = int(digits[:-1], 8)
        if header == _header(name, length):
            return name, length
    raise SealBroken("archive.foreign")


def _counted(member: Member) -> Iterator[bytes]:
    """The member's blocks, as many bytes as it says; never one more."""
    left = member.length
    for block in member.blocks:
        left -= len(block)
        if left < 0:
            break
        yield block
    if left:
        raise IntegrityError("archive.length", file=member.name)
