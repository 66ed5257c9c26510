"""Packages: what an insurer collects from its outbox, laid here and opened at its side.

    <name>.age          age, for the insurer's registered key:
                            an archive of   manifest.json
                                            manifest.json.sig   SSHSIG of the centre over it
                                            the files, in the manifest's order
    <name>.age.sig      SSHSIG of the centre over <name>.age

The archive is the same whenever it is made; its SHA-256 is the package's identity. What is
encrypted differs each time. Nothing is ever on a disk in plain but what the insurer takes out.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple, Protocol

from koukan import durable
from koukan.codecs.archive import Member, pack, unpack
from koukan.engine.seen import Seen
from koukan.errors import IntegrityError, SealBroken, SignatureRefused, UsageError
from koukan.exchange.folder import FOR_COLLECTING
from koukan.keys import sshsig
from koukan.keys.package import NAMESPACE, PackageIdentity, Recipient, encrypted, recipient
from koukan.keys.secret import open_regular, read_small
from koukan.keys.signing import Signer
from koukan.rules.package import (
    LARGEST_MANIFEST,
    MANIFEST,
    SIGNATURE,
    About,
    File,
    Manifest,
    manifest_bytes,
    parse,
    require_files,
)
from koukan.sites.publickey import PublicKey

PACKAGE, SIGNED = ".age", ".sig"  # ends of the two names
BLOCK = 1 << 20  # bytes
_AGE = b"age-encryption.org/v1\n"  # how a file of age begins


class Hash(Protocol):
    """What hashlib makes."""

    def update(self, content: bytes, /) -> None: ...
    def digest(self) -> bytes: ...


class Content(NamedTuple):
    """A file for a package: what it will be, and how to read it in blocks, each time anew."""

    name: str
    length: int
    sha256: str
    open: Callable[[], Iterable[bytes]]


class Laid(NamedTuple):
    """What was laid: hash and length of the archive, then of the file in the outbox."""

    archive_sha256: str
    archive_length: int
    sha256: str
    length: int


class Opened(NamedTuple):
    """What was in a package; `archive_sha256` is its identity."""

    manifest: Manifest
    files: tuple[File, ...]
    archive_sha256: str


def lay(
    target: Path,
    contents: Sequence[Content],
    about: About,
    *,
    signer: Signer,
    recipients: Sequence[str],
) -> Laid:
    """Make a package and its signature, durably; one of that name is replaced.

    The signature is there before its package is, and a package that is replaced is gone before the
    signature changes: what can be collected fits together. A call that was killed leaves a package
    or none, and perhaps unfinished files (`.tmp-…`); the next one gives the same archive.

    Args:
        target: `<name>.age` in the outbox; `<name>` is the package's name.
        recipients: keys as they stand in site.toml.

    Raises:
        ValueError: a name or a number is not allowed (a bug of ours).
        SecretError: there is no key, or one that is none.
        IntegrityError: a content is not what it was said to be.
    """
    name = target.name.removesuffix(PACKAGE)
    if target.name != name + PACKAGE:
        raise ValueError(f"the name of a package ends in {PACKAGE}")
    files = tuple(File(one.name, one.length, one.sha256) for one in contents)
    manifest = manifest_bytes(Manifest(name, about, files))
    keys = [recipient(text, about.insurer) for text in recipients]
    archive = Seen(pack(_members(manifest, contents, signer)))
    digest = hashlib.sha256()
    _, length = lay_sealed(target, archive, keys, signer, digest)
    return Laid(archive.sha256, archive.length, digest.hexdigest(), length)


def lay_sealed(
    target: Path, plain: Iterable[bytes], keys: Sequence[Recipient], signer: Signer, *others: Hash
) -> tuple[str, int]:
    """Blocks encrypted into a file for collecting, its signature beside it, as `lay` does.

    Args:
        others: further digests of the file, which are brought up to date.

    Returns:
        the SHA-512 that is signed, and the length.

    Raises:
        IsADirectoryError: somebody's folder has the name.
    """
    temporary = durable.temporary_name(target)
    try:
        digest = hashlib.sha512()
        with closing(encrypted(plain, keys)) as blocks:
            sealed: Iterator[bytes] = blocks
            for one in (digest, *others):
                sealed = _through(sealed, one)
            length = _write(temporary, sealed)
        temporary.chmod(FOR_COLLECTING)
        signature = signer.sign_digest(digest.digest(), NAMESPACE)
        durable.unlink(target)
        durable.write(signature_path(target), signature, replace=True, mode=FOR_COLLECTING)
        durable.publish(temporary, target, length=length, replace=True)
    finally:
        temporary.unlink(missing_ok=True)
    return digest.hexdigest(), length


def signature_path(package: Path) -> Path:
    """Where the signature of a package lies."""
    return package.with_name(package.name + SIGNED)


def open_package(
    path: Path,
    identity: PackageIdentity,
    signer: PublicKey,
    into: Path | None = None,
    *,
    signature: Path | None = None,
) -> Opened:
    """Check a package and take its files out, all of them or none.

    Nothing is decrypted before the centre's signature over the whole file was found right, and
    nothing is under `into` before all else was.

    Args:
        signer: the centre's public key, known from elsewhere.
        into: a new folder for manifest, signature and files, private (0700); None only checks.
        signature: where the signature lies if not beside the package.

    Raises:
        UsageError: there is no such file, `into` is there already, or no folder to make it in.
        SecretError: the package is for another key.
        SignatureRefused: a signature is missing, or none of the signer's over this package.
        SealBroken: the package is not what the signer laid: altered, cut, renamed, or made wrongly.
    """
    _require_new(into)
    with _file(path) as file:
        begins = file.read(len(_AGE))
        digest, again = hashlib.sha512(), hashlib.sha512()
        for _ in _through(_blocks(file), digest):
            pass
        try:
            signed = _signature(signature or signature_path(path))
        except SignatureRefused:
            if begins != _AGE:  # nobody signs what is no package: its archive, a signature
                raise SealBroken("package.not_age", path=path.name) from None
            raise
        _require_signed(signed, digest.digest(), signer, path.name)
        sealed = _through(_blocks(file), again)
        with _new_folder(into) as folder, closing(identity.decrypted(sealed, path.name)) as blocks:
            opened = _read(blocks, signer, folder)
            if again.digest() != digest.digest():  # somebody wrote to it in between
                raise SealBroken("package.changed", path=path.name)
            name = opened.manifest.package + PACKAGE
            if path.name != name:  # else an older package could stand in for a newer one
                raise SealBroken("package.renamed", path=path.name, known=name)
    return opened


def _members(manifest: bytes, contents: Iterable[Content], signer: Signer) -> Iterator[Member]:
    signature = signer.sign_digest(hashlib.sha512(manifest).digest(), NAMESPACE)
    yield Member(MANIFEST, len(manifest), [manifest])
    yield Member(SIGNATURE, len(signature), [signature])
    for content in contents:
        yield Member(content.name, content.length, _proved(content))


def _proved(content: Content) -> Iterator[bytes]:
    """The blocks of a content. Raises IntegrityError at their end when they are others."""
    seen = Seen(content.open())
    yield from seen
    if (seen.length, seen.sha256) != (content.length, content.sha256):
        raise IntegrityError("package.content", file=content.name)


def _read(blocks: Iterable[bytes], signer: PublicKey, folder: Path | None) -> Opened:
    """Everything that an archive must hold; its files go into `folder` if there is one."""
    archive = Seen(blocks)
    members = unpack(archive)
    manifest = _next(members, MANIFEST, LARGEST_MANIFEST)
    signature = _next(members, SIGNATURE, sshsig.LARGEST)
    _require_signed(signature, hashlib.sha512(manifest).digest(), signer, MANIFEST)
    said = parse(manifest)
    _keep(folder, MANIFEST, [manifest])
    _keep(folder, SIGNATURE, [signature])
    found = []
    for member in members:
        seen = Seen(member.blocks)
        _keep(folder, member.name, seen)
        found.append(File(member.name, seen.length, seen.sha256))
    require_files(said, found)
    return Opened(said, tuple(found), archive.sha256)


def _next(members: Iterator[Member], name: str, largest: int) -> bytes:
    """The content of the next member, which must be this small one."""
    member = next(members, None)
    if member is None or member.name != name or member.length > largest:
        raise SealBroken("package.first", file=name)
    return b"".join(member.blocks)


def _keep(folder: Path | None, name: str, blocks: Iterable[bytes]) -> None:
    if folder is None:
        for _ in blocks:
            pass
        return
    _write(folder / name, blocks)
    durable.sync_file(folder / name)


def _write(path: Path, blocks: Iterable[bytes]) -> int:
    """A new file that is its owner's alone; its length."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
        return sum(file.write(block) for block in blocks)


