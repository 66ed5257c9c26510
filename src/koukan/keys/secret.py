"""What all holders of keys share: no pickling, no showing, one way to derive, one way to encode."""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn, TypeVar

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from koukan import durable
from koukan.errors import KoukanError

KEY_LENGTH = 32  # bytes of every symmetric key here: AES-256, HKDF-SHA256, an Ed25519 seed

_Error = TypeVar("_Error", bound=KoukanError)


class Secret:
    """Base of the objects that hold a key: they stay in their process and do not show it."""

    __slots__ = ()

    def __reduce__(self) -> NoReturn:
        # A task takes paths and numbers and fetches its keys itself; a pickled key would travel
        # over a cluster's wire and lie in its spill files.
        raise TypeError(f"{type(self).__name__} holds a key and cannot be pickled or copied")

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


def checked_key(key: bytes) -> bytes:
    """`key` itself, when it has the length that every key here has; ValueError if not (a bug)."""
    if len(key) != KEY_LENGTH:
        raise ValueError(f"a key has {KEY_LENGTH} bytes")
    return bytes(key)


def joined(*context: str) -> bytes:
    """The parts of a context as bytes, such that no two different contexts give the same ones."""
    encoded = [part.encode() for part in context]
    return b"koukan v1" + b"".join(len(part).to_bytes(4, "big") + part for part in encoded)


def derive(key: bytes, *context: str) -> bytes:
    """A 32-byte key of its own for one use of `key` (HKDF-SHA256, RFC 5869, without salt)."""
    use = HKDF(algorithm=SHA256(), length=KEY_LENGTH, salt=None, info=joined(*context))
    return use.derive(checked_key(key))


def canonical(record: Mapping[str, object]) -> bytes:
    """The one spelling of a JSON object that is hashed and signed: sorted, ASCII, no blanks."""
    text = json.dumps(record, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.encode("ascii")


def about_key(kind: type[_Error], sentence: str, key: str, **where: object) -> _Error:
    """An error whose place is the key or right named `key` (a name, never the key itself)."""
    error = kind(sentence, **where)
    error.where["key"] = key
    return error


def private_folder(folder: Path) -> Path:
    """Make `folder`, and the missing ones above it, durably and for its owner only (0700)."""
    if not folder.is_dir():
        private_folder(folder.parent)
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            if not folder.is_dir():
                raise
        durable.sync_folder(folder.parent)
    return folder


def open_regular(path: Path) -> int | None:
    """A handle to read a file; None when the name is a symlink, a folder, a pipe or a device."""
    try:
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        handle = os.open(path, flags)
    except OSError as error:
        if error.errno == errno.ELOOP:
            return None
        raise
    if stat.S_ISREG(os.fstat(handle).st_mode):
        return handle
    os.close(handle)
    return None


def read_small(path: Path, limit: int) -> bytes:
    """The content of a small file of ours, at most `limit` + 1 bytes; nothing if it is no file."""
    handle = open_regular(path)
    if handle is None:
        return b""
    try:
        return os.read(handle, limit + 1)
    finally:
        os.close(handle)
