"""The folder where approvals are signed: laid out again, read with care, tidied."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path

import pytest

from koukan.exchange import ApprovalFolder
from koukan.keys.sshsig import LARGEST

TEXT = '{"nonce":"x"}'


@pytest.fixture
def folder(tmp_path: Path) -> ApprovalFolder:
    return ApprovalFolder.below(tmp_path)


def names(folder: ApprovalFolder) -> list[str]:
    return sorted(path.name for path in folder.folder.iterdir())


def test_a_text_is_laid_out_once_and_again_when_it_is_not_there_as_it_should(
    folder: ApprovalFolder,
) -> None:
    folder.publish(1, TEXT)
    path = folder.text(1)
    assert (path.name, path.read_bytes()) == ("a0000000001.json", TEXT.encode())
    assert folder.folder.stat().st_mode & 0o777 == 0o700
    assert path.stat().st_mode & 0o777 == 0o600
    inode = path.stat().st_ino
    folder.publish(1, TEXT)
    assert path.stat().st_ino == inode

    def link() -> None:
        path.unlink()
        (folder.folder.parent / "elsewhere").write_text(TEXT)
        path.symlink_to(folder.folder.parent / "elsewhere")

    for spoil in (
        path.unlink,
        lambda: path.write_text(TEXT + "\n"),
        lambda: path.write_text(""),
        link,
    ):
        spoil()
        folder.publish(1, TEXT)
        assert path.read_bytes() == TEXT.encode()
        assert not path.is_symlink()
    assert names(folder) == ["a0000000001.json"]


def test_signatures_are_read_by_name_and_what_is_no_file_as_nothing(
    folder: ApprovalFolder,
) -> None:
    assert folder.signatures(1) == []
    folder.publish(1, TEXT)
    assert folder.put(1, "sato", b"first") == "a0000000001.sato.sig"
    folder.put(1, "sato", b"second")
    folder.put(2, "sato", b"of another approval")
    here = folder.folder
    (here / "a0000000001.json.sig").write_bytes(b"of ssh-keygen")
    (here / "a0000000001.sig").write_bytes(b"no name")
    (here / "a0000000001.part").write_bytes(b"still grows")
    (here / "a0000000001.folder.sig").mkdir()
    (here / "a0000000001.link.sig").symlink_to(here / "a0000000001.sato.sig")
    (here / "a0000000001.long.sig").write_bytes(b"x" * (LARGEST + 100))
    os.mkfifo(here / "a0000000001.pipe.sig")
    found = dict(folder.signatures(1))
    assert list(found) == sorted(found)
    assert len(found.pop("a0000000001.long.sig")) == LARGEST + 1
    assert found == {
        "a0000000001.sato.sig": b"second",
        "a0000000001.json.sig": b"of ssh-keygen",
        "a0000000001.folder.sig": b"",
        "a0000000001.link.sig": b"",
        "a0000000001.pipe.sig": b"",
    }


def test_a_signature_that_vanishes_while_it_is_read_is_none(
    folder: ApprovalFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.put(1, "sato", b"x")
    folder.put(1, "suzuki", b"y")
    glob = Path.glob

    def late(path: Path, pattern: str) -> list[Path]:
        found = sorted(glob(path, pattern))
        found[0].unlink()
        return found

    monkeypatch.setattr(Path, "glob", late)
    assert folder.signatures(1) == [("a0000000001.suzuki.sig", b"y")]


def test_a_signature_that_cannot_be_opened_is_nothing(
    folder: ApprovalFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.put(1, "sato", b"x")
    monkeypatch.chdir(folder.folder)  # a socket's path must be short
    with socket.socket(socket.AF_UNIX) as own:
        own.bind("a0000000001.mori.sig")
        assert folder.signatures(1) == [
            ("a0000000001.mori.sig", b""),
            ("a0000000001.sato.sig", b"x"),
        ]


def test_tidying_removes_what_is_over_and_unfinished_and_nothing_else(
    folder: ApprovalFolder,
) -> None:
    for number in (1, 2, 3):
        folder.publish(number, TEXT)
        folder.put(number, "sato", b"x")
    here = folder.folder
    (here / ".tmp-0123456789ab").write_bytes(b"of a run that was killed")
    (here / "a0000000001.x y\n.sig").write_bytes(b"")
    (here / "a0000000001.folder").mkdir()
    (here / "note.txt").write_bytes(b"somebody's")
    (here / "a1.json").write_bytes(b"somebody's")
    removed = folder.tidy({2}, 2)
    assert removed == [
        ".tmp-0123456789ab",
        "a0000000001.json",
        "a0000000001.sato.sig",
        "a0000000001.x y\n.sig",
    ]
    left = ["a0000000001.folder", "a0000000002.json", "a0000000002.sato.sig"]
    left += ["a0000000003.json", "a0000000003.sato.sig", "a1.json", "note.txt"]
    assert names(folder) == left
    assert folder.tidy({2}, 2) == []
    assert names(folder) == left


def test_tidying_never_takes_a_file_that_somebody_is_writing(folder: ApprovalFolder) -> None:
    """Who writes holds the folder's lock, so an unfinished file in it is a dead one."""
    folder.publish(1, TEXT)
    stop = threading.Event()

    def tidy() -> None:
        while not stop.is_set():
            folder.tidy({1}, 1)

    other = threading.Thread(target=tidy)
    other.start()
    try:
        for number in range(100):
            folder.put(1, f"p{number}", b"x")
    finally:
        stop.set()
        other.join()
    assert len(folder.signatures(1)) == 100
