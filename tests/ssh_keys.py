"""Keys and signatures of persons for tests: files as ssh-keygen makes them, FIDO tokens made up."""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from koukan.sites import PublicKey

needs_ssh_keygen = pytest.mark.skipif(
    shutil.which("ssh-keygen") is None, reason="ssh-keygen is not installed"
)
PRESENT, VERIFIED = 0x01, 0x04


def ssh_keygen(
    *arguments: str | Path, content: bytes | None = None
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["ssh-keygen", *map(str, arguments)], input=content, capture_output=True, check=False
    )


def public(private: Ed25519PrivateKey, comment: str = "") -> PublicKey:
    return PublicKey(private.public_key().public_bytes_raw(), comment=comment)


def write_key(path: Path, private: Ed25519PrivateKey, passphrase: bytes | None = None) -> Path:
    """A private key's file, mode 0600."""
    lock = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    path.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, lock))
    path.chmod(0o600)
    return path


def string(content: bytes) -> bytes:
    return len(content).to_bytes(4, "big") + content


def armoured(blob: bytes) -> bytes:
    text = base64.encodebytes(blob).decode().rstrip("\n")
    return f"-----BEGIN SSH SIGNATURE-----\n{text}\n-----END SSH SIGNATURE-----\n".encode()


def envelope(
    key: bytes,
    signature: bytes,
    *,
    namespace: bytes = b"koukan",
    hash_name: bytes = b"sha512",
    version: int = 1,
    reserved: bytes = b"",
    after: bytes = b"",
) -> bytes:
    """An armoured signature put together by hand."""
    parts = [string(part) for part in (key, namespace, reserved, hash_name, signature)]
    return armoured(b"SSHSIG" + version.to_bytes(4, "big") + b"".join(parts) + after)


def signed_part(content: bytes, namespace: bytes = b"koukan", hash_name: str = "sha512") -> bytes:
    digest = hashlib.new(hash_name, content).digest()
    parts = (namespace, b"", hash_name.encode(), digest)
    return b"SSHSIG" + b"".join(string(part) for part in parts)


@dataclass
class Token:
    """What a FIDO token does, with its key in software."""

    application: bytes = b"ssh:"
    private: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    counter: int = 0

    @property
    def public(self) -> PublicKey:
        return PublicKey(self.private.public_key().public_bytes_raw(), self.application)

    def sign(
        self,
        content: bytes,
        *,
        flags: int = PRESENT | VERIFIED,
        namespace: bytes = b"koukan",
        told_flags: int | None = None,
        told_counter: int | None = None,
        asked_for: bytes | None = None,
    ) -> bytes:
        """An armoured signature.

        Args:
            flags: what the token signs; `told_flags`, `told_counter` what the file says of it.
            asked_for: the application that it signs for; by default its own.
        """
        self.counter += 1
        application = hashlib.sha256(asked_for or self.application).digest()
        message = hashlib.sha256(signed_part(content, namespace)).digest()
        tail = bytes([flags]) + self.counter.to_bytes(4, "big")
        signature = self.private.sign(application + tail + message)
        told = flags if told_flags is None else told_flags
        count = self.counter if told_counter is None else told_counter
        tail = bytes([told]) + count.to_bytes(4, "big")
        kind = string(b"sk-ssh-ed25519@openssh.com")
        return envelope(self.public.blob, kind + string(signature) + tail, namespace=namespace)
