"""Actors' own keys: age X25519 identities, each in one file that only its owner can read."""

from __future__ import annotations

import os
from pathlib import Path

import pyrage

from koukan import durable
from koukan.errors import SealBroken, SecretError
from koukan.keys.secret import Secret, open_regular

_LARGEST = 4096  # bytes; an identity file has some 150
_PUBLIC = (b"ssh-", b"sk-ssh-", b"ecdsa-", b"age1", b"-----BEGIN PUBLIC KEY")
# The one text by which pyrage says that a file is sealed to somebody else; a test pins it.
_NOT_OURS = "No matching keys found"


class Identity(Secret):
    """An actor's key. `recipient` is its public part (`age1…`); the private one does not show."""

    __slots__ = ("_private", "recipient")

    def __init__(self, private: pyrage.x25519.Identity) -> None:
        self._private = private
        self.recipient: str = str(private.to_public())

    def __repr__(self) -> str:
        return f"<Identity {self.recipient}>"

    def unwrap(self, sealed: bytes, name: str) -> bytes | None:
        """What an age file holds; None when it is sealed to somebody else.

        Raises:
            SealBroken: the file, called `name` in the message, was altered or is none of age's.
        """
        try:
            return bytes(pyrage.decrypt(sealed, [self._private]))
        except pyrage.DecryptError as error:
            if str(error) == _NOT_OURS:
                return None
            raise SealBroken("keys.wrapped_broken", path=name) from None


def create_identity(path: Path) -> str:
    """Write a new identity, mode 0400, and return its recipient, the text others encrypt to.

    Raises:
        SecretError: something stands under that name already; it is left as it is.
    """
    if os.path.lexists(path):
        raise SecretError("keys.identity_exists", path=path.name)
    private = pyrage.x25519.Identity.generate()
    recipient = str(private.to_public())
    content = f"# public key: {recipient}\n{private}\n".encode("ascii")
    temporary = durable.temporary_name(path)
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o400)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        durable.publish(temporary, path, length=len(content))
    finally:
        temporary.unlink(missing_ok=True)
    if path.read_bytes() != content:  # another process was first, and its key stays
        raise SecretError("keys.identity_exists", path=path.name)
    return recipient


def load_identity(path: Path, *, outside: Path) -> Identity:
    """Read an identity that lies outside the folder `outside` (the site's root).

    Raises:
        SecretError: see `read_key_file`; or it is not one age identity.
    """
    return Identity(
        parse_identity(read_key_file(path, outside=outside, largest=_LARGEST), path.name)
    )


def read_key_file(path: Path, *, outside: Path | None, largest: int) -> bytes:
    """The content of a file that holds a private key, at most `largest` + 1 bytes.

    Args:
        outside: a folder in which no key may lie; None where there is no site.

    Raises:
        SecretError: it is missing, inside `outside` by its name or by what its name leads to, a
            public key, open to group or others, or no file.
    """
    for place in (path.resolve(), Path(os.path.abspath(path))):  # noqa: PTH100  (keeps symlinks)
        if outside is not None and place.is_relative_to(outside.resolve()):
            raise SecretError("keys.identity_inside", path=path.name)
    try:
        handle = open_regular(path.resolve())
    except FileNotFoundError:
        raise SecretError("keys.identity_missing", path=path.name) from None
    except OSError:
        raise SecretError("keys.identity_unreadable", path=path.name) from None
    if handle is None:
        raise SecretError("keys.identity_unreadable", path=path.name)
    with os.fdopen(handle, "rb") as file:
        content = file.read(largest + 1)
        if content.startswith(_PUBLIC):  # before the mode: everybody may read a public key
            raise SecretError("keys.public_given", path=path.name)
        # The mode of what was opened, not of what the name leads to by now.
        if os.fstat(handle).st_mode & 0o077:
            raise SecretError("keys.identity_open", path=path.name)
        return content


def parse_identity(content: bytes, name: str) -> pyrage.x25519.Identity:
    """The one key in an identity file of age, called `name` in messages. Raises SecretError."""
    lines = [line.strip() for line in content.split(b"\n")]
    keys = [line for line in lines if line and not line.startswith(b"#")]
    if len(content) <= _LARGEST and len(keys) == 1:
        try:
            return pyrage.x25519.Identity.from_str(keys[0].decode("ascii"))
        except (pyrage.IdentityError, UnicodeDecodeError):
            pass  # falls to the one refusal below, without the library's text: it may hold the key
    raise SecretError("keys.identity_unreadable", path=name)
