"""A partner's SFTP host, to which we go: one connection, modern algorithms, a pinned host key.

What is not as agreed stops before anything personal is sent: an unknown host key, a server without
strict key exchange (CVE-2023-48795), one that offers old algorithms only. Such faults need a
person; a connection that fails or breaks off is tried again, and then by the next run.
"""

from __future__ import annotations

import base64
import hashlib
import io
import logging
import posixpath
import socket
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO, TypeVar

import paramiko
from paramiko.ssh_exception import AuthenticationException, IncompatiblePeer, SSHException

from koukan.errors import EnvironmentRefused, KoukanError, SecretError, TransientError
from koukan.exchange.folder import PARTIAL, safe_name

T = TypeVar("T")
BLOCK = 32 * 1024  # what every server takes in one packet
AHEAD = 128 * BLOCK  # bytes that are asked for before they are read
KEX = (
    *("mlkem768x25519-sha256", "curve25519-sha256@libssh.org", "ecdh-sha2-nistp256"),
    *("ecdh-sha2-nistp384", "ecdh-sha2-nistp521", "diffie-hellman-group16-sha512"),
)
CIPHERS = (
    *("aes256-gcm@openssh.com", "aes128-gcm@openssh.com"),
    *("aes256-ctr", "aes192-ctr", "aes128-ctr"),
)
MACS = (
    *("hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com"),
    *("hmac-sha2-256", "hmac-sha2-512"),
)
SIGNED_BY = {  # kind of a pinned key -> the algorithms by which the host may prove that it has it
    "ssh-ed25519": ("ssh-ed25519",),
    "ecdsa-sha2-nistp256": ("ecdsa-sha2-nistp256",),
    "ecdsa-sha2-nistp384": ("ecdsa-sha2-nistp384",),
    "ecdsa-sha2-nistp521": ("ecdsa-sha2-nistp521",),
    "ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256"),
}
KEYS = (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey)
PAUSES = (1.0, 4.0)  # seconds before the second and the third try

_log = logging.getLogger("paramiko")
_log.addHandler(logging.NullHandler())  # what it has to say comes to us as exceptions
_log.propagate = False


@dataclass(frozen=True)
class Address:
    """Where a partner's host is and how it proves itself.

    Args:
        name: of the sender, for messages.
        host_keys: `kind base64`, as in a .pub file; any of them will do.
        seconds: how long anything may take that is no transfer, and each packet of one.
    """

    name: str
    host: str
    port: int
    user: str
    host_keys: tuple[str, ...]
    seconds: float = 30.0


@dataclass(frozen=True, order=True)
class Entry:
    """One look at a regular file at a host."""

    name: str
    size: int
    changed: int


def client_key(content: bytes, name: str) -> paramiko.PKey:
    """Our private key as OpenSSH writes it, without a passphrase.

    Raises:
        SecretError: it is no such key. `name` is its file's.
    """
    for kind in KEYS:
        try:
            return kind.from_private_key(io.StringIO(content.decode("ascii")))
        except (SSHException, ValueError, UnicodeDecodeError):
            continue
    raise SecretError("exchange.no_client_key", path=name)


@contextmanager
def connected(
    address: Address, key: paramiko.PKey, pauses: tuple[float, ...] = PAUSES
) -> Iterator[Remote]:
    """A session at the host; whatever goes wrong there in the block is one of our errors.

    Args:
        pauses: seconds before each further try where it could not be reached.

    Raises:
        TransientError: the host cannot be reached, or the connection broke.
        SecretError: its key is not a pinned one, or it does not take ours.
        EnvironmentRefused: it offers nothing that is safe, or lacks a folder or a permission.
    """
    with _errors(address):
        transport = again(address, lambda: _greeted(address), pauses)
        try:
            _recognise(transport, address)
            _authenticate(transport, address, key)
            session = paramiko.SFTPClient.from_transport(transport)
            if session is None:
                raise TransientError("exchange.host_unreachable", sender=address.name)
            channel = session.get_channel()
            if channel is not None:
                channel.settimeout(address.seconds)
            yield Remote(address, session)
        finally:
            transport.close()


def again(address: Address, action: Callable[[], T], pauses: tuple[float, ...]) -> T:
    """Try once more, after a while, what only failed in passing."""
    for pause in pauses:
        try:
            with _errors(address):
                return action()
        except TransientError:
            time.sleep(pause)
    return action()


def _greeted(address: Address) -> paramiko.Transport:
    """Connected and with keys exchanged; nobody has proved anything yet."""
    there = socket.create_connection((address.host, address.port), timeout=address.seconds)
    transport = paramiko.Transport(there)
    try:
        transport.banner_timeout = transport.handshake_timeout = address.seconds
        transport.auth_timeout = transport.channel_timeout = address.seconds
        options = transport.get_security_options()
        options.kex, options.ciphers, options.digests = KEX, CIPHERS, MACS
        kinds = dict.fromkeys(line.split()[0] for line in address.host_keys)
        options.key_types = [name for kind in kinds for name in SIGNED_BY[kind]]
        transport.start_client(timeout=address.seconds)
        transport.set_keepalive(max(1, int(address.seconds / 2)))
    except BaseException:
        transport.close()
        there.close()
        raise
    return transport


def _recognise(transport: paramiko.Transport, address: Address) -> None:
    pinned = {base64.b64decode(line.split()[1]) for line in address.host_keys}
    if transport.get_remote_server_key().asbytes() not in pinned:
        raise SecretError("exchange.host_key", sender=address.name)
    if not transport.agreed_on_strict_kex:
        raise EnvironmentRefused("exchange.host_not_strict", sender=address.name)


