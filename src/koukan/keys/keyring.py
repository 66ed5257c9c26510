"""The keyring: purpose keys, wrapped for each actor who has the right, and random keys under them.

    folder/purposes/<purpose>/1.<actor>.age   one purpose key, sealed to one actor (age)
    folder/random/<scope>/<name>.key          one random key, wrapped under a purpose key (AES-KW)

A random key exists in that one file and nowhere else, so removing the file destroys what it sealed.
The folder stays outside the backups of ledger and tables for the same reason.
"""

from __future__ import annotations

import fcntl
import glob
import os
import re
import secrets
import shutil
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import pyrage
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from koukan import durable
from koukan.errors import IntegrityError, SealBroken, SecretError
from koukan.keys.identity import Identity
from koukan.keys.secret import (
    KEY_LENGTH,
    Secret,
    about_key,
    checked_key,
    derive,
    private_folder,
    read_small,
)

__all__ = ["PURPOSES", "SCOPES", "Keyring", "derive"]

PURPOSES = frozenset(
    "number history partition copy code record stage original identity issue signing".split()
)
SCOPES: Mapping[str, str] = MappingProxyType(
    {  # what a random key is for -> the purpose key that it is wrapped under
        "stage": "stage",
        "original": "original",
        "question": "identity",
        "request": "identity",
        "package": "identity",
        "push": "history",
        "vault": "number",
        "qualification_history": "history",
        "person_links": "history",
        "pmh_issues": "history",
        "linkage_codes": "code",
        "provision_records": "record",
        "entrusted_partition": "partition",
        "replica_partition": "copy",
    }
)
_VERSION = 1  # of purpose keys, and the first one of partition keys
# No leading dot: neither "..", nor a name that recovery takes for an unfinished file.
_NAME = re.compile(r"[A-Za-z0-9_=-][A-Za-z0-9._=-]{0,199}")
_WRAPPED = KEY_LENGTH + 8  # bytes of an AES-KW file
_ERASED = bytes(_WRAPPED)  # what a key file holds between being overwritten and being unlinked
_LARGEST = 4096  # bytes; a wrapped purpose key has some 300


class _Cached(NamedTuple):
    inode: int
    changed: int  # ns
    key: bytes


