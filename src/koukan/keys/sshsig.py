"""Signatures of OpenSSH (PROTOCOL.sshsig), made and checked as `ssh-keygen -Y` does; Ed25519 only.

    -----BEGIN SSH SIGNATURE-----
    base64 of  "SSHSIG" | version 1 | key | namespace | reserved | hash algorithm | signature
    -----END SSH SIGNATURE-----

What is signed is "SSHSIG" | namespace | reserved | hash algorithm | hash of the content, and by a
key in a FIDO token SHA-256 of its application | flags | counter | SHA-256 of that (PROTOCOL.u2f).
Numbers are big endian; everything else is a string with its length before it.

Whoever writes such a file may be anybody, so the parser takes nothing but what it must: one armour,
no bytes before, between or after, no other kind of key, nothing reserved.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_ssh_private_key

from koukan.errors import SecretError, SignatureRefused
from koukan.keys.identity import read_key_file
from koukan.keys.secret import Secret
from koukan.sites.publickey import FIDO, PLAIN, PublicKey, string, taken

__all__ = [
    "LARGEST",
    "PersonKey",
    "PublicKey",
    "Signed",
    "load_private_key",
    "sign",
    "sign_digest",
    "verify",
    "verify_digest",
]

LARGEST = 4096  # bytes of an armoured signature; some 300 or 400 are usual
_LARGEST_KEY = 16_384  # bytes of a private key's file
_BEGIN, _END = "-----BEGIN SSH SIGNATURE-----", "-----END SSH SIGNATURE-----"
_COLUMNS = 70  # of the armour, as ssh-keygen writes it
_MAGIC = b"SSHSIG"
_VERSION = (1).to_bytes(4, "big")
_SHA512 = b"sha512"
_HASHES = {b"sha256": hashlib.sha256, _SHA512: hashlib.sha512}
_LENGTH = 64  # bytes of an Ed25519 signature
_PRESENT, _VERIFIED = 0x01, 0x04  # flags of a FIDO token: somebody touched it; it knew who


class Signed(NamedTuple):
    """What a valid signature tells.

    Args:
        key: the key that signed.
        user_verified: a FIDO token made it and had verified its user (biometrics or PIN).
    """

    key: PublicKey
    user_verified: bool


class _Parts(NamedTuple):
    key: PublicKey
    namespace: bytes
    hash_name: bytes
    signature: bytes  # 64 bytes
    flags: int  # of a FIDO key, else 0
    tail: bytes  # flags and counter of a FIDO key as they stand, else nothing


class PersonKey(Secret):
    """A person's private key. `public` is its public part; the private one does not show."""

    __slots__ = ("_private", "public")

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        self.public = _public(private)

    def sign(self, content: bytes, namespace: str) -> bytes:
        """An armoured signature under `content`."""
        return sign(self._private, content, namespace)


def sign(private: Ed25519PrivateKey, content: bytes, namespace: str) -> bytes:
    """An armoured signature under `content`: byte for byte what `ssh-keygen -Y sign` makes."""
    return sign_digest(private, hashlib.sha512(content).digest(), namespace)


def sign_digest(private: Ed25519PrivateKey, digest: bytes, namespace: str) -> bytes:
    """The same under a content of which the caller has the SHA-512 digest (64 bytes)."""
    if len(digest) != hashlib.sha512().digest_size:
        raise ValueError("a SHA-512 digest has 64 bytes")
    name = _namespace(namespace)
    signature = private.sign(_to_sign(name, _SHA512, digest))
    blob = _MAGIC + _VERSION + string(_public(private).blob) + string(name) + string(b"")
    blob += string(_SHA512) + string(string(PLAIN.encode()) + string(signature))
    return _armoured(blob)


def verify(armoured: bytes, content: bytes, namespace: str) -> Signed:
    """Who signed `content`. Whether that key counts for anything is the caller's question.

    Raises:
        SignatureRefused: it is no signature that we take, is for another namespace, or does not
            belong to this content.
    """
    parts = _parsed(armoured)
    digest = _HASHES[parts.hash_name](content).digest()
    return _verified(parts, digest, namespace)


def verify_digest(armoured: bytes, digest: bytes, namespace: str) -> Signed:
    """The same for a content of which the caller has the SHA-512 digest (64 bytes).

    Raises:
        SignatureRefused: as `verify`, or the signature is over another hash than SHA-512.
    """
    if len(digest) != hashlib.sha512().digest_size:
        raise ValueError("a SHA-512 digest has 64 bytes")
    parts = _parsed(armoured)
    if parts.hash_name != _SHA512:
        raise SignatureRefused("keys.signature_hash")
    return _verified(parts, digest, namespace)