def _authenticate(transport: paramiko.Transport, address: Address, key: paramiko.PKey) -> None:
    """By our key alone; a host that wants more has none of our words."""
    try:
        transport.auth_publickey(address.user, key)
    except AuthenticationException:
        if not transport.is_active():  # paramiko tells a connection that broke in the same way
            raise TransientError("exchange.host_unreachable", sender=address.name) from None
        raise
    if not transport.is_authenticated():
        raise SecretError("exchange.host_refuses_us", sender=address.name)


@contextmanager
def _errors(address: Address) -> Iterator[None]:
    """Errors of paramiko and of sockets as ours; those of our own disk stay as they are."""
    where = {"sender": address.name}
    try:
        yield
    except KoukanError:
        raise
    except IncompatiblePeer:
        raise EnvironmentRefused("exchange.host_algorithms", **where) from None
    except AuthenticationException:
        raise SecretError("exchange.host_refuses_us", **where) from None
    except (SSHException, EOFError, ConnectionError, TimeoutError, socket.gaierror):
        raise TransientError("exchange.host_unreachable", **where) from None
    except OSError as error:
        if error.errno is None:  # a failure that the server did not name: its disk is full, say
            raise TransientError("exchange.host_failed", **where) from None
        raise


class _Ahead(paramiko.SFTPFile):  # type: ignore[misc]  # paramiko has no types
    """Asks for blocks ahead in the thread that reads them.

    paramiko does it in a thread of its own, whose error nobody can catch when the line breaks.
    """

    def _start_prefetch(
        self, chunks: list[tuple[int, int]], max_concurrent_requests: int | None = None
    ) -> None:
        self._prefetching, self._prefetch_done = True, False
        self._prefetch_thread(chunks, max_concurrent_requests)


@dataclass(frozen=True)
class Remote:
    """Folders of a host, as far as an exchange needs them. Names are joined, never followed."""

    address: Address
    session: paramiko.SFTPClient

    def look(self, folder: str) -> tuple[list[Entry], int]:
        """Regular files with names that are fit, and the number of all other entries."""
        found, others = [], 0
        with self._there(folder):
            for item in self.session.listdir_iter(folder):
                if (
                    item.st_mode is not None
                    and stat.S_ISREG(item.st_mode)
                    and safe_name(item.filename) == item.filename
                ):
                    size, changed = item.st_size or 0, int(item.st_mtime or 0)
                    found.append(Entry(item.filename, size, changed))
                else:
                    others += 1
        return sorted(found), others

    def stat(self, folder: str, name: str) -> Entry | None:
        """A regular file; None where there is none."""
        with self._there(folder):
            try:
                item = self.session.lstat(posixpath.join(folder, name))
            except FileNotFoundError:
                return None
        if item.st_mode is None or not stat.S_ISREG(item.st_mode):
            return None
        return Entry(name, item.st_size or 0, int(item.st_mtime or 0))

    def read(self, folder: str, name: str, size: int) -> Iterator[bytes]:
        """Its first `size` bytes, in blocks, asked for ahead."""
        with (
            self._there(folder),
            self.session.open(posixpath.join(folder, name), "rb") as file,
        ):
            file.__class__ = _Ahead
            done = 0
            while done < size:
                file.prefetch(until := min(done + AHEAD, size))
                while done < until:
                    block = file.read(min(until - done, BLOCK))
                    if not block:
                        return  # it is shorter than it was
                    done += len(block)
                    yield block

    def digest(self, folder: str, name: str) -> str | None:
        """SHA-256 of what is there, read back; None where no regular file is."""
        entry = self.stat(folder, name)
        if entry is None:
            return None
        found = hashlib.sha256()
        for block in self.read(folder, name, entry.size):
            found.update(block)
        return found.hexdigest()

    def upload(self, folder: str, name: str, content: BinaryIO, length: int, digest: str) -> None:
        """Under the name that grows, whole and read back; `publish` gives it its own.

        Raises:
            TransientError: what the host gives back is not what it was given: its disk is full,
                say. Nothing has the file's own name.
        """
        growing = name + PARTIAL
        with (
            self._there(folder),
            self.session.open(posixpath.join(folder, growing), "wb") as file,
        ):
            file.set_pipelined(True)
            while block := content.read(BLOCK):
                file.write(block)
        entry = self.stat(folder, growing)
        if entry is None or entry.size != length or self.digest(folder, growing) != digest:
            raise TransientError("exchange.host_altered", sender=self.address.name, file=name)

    def publish(self, folder: str, name: str) -> bool:
        """Give what was uploaded its own name, in the place of anything that has it.

        False when nothing has the growing name.
        """
        path = posixpath.join(folder, name)
        with self._there(folder):
            try:
                self.session.posix_rename(path + PARTIAL, path)
            except FileNotFoundError:
                return False
        return True

    def remove(self, folder: str, name: str) -> None:
        """Take a file away; nothing when it is gone."""
        with self._there(folder):
            try:
                self.session.remove(posixpath.join(folder, name))
            except FileNotFoundError:
                return

    @contextmanager
    def _there(self, folder: str) -> Iterator[None]:
        """What the host refuses in one of its folders, told as such."""
        try:
            yield
        except (FileNotFoundError, PermissionError):
            where = {"sender": self.address.name, "folder": folder}
            raise EnvironmentRefused("exchange.host_folder", **where) from None
