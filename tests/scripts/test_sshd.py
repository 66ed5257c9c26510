"""The sshd of tests and demonstration: confined, and nothing of it outlives its block."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
import sftp_support

UID = 3001


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    folder = tmp_path / "inbox"
    folder.mkdir()
    return folder


def test_an_account_reaches_its_own_folders_only(tmp_path: Path, inbox: Path) -> None:
    sshd = sftp_support.sshd()
    os.chown(inbox, UID, UID)
    key, public = sftp_support.key_pair(tmp_path)
    account = sshd.Account("kenpo-a", UID, UID, [public], {"inbox/terminal": inbox})
    sent = tmp_path / "file"
    sent.write_bytes(b"content")
    with sshd.running(tmp_path / "sshd", [account]) as server:
        commands = (
            f"put {sent} inbox/terminal/a.part\nrename inbox/terminal/a.part inbox/terminal/a\n"
        )
        assert sftp_support.sftp(server, "kenpo-a", key, commands).returncode == 0
        assert sftp_support.sftp(server, "kenpo-a", key, f"get {inbox}/a").returncode != 0
        assert sftp_support.sftp(server, "kenpo-a", key, f"put {sent} a").returncode != 0
        stranger, _ = sftp_support.key_pair(tmp_path, "stranger")
        assert sftp_support.sftp(server, "kenpo-a", stranger, "ls").returncode != 0
    assert (inbox / "a").read_bytes() == b"content"
    assert (inbox / "a").stat().st_uid == UID


def test_nothing_outlives_the_block(tmp_path: Path, inbox: Path) -> None:
    sshd = sftp_support.sshd()
    before = [Path(f"/etc/{name}").read_bytes() for name in ("passwd", "group", "shadow")]
    mounts = Path("/proc/mounts").read_text()
    key, public = sftp_support.key_pair(tmp_path)
    account = sshd.Account("kenpo-a", UID, UID, [public], {"inbox": inbox})
    with (
        sshd.running(tmp_path / "sshd", [account]) as server,
        sftp_support.session(server, "kenpo-a", key) as waiting,
    ):
        assert Path("/proc/mounts").read_text() == mounts
        sshd.stop(server.process)
        assert waiting.wait(timeout=20) != 0
    with socket.socket() as there:
        assert there.connect_ex(("127.0.0.1", server.port)) != 0
    assert [Path(f"/etc/{name}").read_bytes() for name in ("passwd", "group", "shadow")] == before


def test_what_sshd_does_not_understand_is_told(tmp_path: Path, inbox: Path) -> None:
    sshd = sftp_support.sshd()
    account = sshd.Account("kenpo-a", UID, UID, [], {"inbox": inbox})
    running = sshd.running(tmp_path / "sshd", [account], config="Nonsense yes\n")
    with pytest.raises(OSError, match="Nonsense"), running:
        pass
