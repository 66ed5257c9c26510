"""A client of SFTP that says whatever a test wants it to: version 3, by hand, over `ssh -s`."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sftp_support

READ, WRITE, APPEND, CREATE, TRUNCATE, NEW = 1, 2, 4, 8, 16, 32
OK = 0
HANDLE, STATUS = 102, 101
SIZE, PERMISSIONS, TIMES = 1, 4, 8


def text(value: bytes | str) -> bytes:
    content = value.encode() if isinstance(value, str) else value
    return struct.pack(">I", len(content)) + content


@dataclass
class Raw:
    """Every call gives back the server's status: OK or not."""

    process: subprocess.Popen[bytes]

    @classmethod
    @contextmanager
    def connected(cls, server: Any, user: str, key: Path) -> Iterator[Raw]:
        """A client that has greeted the server; ended with the block."""
        options = sftp_support._options(server, key)
        command = ["ssh", *options, f"{user}@127.0.0.1", "-s", "sftp"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            try:
                raw = cls(process)
                raw.send(bytes((1, 0, 0, 0, 3)))
                assert raw.receive()[0] == 2  # the server's version, and what it offers
                yield raw
            finally:
                process.kill()

    def send(self, body: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(struct.pack(">I", len(body)) + body)
        self.process.stdin.flush()

    def receive(self) -> bytes:
        assert self.process.stdout is not None
        (length,) = struct.unpack(">I", self.process.stdout.read(4))
        return self.process.stdout.read(length)

    def ask(self, kind: int, *parts: bytes) -> tuple[int, bytes]:
        """One request; kind and body of what comes back."""
        self.send(bytes([kind]) + struct.pack(">I", 7) + b"".join(parts))
        answer = self.receive()
        return answer[0], answer[5:]

    def status(self, kind: int, *parts: bytes) -> int:
        """OK, or what went wrong; an answer with content is OK."""
        found, body = self.ask(kind, *parts)
        return int.from_bytes(body[:4], "big") if found == STATUS else OK

    def open(self, name: bytes | str, flags: int, mode: int | None = None) -> bytes | None:
        """A handle, None where the server refuses."""
        attributes = struct.pack(">I", 0)
        if mode is not None:
            attributes = struct.pack(">II", PERMISSIONS, mode)
        kind, body = self.ask(3, text(name), struct.pack(">I", flags), attributes)
        return body[4:] if kind == HANDLE else None

    def write(self, handle: bytes, content: bytes, offset: int = 0) -> int:
        return self.status(6, text(handle), struct.pack(">Q", offset), text(content))

    def close(self, handle: bytes) -> int:
        return self.status(4, text(handle))

    def put(self, name: bytes | str, content: bytes = b"x", mode: int | None = None) -> int:
        """A whole file under its last name."""
        handle = self.open(name, WRITE | CREATE | TRUNCATE, mode)
        if handle is None:
            return -1
        return max(self.write(handle, content), self.close(handle))

    def get(self, name: bytes | str) -> int:
        handle = self.open(name, READ)
        return -1 if handle is None else self.close(handle)

    def listing(self, name: str) -> int:
        kind, body = self.ask(11, text(name))
        return self.close(body[4:]) if kind == HANDLE else int.from_bytes(body[:4], "big")

    def remove(self, name: bytes | str) -> int:
        return self.status(13, text(name))

    def make_folder(self, name: bytes | str) -> int:
        return self.status(14, text(name), struct.pack(">I", 0))

    def rename(self, old: bytes | str, new: bytes | str) -> int:
        return self.status(18, text(old), text(new))

    def chmod(self, name: str, mode: int) -> int:
        return self.status(9, text(name), struct.pack(">II", PERMISSIONS, mode))

    def truncate(self, name: str, size: int) -> int:
        return self.status(9, text(name), struct.pack(">IQ", SIZE, size))

    def set_times(self, name: str, seconds: int) -> int:
        return self.status(9, text(name), struct.pack(">III", TIMES, seconds, seconds))

    def read_link(self, name: str) -> int:
        return self.status(19, text(name))

    def symlink(self, target: str, name: str) -> int:
        return self.status(20, text(target), text(name))  # in OpenSSH's order

    def extended(self, request: str, *parts: bytes) -> int:
        return self.status(200, text(request), *parts)
