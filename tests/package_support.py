"""Real keys and packages for tests, and the programs of others that must be able to read them."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pyrage
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from koukan.codecs.archive import Member, pack
from koukan.engine.packages import Content, Laid, lay
from koukan.keys.package import NAMESPACE, PackageIdentity, load_package_identity
from koukan.keys.signing import Signer
from koukan.rules.package import MANIFEST, SIGNATURE, About, Counts, File, Manifest, manifest_bytes

KINDS = ("age", "ed25519", "rsa")
NAME = "PK_kenpo-a_0000000012.age"
ABOUT = About("06990014", 12, "query_result", Counts(3, 2, 1, 4))
FILES = {"QR_1.csv": b"a,b\r\n" * 700, "QR_2.csv": b"", "REPORT.txt": b"three lines\n" * 3}
SIGNER, STRANGER = Signer(bytes(range(32))), Signer(bytes(32))


def program(name: str, package: str) -> str:
    """Its path; where it is missing the test is skipped and says so."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed (apt-get install {package})")
    return found


@dataclass(frozen=True)
class Pair:
    """A pair of keys: what stands in site.toml, and the content of the private key's file."""

    public: str
    private: bytes

    def file(self, folder: Path, name: str = "insurer.key") -> Path:
        path = folder / name
        path.write_bytes(self.private)
        path.chmod(0o600)
        return path

    def identity(self, folder: Path) -> PackageIdentity:
        return load_package_identity(self.file(folder))


def new_pair(kind: str, passphrase: bytes = b"", bits: int = 2048) -> Pair:
    if kind == "age":
        private = pyrage.x25519.Identity.generate()
        public = str(private.to_public())
        return Pair(public, f"# public key: {public}\n{private}\n".encode())
    key: Ed25519PrivateKey | RSAPrivateKey = (
        Ed25519PrivateKey.generate() if kind == "ed25519" else generate_private_key(65537, bits)
    )
    locked = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    return Pair(
        key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode() + " 健保",
        key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, locked),
    )


def pair(kind: str = "age") -> Pair:
    """The same pair throughout a run."""
    return _pair(kind)


@cache
def _pair(kind: str) -> Pair:
    return new_pair(kind)


def content(name: str, body: bytes, block: int = 1000) -> Content:
    def read() -> Iterator[bytes]:
        for start in range(0, len(body), block):
            yield body[start : start + block]

    return Content(name, len(body), hashlib.sha256(body).hexdigest(), read)


def contents(files: dict[str, bytes] = FILES) -> list[Content]:
    return [content(name, body) for name, body in files.items()]


def laid(folder: Path, kind: str = "age", name: str = NAME) -> Laid:
    """A package of FILES in a folder."""
    return lay(folder / name, contents(), ABOUT, signer=SIGNER, recipients=[pair(kind).public])


# --- packages as nobody should make them: signed and encrypted rightly, with something else inside


def signed(body: bytes, signer: Signer = SIGNER, namespace: str = NAMESPACE) -> bytes:
    return signer.sign_digest(hashlib.sha512(body).digest(), namespace)


def manifest_of(files: dict[str, bytes] = FILES, name: str = NAME.removesuffix(".age")) -> bytes:
    listed = [File(one, len(body), hashlib.sha256(body).hexdigest()) for one, body in files.items()]
    return manifest_bytes(Manifest(name, ABOUT, tuple(listed)))


def archive_of(manifest: bytes, signature: bytes, files: dict[str, bytes] = FILES) -> bytes:
    return packed((MANIFEST, manifest), (SIGNATURE, signature), *files.items())


def packed(*files: tuple[str, bytes]) -> bytes:
    return b"".join(pack(Member(name, len(body), [body]) for name, body in files))


def put(folder: Path, archive: bytes, signer: Signer = SIGNER, name: str = NAME) -> Path:
    """A package of any content, with a right signature around it."""
    sealed = pyrage.encrypt(archive, [pyrage.x25519.Recipient.from_str(pair().public)])
    return put_sealed(folder, sealed, signer, name)


def put_sealed(folder: Path, sealed: bytes, signer: Signer = SIGNER, name: str = NAME) -> Path:
    (folder / name).write_bytes(sealed)
    (folder / f"{name}.sig").write_bytes(signed(sealed, signer))
    return folder / name


def names(folder: Path) -> Sequence[str]:
    return sorted(path.name for path in folder.iterdir())
