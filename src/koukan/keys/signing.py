"""The centre's signatures: under records that outlive what they speak of, and under packages."""

from __future__ import annotations

from collections.abc import Mapping

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from koukan.keys import sshsig
from koukan.keys.secret import Secret, canonical, derive
from koukan.sites.publickey import PublicKey

_LABEL = b"koukan signed record v1\n"  # before the record: no other use of the key signs the same
_ADDED = frozenset({"key", "signature"})


class Signer(Secret):
    """Signs with Ed25519. `public` is the public key, 64 hexadecimal digits; `ssh` the same key.

    Args:
        key: the purpose key "signing".
    """

    __slots__ = ("_private", "public", "ssh")

    def __init__(self, key: bytes) -> None:
        self._private = Ed25519PrivateKey.from_private_bytes(derive(key, "signing", "ed25519"))
        point = self._private.public_key().public_bytes_raw()
        self.public: str = point.hex()
        self.ssh = PublicKey(point, comment="koukan")

    def sign(self, record: Mapping[str, object]) -> dict[str, object]:
        """A copy of `record` with "key" and "signature" added, over its canonical JSON.

        Raises:
            ValueError: the record has a field of that name (is signed already).
        """
        if _ADDED & record.keys():
            raise ValueError("the record is signed already")
        named = {**record, "key": self.public}
        return {**named, "signature": self._private.sign(_LABEL + canonical(named)).hex()}

    def sign_digest(self, digest: bytes, namespace: str) -> bytes:
        """An SSH signature, for `ssh-keygen -Y verify`, under a content of this SHA-512 digest."""
        return sshsig.sign_digest(self._private, digest, namespace)

    def verify(self, record: Mapping[str, object]) -> bool:
        """Whether this key signed exactly this record."""
        return verify(record, self.public)


def verify(record: Mapping[str, object], public: str) -> bool:
    """Whether `public` (known from elsewhere, not from the record) signed exactly this record."""
    signature = record.get("signature")
    if record.get("key") != public or not isinstance(signature, str):
        return False
    content = {name: value for name, value in record.items() if name != "signature"}
    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(public))
        key.verify(bytes.fromhex(signature), _LABEL + canonical(content))
    except (InvalidSignature, ValueError):
        return False
    return True
