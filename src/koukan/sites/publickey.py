"""Public keys of persons as SSH writes them: `ssh-ed25519 AAAA… comment`. Ed25519 only, two kinds.

In the middle stands a blob in base64: the kind, the point (32 bytes) and, for a key that lives in a
FIDO token, the application it was made for; each a string of SSH's wire format, four bytes of
length (big endian) before its content (RFC 4251 section 5, RFC 8709, OpenSSH's PROTOCOL.u2f).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass, field

PLAIN = "ssh-ed25519"
FIDO = "sk-ssh-ed25519@openssh.com"
POINT = 32  # bytes
_LARGEST = 1024  # bytes of a blob; some 50 or 80 are usual


def string(content: bytes) -> bytes:
    """A string of the wire format."""
    return len(content).to_bytes(4, "big") + content


def taken(blob: bytes) -> tuple[bytes, bytes]:
    """The first string of a blob, and what follows it. Raises ValueError where it is cut short."""
    length = int.from_bytes(blob[:4], "big")
    if len(blob) < 4 + length:
        raise ValueError("a string is cut short")
    return blob[4 : 4 + length], blob[4 + length :]


@dataclass(frozen=True)
class PublicKey:
    """An Ed25519 public key; two are equal when they are the same key, whatever their comments.

    Args:
        point: 32 bytes.
        application: what a FIDO key was made for, e.g. b"ssh:"; None for a key in a file.
    """

    point: bytes
    application: bytes | None = None
    comment: str = field(default="", compare=False)

    @classmethod
    def parse(cls, line: str) -> PublicKey:
        """Read one line of a `.pub` file.

        Raises:
            ValueError: it is no Ed25519 public key, or something else stands on the line.
        """
        kind, _, rest = line.strip().partition(" ")
        text, _, comment = rest.strip().partition(" ")
        if kind not in (PLAIN, FIDO):
            raise ValueError(f"a key begins with {PLAIN} or {FIDO}")
        if not comment.isprintable():
            raise ValueError("a key is one line")
        try:
            blob = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            raise ValueError("the key is not base64") from None
        found = cls.of_blob(blob, comment.strip())
        if found.kind != kind or base64.b64encode(blob).decode("ascii") != text:
            raise ValueError("the key is not what its first word says")
        return found

    @classmethod
    def of_blob(cls, blob: bytes, comment: str = "") -> PublicKey:
        """Raises ValueError for a key of another kind, or anything but exactly one key."""
        if len(blob) > _LARGEST:
            raise ValueError("the key is too long")
        kind, rest = taken(blob)
        if kind not in (PLAIN.encode(), FIDO.encode()):
            raise ValueError(f"a key is {PLAIN} or {FIDO}")
        point, rest = taken(rest)
        application = None
        if kind == FIDO.encode():
            application, rest = taken(rest)
        if len(point) != POINT or rest:
            raise ValueError("the key does not have its length")
        return cls(point, application, comment)

    @property
    def kind(self) -> str:
        return PLAIN if self.application is None else FIDO

    @property
    def blob(self) -> bytes:
        whole = string(self.kind.encode()) + string(self.point)
        return whole if self.application is None else whole + string(self.application)

    @property
    def fingerprint(self) -> str:
        """`SHA256:…` as `ssh-keygen -l` shows it."""
        digest = hashlib.sha256(self.blob).digest()
        return f"SHA256:{base64.b64encode(digest).decode('ascii').rstrip('=')}"

    def __str__(self) -> str:
        text = base64.b64encode(self.blob).decode("ascii")
        return f"{self.kind} {text} {self.comment}".rstrip()
