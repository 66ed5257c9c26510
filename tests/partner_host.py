"""A partner's host for tests: a real sshd with a folder for us and one of ours, and our key."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sftp_support

USER, UID = "koukan-client", 3101
FOR_US, FROM_US = "for_koukan", "from_koukan"  # the host's two folders


@dataclass
class PartnerHost:
    """Args: for_us, from_us: the host's folders, as they lie on this machine."""

    folder: Path
    key: Path
    server: Any
    for_us: Path
    from_us: Path

    def put(self, name: str, content: bytes) -> Path:
        """A file that the partner has for us; its own, as what it writes itself."""
        path = self.for_us / name
        path.write_bytes(content)
        os.chown(path, UID, UID)
        return path

    def has(self) -> dict[str, bytes]:
        """What we handed over, by name."""
        return {path.name: path.read_bytes() for path in sorted(self.from_us.iterdir())}

    def small(self, size: int) -> None:
        """Let the host's disk for what is ours be so small, until sshd ends."""
        (inner,) = Path(f"/proc/{self.server.process.pid}/task").iterdir()
        child = (inner / "children").read_text().split()[0]
        there = f"/srv/sftp/{USER}/{FROM_US}"
        options = f"size={size},uid={UID},gid={UID},mode=0700"
        command = ["nsenter", "-t", child, "-m", "mount", "-t", "tmpfs", "-o", options, "x", there]
        subprocess.run(command, check=True, capture_output=True)

    def toml(self, **more: object) -> str:
        """The table `host` of a sender."""
        values = {
            "address": "127.0.0.1",
            "port": self.server.port,
            "user": USER,
            "host_keys": [self.server.host_key],
            "fetch_from": FOR_US,
            "hand_to": FROM_US,
            "seconds": 20.0,
            **more,
        }
        return "host = { " + ", ".join(f"{key} = {_toml(it)}" for key, it in values.items()) + " }"


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    return f'"{value}"' if isinstance(value, str) else str(value)


@contextmanager
def partner_host(
    folder: Path,
    *,
    for_us: Path | None = None,
    from_us: Path | None = None,
    key: Path | None = None,
    **more: Any,
) -> Iterator[PartnerHost]:
    """One that runs until the end of the block. Skips the test where no sshd can be started."""
    sshd = sftp_support.sshd()
    folder.mkdir(parents=True, exist_ok=True)
    if key is None:
        key, _ = sftp_support.key_pair(folder, "client")
    for_us, from_us = for_us or folder / FOR_US, from_us or folder / FROM_US
    for one in (for_us, from_us):
        one.mkdir(parents=True, exist_ok=True)
        os.chown(one, UID, UID)
    public = key.with_suffix(".pub").read_text()
    account = sshd.Account(USER, UID, UID, [public], {FOR_US: for_us, FROM_US: from_us})
    with sshd.running(folder / "sshd", [account], **more) as server:
        yield PartnerHost(folder, key, server, for_us, from_us)


def emptied(host: PartnerHost) -> PartnerHost:
    """The same with nothing in its folders."""
    for folder in (host.for_us, host.from_us):
        for path in folder.iterdir():
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    return host


@dataclass
class Line:
    """A line to a port that breaks, once, after so many bytes in one direction."""

    port: int
    after: int
    up: bool  # bytes to the host are counted, else those from it
    listener: socket.socket = field(default_factory=socket.socket)
    broken: int = 0
    ends: list[socket.socket] = field(default_factory=list)
    threads: list[threading.Thread] = field(default_factory=list)

    @property
    def own(self) -> int:
        return int(self.listener.getsockname()[1])

    def serve(self) -> None:
        while True:
            try:
                here, _ = self.listener.accept()
            except OSError:
                return
            there = socket.create_connection(("127.0.0.1", self.port))
            self.ends += [here, there]
            for way in ((here, there, self.up), (there, here, not self.up)):
                self.threads.append(threading.Thread(target=self.carry, args=way, daemon=True))
                self.threads[-1].start()

    def carry(self, source: socket.socket, target: socket.socket, counted: bool) -> None:
        carried = 0
        with suppress(OSError):
            while block := source.recv(16 * 1024):
                carried += len(block)
                if counted and not self.broken and carried > self.after:
                    self.broken += 1
                    break
                target.sendall(block)
        hang_up(source, target)


def hang_up(*ends: socket.socket) -> None:
    for end in ends:
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


@contextmanager
def breaking_line(port: int, *, after: int, up: bool) -> Iterator[Line]:
    """A line to a port of this machine, at a port of its own."""
    line = Line(port, after, up)
    line.listener.bind(("127.0.0.1", 0))
    line.listener.listen()
    thread = threading.Thread(target=line.serve, daemon=True)
    thread.start()
    try:
        yield line
    finally:
        hang_up(line.listener, *line.ends)
        for one in (thread, *line.threads):
            one.join(timeout=20)
        for end in (line.listener, *line.ends):
            end.close()