def _signature(path: Path) -> bytes:
    try:
        return read_small(path, sshsig.LARGEST)
    except FileNotFoundError:
        raise SignatureRefused("package.no_signature", path=path.name) from None


def _require_signed(signature: bytes, digest: bytes, signer: PublicKey, name: str) -> None:
    """Raises SignatureRefused unless the signer signed what has this SHA-512 digest."""
    try:
        key = sshsig.verify_digest(signature, digest, NAMESPACE).key
    except SignatureRefused:
        raise SignatureRefused("package.signature", path=name) from None
    if key != signer:
        raise SignatureRefused("package.signer", path=name, known=key.fingerprint)


def _through(blocks: Iterable[bytes], digest: Hash) -> Iterator[bytes]:
    for block in blocks:
        digest.update(block)
        yield block


def _blocks(file: io.FileIO) -> Iterator[bytes]:
    file.seek(0)
    while block := file.read(BLOCK):
        yield block


@contextmanager
def _file(path: Path) -> Iterator[io.FileIO]:
    """A regular file, the same one however often it is read."""
    try:
        handle = open_regular(path)
    except FileNotFoundError:
        handle = None
    if handle is None:
        raise UsageError("package.no_file", file=path.name)
    with io.FileIO(handle, "rb") as file:
        yield file


def _require_new(into: Path | None) -> None:
    if into is None:
        return
    if os.path.lexists(into):
        raise UsageError("package.into_exists", path=into.name)
    if not into.parent.is_dir():
        raise UsageError("package.into_nowhere", path=into.parent.name)


@contextmanager
def _new_folder(into: Path | None) -> Iterator[Path | None]:
    """A folder that gets its name, whole and durable, when the block is left without an error."""
    if into is None:
        yield None
        return
    temporary = durable.temporary_name(into)
    temporary.mkdir(mode=0o700)
    try:
        yield temporary
        durable.sync_folder(temporary)
        temporary.rename(into)
        durable.sync_folder(into.parent)
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary)