class Keyring(Secret):
    """The keys that one identity opens. Use `Keyring.open`."""

    __slots__ = ("_folder", "_identity", "_newest", "_purposes", "_random")

    def __init__(self, folder: Path, identity: Identity) -> None:
        self._folder = folder
        self._identity = identity
        self._purposes: dict[str, bytes | None] = {}
        self._random: dict[tuple[str, str], _Cached] = {}
        self._newest: dict[tuple[str, str], int] = {}  # version, by table and partition

    @staticmethod
    def create(folder: Path, rights: Mapping[str, tuple[str, Collection[str]]]) -> None:
        """Make the purpose keys that are not there yet.

        The keys of one purpose appear for all their actors at once (one rename), so that a run that
        was killed leaves no purpose whose key somebody can never be given.

        Args:
            rights: actor -> (recipient `age1…`, purposes).

        Raises:
            SecretError: a name is not allowed, a recipient is none, or a purpose stands already and
                an actor has no copy of its key (`grant` gives one). Then nothing was made.
        """
        wanted: dict[str, dict[str, pyrage.x25519.Recipient]] = defaultdict(dict)
        for actor, (recipient, purposes) in rights.items():
            public = _recipient(_allowed(actor), recipient)
            for purpose in purposes:
                wanted[_known(purpose)][actor] = public
        standing = {purpose for purpose in wanted if (folder / "purposes" / purpose).is_dir()}
        for purpose in sorted(standing):
            _require_copies(folder, purpose, wanted[purpose])
        for purpose in sorted(set(wanted) - standing):
            _make_purpose(folder, purpose, wanted[purpose])
            _require_copies(folder, purpose, wanted[purpose])

    @classmethod
    def open(cls, folder: Path, identity: Identity) -> Keyring:
        """The keyring of `folder` as `identity` sees it; purpose keys are opened when first asked.

        Raises:
            SecretError: there is no keyring.
        """
        if not (folder / "purposes").is_dir():
            raise SecretError("keys.keyring_missing", path=folder.name)
        return cls(folder, identity)

    def holds(self, purpose: str) -> bool:
        """Whether this identity has the right `purpose`."""
        if purpose not in self._purposes:
            self._purposes[purpose] = self._opened(_known(purpose))
        return self._purposes[purpose] is not None

    def purpose_key(self, purpose: str) -> bytes:
        """32 bytes. Raises SecretError("keys.right_missing") when the right is not held."""
        key = self._purposes[purpose] if self.holds(purpose) else None
        if key is None:
            raise about_key(SecretError, "keys.right_missing", purpose)
        return key

    def grant(self, purpose: str, actor: str, recipient: str) -> None:
        """Wrap a purpose key that this identity holds for one more actor; a copy there is left."""
        wrapped = _wrapped_for(
            _recipient(_allowed(actor), recipient), purpose, self.purpose_key(purpose)
        )
        durable.write(self._folder / "purposes" / purpose / f"{_VERSION}.{actor}.age", wrapped)

    def random_key(self, scope: str, name: str) -> bytes:
        """The key `name` of `scope`, 32 random bytes; made now if there is none.

        Two processes that make it at the same time get the same one.
        """
        key = self._cached(self._path(scope, name), scope, name)
        if key is not None:
            return key
        self.make_keys(scope, [name])
        return self.existing_key(scope, name)  # whoever was first, this is the key that stays

    def make_keys(self, scope: str, names: Sequence[str]) -> None:
        """Make those keys of `scope` that are not there; durable on return, all of them at once."""
        wrapped = {
            self._path(scope, name): aes_key_wrap(
                self._wrapping(scope, name), secrets.token_bytes(KEY_LENGTH)
            )
            for name in names
        }
        folder = private_folder(self._path(scope, names[0]).parent)
        with _locked(folder), durable.at_once(), durable.together():
            for path, content in wrapped.items():
                if _content(path) == _ERASED:  # the rest of a destruction that was killed
                    durable.unlink(path)
                durable.write(path, content)

    def existing_key(self, scope: str, name: str) -> bytes:
        """The key `name` of `scope`. Raises SecretError("keys.key_absent") if there is none."""
        key = self._cached(self._path(scope, name), scope, name)
        if key is None:
            raise about_key(SecretError, "keys.key_absent", f"{scope}/{name}")
        return key

    def destroy(self, scope: str, name: str) -> bool:
        """Destroy a key for good; False when it was gone already. Durable either way on return."""
        self._random.pop((scope, name), None)
        path = self._path(scope, name)
        if not path.parent.is_dir():
            return False
        with _locked(path.parent):
            if not _overwrite(path):
                durable.sync_folder(path.parent)  # an earlier attempt may have died before its own
                return False
            return durable.unlink(path)

    def partition_key(self, table: str, partition: str) -> tuple[int, bytes]:
        """(version, key) under which a writer seals new files of a table's partition: the newest,
        made now if there is none.
        """
        version = self._newest.get((table, partition), 0)
        here, following = (self._path(table, f"{partition}.{version + at}") for at in (0, 1))
        if not here.exists() or following.exists():
            version = max(self.partition_versions(table, partition), default=_VERSION)
            self._newest[table, partition] = version
        return version, self.random_key(table, f"{partition}.{version}")

    def make_partition_keys(self, table: str, partitions: Iterable[str]) -> None:
        """Make the first keys of those partitions that have none; durable on return, all of them
        at once, and looked for in one list of the folder.
        """
        wanted = [one for one in partitions if (table, one) not in self._newest]
        if not wanted:
            return
        folder = self._path(table, wanted[0]).parent
        there = {path.stem.rpartition(".")[0] for path in folder.glob("*.key")}
        missing = [f"{one}.{_VERSION}" for one in wanted if one not in there]
        if missing:
            self.make_keys(table, missing)

    def new_partition_key(self, table: str, partition: str) -> int:
        """Make the key under which writers seal files from now on; returns its version."""
        version = 1 + max(self.partition_versions(table, partition), default=0)
        self.random_key(table, f"{partition}.{version}")
        return version

    def partition_versions(self, table: str, partition: str) -> list[int]:
        """Versions of a partition's key that are there, ascending."""
        folder = self._path(table, partition).parent
        found = (path.name for path in folder.glob(f"{glob.escape(partition)}.*.key"))
        numbers = (name.removeprefix(f"{partition}.").removesuffix(".key") for name in found)
        return sorted(int(number) for number in numbers if number.isdecimal())

    def existing_partition_key(self, table: str, partition: str, version: int) -> bytes:
        """For readers of files of that version. Raises SecretError if there is none."""
        return self.existing_key(table, f"{partition}.{version}")

    def _opened(self, purpose: str) -> bytes | None:
        broken: SealBroken | None = None
        for path in sorted((self._folder / "purposes" / purpose).glob(f"{_VERSION}.*.age")):
            try:
                content = self._identity.unwrap(read_small(path, _LARGEST), path.name)
            except PermissionError:
                continue  # other actors' copies may belong to other users of the host
            except SealBroken as error:
                broken = error  # it matters only if no other copy opens
                continue
            if content is None:
                continue
            label = _label(purpose)
            if content[: len(label)] != label or len(content) != len(label) + KEY_LENGTH:
                raise SealBroken("keys.wrapped_broken", path=path.name)
            return content[len(label) :]
        if broken is not None:
            raise broken
        return None

    def _wrapping(self, scope: str, name: str) -> bytes:
        # Derived for this very file: AES-KW binds no context, and a key file under another name
        # must not open.
        return derive(self.purpose_key(SCOPES[scope]), "random", scope, name)

    def _path(self, scope: str, name: str) -> Path:
        if scope not in SCOPES:
            raise about_key(SecretError, "keys.scope_unknown", scope)
        return self._folder / "random" / scope / f"{_allowed(name)}.key"

    def _cached(self, path: Path, scope: str, name: str) -> bytes | None:
        """The key in `path`, read again when the file is another one than before; None if absent.

        Without this look at the file, a process could go on sealing under a key that another one
        has destroyed, and its data could never be read.
        """
        try:
            status = path.lstat()
        except FileNotFoundError:
            self._random.pop((scope, name), None)
            return None
        cached = self._random.get((scope, name))
        if cached and (cached.inode, cached.changed) == (status.st_ino, status.st_mtime_ns):
            return cached.key
        self._random.pop((scope, name), None)
        wrapped = _content(path)
        if wrapped is None or wrapped == _ERASED:
            return None
        try:
            key = aes_key_unwrap(self._wrapping(scope, name), wrapped)
        except (InvalidUnwrap, ValueError):
            raise about_key(SealBroken, "keys.random_broken", f"{scope}/{name}") from None
        key = checked_key(key)
        self._random[scope, name] = _Cached(status.st_ino, status.st_mtime_ns, key)
        return key