def load_private_key(path: Path, *, outside: Path, passphrase: Callable[[], bytes]) -> PersonKey:
    """Read a person's OpenSSH private key, which lies outside the folder `outside` (the root).

    Args:
        passphrase: asked for only if the file is locked with one.

    Raises:
        SecretError: it is missing, inside `outside`, open to group or others, no Ed25519 key in
            OpenSSH's own format, or locked with another passphrase.
    """
    content = read_key_file(path, outside=outside, largest=_LARGEST_KEY)
    if len(content) > _LARGEST_KEY:
        raise SecretError("keys.person_unreadable", path=path.name)
    private: object
    try:
        private = load_ssh_private_key(content, None)
    except TypeError:  # it is locked
        private = _unlocked(content, passphrase(), path.name)
    except (ValueError, UnsupportedAlgorithm):
        raise SecretError("keys.person_unreadable", path=path.name) from None
    if not isinstance(private, Ed25519PrivateKey):
        raise SecretError("keys.person_kind", path=path.name)
    return PersonKey(private)


def _unlocked(content: bytes, passphrase: bytes, name: str) -> object:
    """Without the library's text in the error: nobody has checked what it repeats."""
    try:
        return load_ssh_private_key(content, passphrase)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise SecretError("keys.passphrase_wrong", path=name) from None


def _public(private: Ed25519PrivateKey) -> PublicKey:
    return PublicKey(private.public_key().public_bytes_raw())


def _namespace(name: str) -> bytes:
    if not name:
        raise ValueError("a signature is made for a namespace")
    return name.encode()


def _to_sign(namespace: bytes, hash_name: bytes, digest: bytes) -> bytes:
    return _MAGIC + b"".join(map(string, (namespace, b"", hash_name, digest)))


def _verified(parts: _Parts, digest: bytes, namespace: str) -> Signed:
    if parts.namespace != _namespace(namespace):
        raise SignatureRefused("keys.signature_namespace")
    message = _to_sign(parts.namespace, parts.hash_name, digest)
    application = parts.key.application
    if application is not None:
        hashed = [hashlib.sha256(part).digest() for part in (application, message)]
        message = hashed[0] + parts.tail + hashed[1]
    try:
        Ed25519PublicKey.from_public_bytes(parts.key.point).verify(parts.signature, message)
    except (InvalidSignature, ValueError):
        raise SignatureRefused("keys.signature_content") from None
    if application is not None and not parts.flags & _PRESENT:
        raise SignatureRefused("keys.signature_presence")
    return Signed(parts.key, bool(parts.flags & _VERIFIED))


def _armoured(blob: bytes) -> bytes:
    text = base64.b64encode(blob).decode("ascii")
    lines = [text[start : start + _COLUMNS] for start in range(0, len(text), _COLUMNS)]
    return "\n".join([_BEGIN, *lines, _END, ""]).encode("ascii")


def _unarmoured(armoured: bytes) -> bytes:
    """The blob in an armour of lines of any length. Raises ValueError for anything else."""
    if len(armoured) > LARGEST:
        raise ValueError("too long")
    first, *lines, last = armoured.decode("ascii").removesuffix("\n").split("\n")
    if (first, last) != (_BEGIN, _END) or not all(lines):
        raise ValueError("no armour")
    text = "".join(lines)
    blob = base64.b64decode(text, validate=True)
    if base64.b64encode(blob).decode("ascii") != text:
        raise ValueError("bits are left over")
    return blob


def _parsed(armoured: bytes) -> _Parts:
    try:
        return _read(_unarmoured(armoured))
    except ValueError:
        raise SignatureRefused("keys.signature_malformed") from None


def _read(blob: bytes) -> _Parts:
    """The parts of a blob, or ValueError."""
    start = _MAGIC + _VERSION
    if not blob.startswith(start):
        raise ValueError("another format or version")
    key_blob, rest = taken(blob[len(start) :])
    kind, _ = taken(key_blob)
    if kind not in (PLAIN.encode(), FIDO.encode()):
        raise SignatureRefused("keys.signature_kind")
    key = PublicKey.of_blob(key_blob)
    namespace, rest = taken(rest)
    reserved, rest = taken(rest)
    hash_name, rest = taken(rest)
    signature, rest = taken(rest)
    if rest or reserved or hash_name not in _HASHES:
        raise ValueError("something that nobody signed")
    return _Parts(key, namespace, hash_name, *_signature(signature, kind))


def _signature(blob: bytes, kind: bytes) -> tuple[bytes, int, bytes]:
    """The 64 bytes, and flags and tail of a FIDO key; the kind is that of the key."""
    own, rest = taken(blob)
    raw, tail = taken(rest)
    length = 5 if kind == FIDO.encode() else 0  # a byte of flags, four of the counter
    if own != kind or len(raw) != _LENGTH or len(tail) != length:
        raise ValueError("a signature of another kind")
    return raw, tail[0] if tail else 0, tail
