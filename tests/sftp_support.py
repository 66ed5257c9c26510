"""What tests share that talk to a real sshd: whether there can be one, keys, OpenSSH's client."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

COUNTERPARTS = Path(__file__).resolve().parents[1] / "scripts" / "counterparts"


def sshd() -> Any:
    """The module that starts it; the test is skipped, and says why, where none can be started."""
    if str(COUNTERPARTS) not in sys.path:
        sys.path.append(str(COUNTERPARTS))
    import sshd as module

    if reason := module.missing():
        pytest.skip(reason)
    return module


def key_pair(folder: Path, name: str = "key", kind: str = "ed25519") -> tuple[Path, str]:
    """A new private key and the line of its .pub file."""
    path = folder / name
    command = ["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", name, "-f", str(path)]
    subprocess.run(command, check=True, capture_output=True)
    return path, path.with_suffix(".pub").read_text().strip()


def _options(server: Any, key: Path) -> list[str]:
    known = key.parent / f"known_hosts-{server.port}"
    known.write_text(f"[127.0.0.1]:{server.port} {server.host_key}\n")
    settings = ("BatchMode=yes", "IdentitiesOnly=yes", f"UserKnownHostsFile={known}")
    found = ["-q", "-F", "/dev/null", "-i", str(key)]
    for setting in (*settings, f"Port={server.port}"):
        found += ["-o", setting]
    return found


def sftp(
    server: Any, user: str, key: Path, commands: str, *, options: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    """One batch of OpenSSH's sftp, which ends at the first command that fails."""
    return subprocess.run(
        ["sftp", *options, "-b", "-", *_options(server, key), f"{user}@127.0.0.1"],
        check=False,
        input=commands,
        text=True,
        capture_output=True,
        timeout=60,
    )


@contextmanager
def session(server: Any, user: str, key: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A client that has greeted the SFTP server and says no more; ended with the block."""
    command = ["ssh", *_options(server, key), f"{user}@127.0.0.1", "-s", "sftp"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as client:
        assert client.stdin is not None
        assert client.stdout is not None
        try:
            client.stdin.write(bytes((0, 0, 0, 5, 1, 0, 0, 0, 3)))  # SSH_FXP_INIT, version 3
            client.stdin.flush()
            assert client.stdout.read(5)[4] == 2  # SSH_FXP_VERSION
            yield client
        finally:
            client.kill()
