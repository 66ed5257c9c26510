"""Sealed files: originals and stages under AES-256-GCM, in chunks, readable at any place.

    header    8 bytes "KOUKAN\\x00\\x01", 32 bytes random salt
    chunk k   up to 1 MiB of content, encrypted, and its 16-byte tag

Every file has its own key, HKDF-SHA256(key, salt, context). A chunk's nonce is its number (11
bytes, big endian) and one byte that is 1 for the last chunk only (the STREAM construction of Hoang,
Reyhanitabar, Rogaway and Vizár, 2015); the header's first bytes and the context are its associated
data. Chunks are full but for the last one, which is empty only in an empty file. So a file that was
cut, lengthened, reordered, or put in another one's place does not open.
"""

from __future__ import annotations

import io
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from koukan import durable
from koukan.errors import IntegrityError, SealBroken
from koukan.keys.secret import KEY_LENGTH, Secret, checked_key, joined, open_regular

Content = bytes | bytearray | memoryview

CHUNK = 1 << 20  # bytes of content
_TAG = 16
_SMALLEST = 1 << 14  # bytes of a buffer
_MAGIC = b"KOUKAN\x00\x01"
_SALT = 32
_HEADER = len(_MAGIC) + _SALT


class SealedWriter(Secret):
    """Seals what is written to it; the file appears under its name, whole, when it is closed.

    Args:
        context: what the file is, e.g. "stage|123|decoded"; reading asks for the same.
        durable: False for temporary stages that are made anew after a crash: no fsync, and a file
            of that name is replaced.
        replace: whether a durable file takes the place of one of that name, else the one there
            stays (put if absent).

    Leaving the `with` block by an exception removes the unfinished file.
    """

    __slots__ = (
        "_aad", "_chunks", "_cipher", "_durable", "_file", "_out", "_path", "_pending",
        "_pending_length", "_replace", "_temporary", "_told",
    )  # fmt: skip

    def __init__(
        self, path: Path, key: bytes, context: str, *, durable: bool = True, replace: bool = False
    ) -> None:
        salt = secrets.token_bytes(_SALT)
        self._cipher = _cipher(key, salt, context)
        self._aad = _aad(context)
        self._path = path
        self._durable = durable
        self._replace = replace
        self._chunks = 0
        self._told = 0  # bytes that the system was told to write
        # A chunk waits here until it may be the last. No larger than what was written: first touch
        # of two MiB would be most of the work of a small file.
        self._pending = memoryview(bytearray())
        self._pending_length = 0
        self._out = memoryview(bytearray())
        self._temporary, self._file = _temporary_file(path)
        try:
            self._file.write(_MAGIC + salt)
        except BaseException:
            self._discard()
            raise

    def write(self, data: Content) -> None:
        """Add content: any contiguous buffer; best in pieces of some MiB."""
        if self._file.closed:
            raise ValueError("the sealed file is closed")
        view = memoryview(data).cast("B")
        start = 0
        if self._pending_length:
            start = min(CHUNK - self._pending_length, len(view))
            self._hold(view[:start])
            if start == len(view):
                return
            self._encrypt(self._pending, last=False)
            self._pending_length = 0
        while len(view) - start > CHUNK:  # straight from the caller's buffer, without a copy
            self._encrypt(view[start : start + CHUNK], last=False)
            start += CHUNK
        self._hold(view[start:])

    def close(self) -> None:
        """Finish the file and give it its name. A second call does nothing."""
        if self._file.closed:
            return
        try:
            self._encrypt(self._pending[: self._pending_length], last=True)
            length = self._file.tell()
            self._file.close()
            if self._durable:
                durable.publish(self._temporary, self._path, length=length, replace=self._replace)
            elif self._temporary.stat().st_size == length:
                os.replace(self._temporary, self._path)
            else:
                raise IntegrityError("durable.length", path=self._path.name)
        finally:
            self._discard()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self._discard()

    def _hold(self, view: memoryview) -> None:
        end = self._pending_length + len(view)
        if end > len(self._pending):
            larger = memoryview(bytearray(min(max(2 * end, _SMALLEST), CHUNK)))
            larger[: self._pending_length] = self._pending[: self._pending_length]
            self._pending = larger
        self._pending[self._pending_length : end] = view
        self._pending_length = end

    def _encrypt(self, content: memoryview, *, last: bool) -> None:
        if len(self._out) < len(content) + _TAG:
            self._out = memoryview(bytearray(len(content) + _TAG))
        out = self._out[: len(content) + _TAG]
        self._cipher.encrypt_into(_nonce(self._chunks, last), content, self._aad, out)
        while out:  # the system may take less than it was given; a full disk says so next time
            out = out[self._file.write(out) :]
        self._chunks += 1
        if self._durable:
            told, length = self._told, self._file.tell()
            self._told = durable.write_behind(self._file.fileno(), told, length)

    def _discard(self) -> None:
        self._file.close()
        self._temporary.unlink(missing_ok=True)