def _allowed(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise SecretError("keys.name_refused")  # without the name: nobody has checked what it is
    return name


def _known(purpose: str) -> str:
    if purpose not in PURPOSES:
        raise about_key(SecretError, "keys.purpose_unknown", purpose)
    return purpose


def _recipient(actor: str, text: str) -> pyrage.x25519.Recipient:
    try:
        return pyrage.x25519.Recipient.from_str(text)
    except pyrage.RecipientError:
        raise SecretError("keys.recipient_wrong", actor=actor) from None


def _label(purpose: str) -> bytes:
    """Stands before the key inside its wrapping, so that purposes cannot be swapped on disk."""
    return f"koukan purpose key {_VERSION} {purpose}\n".encode("ascii")


def _wrapped_for(recipient: pyrage.x25519.Recipient, purpose: str, key: bytes) -> bytes:
    return bytes(pyrage.encrypt(_label(purpose) + key, [recipient]))


def _require_copies(
    folder: Path, purpose: str, actors: Mapping[str, pyrage.x25519.Recipient]
) -> None:
    for actor in actors:
        if not (folder / "purposes" / purpose / f"{_VERSION}.{actor}.age").is_file():
            raise about_key(SecretError, "keys.copy_missing", purpose, actor=actor)


def _make_purpose(
    folder: Path, purpose: str, actors: Mapping[str, pyrage.x25519.Recipient]
) -> None:
    final = private_folder(folder / "purposes") / purpose
    temporary = private_folder(durable.temporary_name(final))
    key = secrets.token_bytes(KEY_LENGTH)
    try:
        for actor, recipient in actors.items():
            wrapped = _wrapped_for(recipient, purpose, key)
            durable.write(temporary / f"{_VERSION}.{actor}.age", wrapped)
        try:
            temporary.rename(final)
        except OSError:
            if not final.is_dir():
                raise
            # Another process was first: its key stays, and our caller looks who has a copy.
        durable.sync_folder(final.parent)
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary)


def _content(path: Path) -> bytes | None:
    try:
        return read_small(path, _WRAPPED)
    except FileNotFoundError:
        return None


def _overwrite(path: Path) -> bool:
    """Overwrite a key in its place; False when there is none.

    The file may have a second name, left by a creation that was killed, and unlinking one name
    would leave the key under the other.
    """
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return False
    with os.fdopen(handle, "wb", buffering=0) as file:
        if file.write(_ERASED) != len(_ERASED):
            raise IntegrityError("durable.length", path=path.name)
        file.truncate(len(_ERASED))  # after the write: an empty file would be broken, not erased
        os.fsync(handle)
    return True


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One process or thread at a time makes or destroys keys in `folder`."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
