"""Who can open a package, and the encryption itself: age, for one insurer's registered key.

pyrage (1.4) reads from an object and writes to another by itself, in pieces of 8 KiB. What goes
wrong in them it passes on in different ways: while encrypting as an EncryptError whose text holds
the other error's, Ctrl-C included. So it runs in a thread of its own and only ever talks to
`_Exchange` here; blocks are asked for and handed out in the caller's thread, step by step, and what
goes wrong there never comes near the library.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeAlias

import pyrage

from koukan.errors import SealBroken, SecretError
from koukan.keys.identity import parse_identity, read_key_file
from koukan.keys.secret import Secret
from koukan.sites.model import PACKAGE_KEY

Recipient: TypeAlias = pyrage.x25519.Recipient | pyrage.ssh.Recipient
Blocks: TypeAlias = Generator[bytes, None, None]  # whoever does not want the rest closes it
NAMESPACE = "koukan-package"  # of the signatures: none made for another use is one of these

_KIND_AND_KEY = 2  # words of a key of SSH that count; the rest is a comment
_BLOCK = 1 << 20  # bytes that are handed out at a time
_LARGEST = 1 << 14  # bytes; the file of an RSA key of 4,096 bits has some 3,400
# The texts by which pyrage tells these cases apart; a test pins them.
_NOT_OURS = "No matching keys found"
_LOCKED = "ssh key must be decrypted first"


def recipient(text: str, insurer: str) -> Recipient:
    """The key of an insurer as it stands in site.toml: `age1…`, `ssh-ed25519 …`, `ssh-rsa …`.

    Raises:
        SecretError: there is none, or it is no such key (of RSA: one of 2,048 to 4,096 bits).
    """
    if not text:
        raise SecretError("keys.package_no_key", insurer=insurer)
    kind = pyrage.ssh if text.startswith("ssh-") else pyrage.x25519
    # The library alone would take several lines of SSH and ignore all but the first.
    if PACKAGE_KEY.fullmatch(text):
        try:
            return kind.Recipient.from_str(text)
        except pyrage.RecipientError:
            pass  # falls to the one refusal below, without the library's text
    raise SecretError("keys.package_recipient", insurer=insurer)


def key_hash(text: str) -> str:
    """SHA-256 of a key as it stands in site.toml, without its comment: what a key is known by."""
    known = " ".join(text.split()[:_KIND_AND_KEY])
    return hashlib.sha256(known.encode()).hexdigest()


class PackageIdentity(Secret):
    """An insurer's private key, with which it opens its packages. Use `load_package_identity`."""

    __slots__ = ("_private",)

    def __init__(self, private: pyrage.x25519.Identity | pyrage.ssh.Identity) -> None:
        self._private = private

    def decrypted(self, blocks: Iterable[bytes], name: str) -> Blocks:
        """What the age file `blocks` holds, in blocks. Each is authentic; the end is when it comes.

        Args:
            name: of the file, for messages.

        Raises:
            SecretError: the file is for another key.
            SealBroken: it was altered, cut or lengthened, or is none of age's.
        """

        def work(exchange: _Exchange) -> None:
            pyrage.decrypt_io(exchange, exchange, [self._private])

        try:
            yield from _driven(work, blocks)
        except _Failed as failed:
            error = failed.__cause__
            if isinstance(error, pyrage.DecryptError) and str(error) == _NOT_OURS:
                raise SecretError("keys.package_not_ours", path=name) from None
            if isinstance(error, pyrage.DecryptError | OSError):
                raise SealBroken("keys.package_broken", path=name) from None
            raise


def load_package_identity(path: Path) -> PackageIdentity:
    """Read a private key: an age identity file, or an OpenSSH private key without a passphrase.

    Raises:
        SecretError: it is missing, open to group or others, no such key, or under a passphrase.
    """
    content = read_key_file(path, outside=None, largest=_LARGEST)
    if not re.match(rb"\s*-----BEGIN ", content):
        try:
            return PackageIdentity(parse_identity(content, path.name))
        except SecretError:
            raise SecretError("keys.package_no_private", path=path.name) from None
    if len(content) <= _LARGEST:
        try:
            return PackageIdentity(pyrage.ssh.Identity.from_buffer(content))
        except pyrage.IdentityError as error:
            if str(error) == _LOCKED:
                raise SecretError("keys.package_locked", path=path.name) from None
    raise SecretError("keys.package_no_private", path=path.name)


def encrypted(blocks: Iterable[bytes], recipients: Sequence[Recipient]) -> Blocks:
    """The age file for `recipients` that holds `blocks`, in blocks of some MiB.

    Raises:
        ValueError: there is no recipient (a bug of ours).
    """
    if not recipients:
        raise ValueError("a package is for somebody")

    def work(exchange: _Exchange) -> None:
        pyrage.encrypt_io(exchange, exchange, list(recipients))

    yield from _driven(work, blocks)


class _Stopped(Exception):
    """Nobody wants the rest. Only pyrage ever sees it."""


class _Failed(Exception):
    """The library gave up by itself, for its cause; the caller's own errors are never wrapped."""


class _Ended:
    """The last step. `error` is the library's."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


class _Exchange:
    """A file to read from and one to write to, for a thread that stops whenever it uses them."""

    def __init__(self) -> None:
        # None: a block is wanted. bytes: this was written.
        self.steps: SimpleQueue[bytes | _Ended | None] = SimpleQueue()
        self.answers: SimpleQueue[bytes | None] = SimpleQueue()  # None: stop
        self._block = memoryview(b"")
        self._written = bytearray()

    def read(self, most: int) -> bytes:
        if not self._block:
            self._block = memoryview(self._ask(None))
        found, self._block = self._block[:most], self._block[most:]
        return bytes(found)

    def write(self, content: bytes) -> int:
        self._written += content
        if len(self._written) >= _BLOCK:
            self._hand_out()
        return len(content)

    def run(self, work: Callable[[_Exchange], None]) -> None:
        error: BaseException | None = None
        try:
            work(self)
            self._hand_out()
        except BaseException as found:  # noqa: BLE001 - it is raised where the caller waits
            error = found
        self.steps.put(_Ended(error))

    def _hand_out(self) -> None:
        if self._written:
            self._ask(bytes(self._written))
            self._written.clear()

    def _ask(self, step: bytes | None) -> bytes:
        self.steps.put(step)
        answer = self.answers.get()
        if answer is None:
            self.answers.put(None)  # the library may try once more, to write what it still holds
            raise _Stopped
        return answer


def _driven(work: Callable[[_Exchange], None], blocks: Iterable[bytes]) -> Blocks:
    """What `work` writes while it reads `blocks`. Raises _Failed when `work` raises."""
    source: Iterator[Any] = filter(None, blocks)  # an empty block would be taken for the end
    exchange = _Exchange()
    thread = threading.Thread(target=exchange.run, args=(work,), daemon=True)
    try:
        thread.start()
        while not isinstance(step := exchange.steps.get(), _Ended):
            if step is None:
                exchange.answers.put(next(source, b""))
            else:
                yield step
                exchange.answers.put(b"")
    finally:
        exchange.answers.put(None)
        with suppress(RuntimeError):  # a signal came while it was being started: it ends by itself
            thread.join()
    if step.error is not None:
        raise _Failed from step.error