class SealedReader(Secret):
    """Reads a sealed file at any place; threads may share one. `length` is the content's, in bytes.

    Opening proves the length: the last chunk must open as the last. Every chunk is proved before
    any byte of it is given out.

    Raises:
        SealBroken: the file is missing, was altered, is another one, or the key is wrong.
    """

    __slots__ = ("_aad", "_cipher", "_file", "_last", "_last_start", "_name", "length")

    def __init__(self, path: Path, key: bytes, context: str) -> None:
        self._name = path.name
        self._aad = _aad(context)
        self._file = _opened(path)
        try:
            header = os.pread(self._file.fileno(), _HEADER, 0)
            size = os.fstat(self._file.fileno()).st_size
            chunks = max(1, -(-(size - _HEADER) // (CHUNK + _TAG)))
            self.length = size - _HEADER - chunks * _TAG
            self._last_start = (chunks - 1) * CHUNK
            canonical = self.length > self._last_start if chunks > 1 else self.length >= 0
            if header[: len(_MAGIC)] != _MAGIC or not canonical:
                raise self._broken()
            self._cipher = _cipher(key, header[len(_MAGIC) :], context)
            last = bytearray(self.length - self._last_start)
            scratch = memoryview(bytearray(len(last) + _TAG))
            self._decrypt(chunks - 1, memoryview(last), scratch, last=True)
            self._last = memoryview(bytes(last))
        except BaseException:
            self._file.close()
            raise

    def read(self, start: int, stop: int) -> bytes:
        """The content's bytes from `start` up to `stop`, of any number.

        Raises:
            ValueError: not 0 <= start <= stop <= length.
            SealBroken: a chunk of them was altered.
        """
        if not 0 <= start <= stop <= self.length:
            raise ValueError(f"{start}:{stop} is not within {self.length} bytes")
        # BytesIO lends its buffer for writing and gives it away as bytes without a copy.
        content = io.BytesIO(bytes(stop - start))
        self._fill(content.getbuffer(), start)
        return content.getvalue()

    def blocks(self, size: int) -> Iterator[bytes]:
        """The content from its beginning in pieces of `size` bytes, the last one shorter."""
        if size < 1:
            raise ValueError("a block has at least one byte")
        for start in range(0, self.length, size):
            yield self.read(start, min(start + size, self.length))

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _fill(self, target: memoryview, start: int) -> None:
        # One each, so that threads can share us; what lies in the last chunk needs none.
        inside = start < self._last_start
        scratch = memoryview(bytearray(CHUNK + _TAG if inside else 0))
        done = 0
        while done < len(target):
            chunk, skip = divmod(start + done, CHUNK)
            count = min(CHUNK - skip, len(target) - done)
            part = target[done : done + count]
            if chunk * CHUNK == self._last_start:
                part[:] = self._last[skip : skip + count]
            elif count == CHUNK:
                self._decrypt(chunk, part, scratch, last=False)
            else:
                whole = memoryview(bytearray(CHUNK))
                self._decrypt(chunk, whole, scratch, last=False)
                part[:] = whole[skip : skip + count]
            done += count

    def _decrypt(self, chunk: int, into: memoryview, scratch: memoryview, *, last: bool) -> None:
        sealed = scratch[: len(into) + _TAG]
        place = _HEADER + chunk * (CHUNK + _TAG)
        if os.preadv(self._file.fileno(), [sealed], place) != len(sealed):
            raise self._broken()  # it was cut after it was opened
        try:
            self._cipher.decrypt_into(_nonce(chunk, last), sealed, self._aad, into)
        except InvalidTag:
            raise self._broken() from None

    def _broken(self) -> SealBroken:
        return SealBroken("seal.broken", path=self._name)


def seal(
    path: Path,
    content: Content,
    key: bytes,
    context: str,
    *,
    durable: bool = True,
    replace: bool = False,
) -> None:
    """Write `content` as one sealed file; the arguments are those of `SealedWriter`."""
    with SealedWriter(path, key, context, durable=durable, replace=replace) as writer:
        writer.write(content)


def unseal(path: Path, key: bytes, context: str) -> bytes:
    """The whole content of a sealed file. Raises SealBroken."""
    with SealedReader(path, key, context) as reader:
        return reader.read(0, reader.length)


def _cipher(key: bytes, salt: bytes, context: str) -> AESGCM:
    use = HKDF(algorithm=SHA256(), length=KEY_LENGTH, salt=salt, info=joined("sealed", context))
    return AESGCM(use.derive(checked_key(key)))


def _aad(context: str) -> bytes:
    return _MAGIC + joined(context)


def _nonce(chunk: int, last: bool) -> bytes:
    return chunk.to_bytes(11, "big") + (b"\x01" if last else b"\x00")


def _temporary_file(path: Path) -> tuple[Path, io.FileIO]:
    temporary = durable.temporary_name(path)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    return temporary, io.FileIO(os.open(temporary, flags, 0o600), "wb")


def _opened(path: Path) -> io.FileIO:
    try:
        handle = open_regular(path)
    except FileNotFoundError:
        raise SealBroken("seal.missing", path=path.name) from None
    if handle is None:
        raise SealBroken("seal.broken", path=path.name)
    return io.FileIO(handle, "rb")
