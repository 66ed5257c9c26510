"""Files made together are durable and have their names at the end of their block."""

from __future__ import annotations

import ctypes
import errno
import os
import secrets
import stat
import tempfile
from pathlib import Path

import pytest

from koukan import durable


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was made durable so far, in order: "folder" or "file"."""
    found: list[str] = []
    fsync = os.fsync

    def noting(handle: int) -> None:
        found.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file")
        fsync(handle)

    monkeypatch.setattr(os, "fsync", noting)
    return found


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if not path.name.startswith(durable.TEMPORARY)}


def test_what_a_block_writes_is_durable_and_named_at_its_end_and_each_folder_synced_once(
    tmp_path: Path, synced: list[str]
) -> None:
    (tmp_path / "there").write_bytes(b"lay here")
    with durable.together():
        for number in range(3):
            durable.write(tmp_path / f"{number}", b"content")
        with durable.together():  # a block within another is a part of it
            durable.sync_file(tmp_path / "there")
        assert (names(tmp_path), synced) == ({"there"}, [])
    assert names(tmp_path) == {"0", "1", "2", "there"}
    assert synced == ["file"] * 4 + ["folder"]
    durable.write(tmp_path / "4", b"content")
    assert synced[5:] == ["file", "folder"]
    assert len(list(tmp_path.iterdir())) == 5  # and nothing under a temporary name


def test_no_name_is_given_before_all_contents_are_durable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[set[str]] = []
    fsync = os.fsync

    def noting(handle: int) -> None:
        if not stat.S_ISDIR(os.fstat(handle).st_mode):
            seen.append(names(tmp_path))
        fsync(handle)

    monkeypatch.setattr(os, "fsync", noting)
    with durable.together():
        for number in range(2):
            durable.write(tmp_path / f"{number}", b"content")
    assert seen == [set(), set()]


def test_of_a_block_that_fails_nothing_is_left_but_what_it_removed_is_gone(
    tmp_path: Path, synced: list[str]
) -> None:
    (tmp_path / "removed").write_bytes(b"lay here")

    def failing() -> None:
        with durable.together():
            durable.write(tmp_path / "made", b"content")
            durable.unlink(tmp_path / "removed")
            raise KeyError

    with pytest.raises(KeyError):
        failing()
    assert list(tmp_path.iterdir()) == []
    assert synced == ["folder"]


def test_of_two_files_for_one_name_the_first_or_the_replacing_one_gets_it(tmp_path: Path) -> None:
    with durable.together():
        for content in (b"first", b"second"):
            durable.write(tmp_path / "kept", content)
            durable.write(tmp_path / "replaced", content, replace=True)
    found = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert found == {"kept": b"first", "replaced": b"second"}


@pytest.mark.parametrize("many", [True, False])
def test_what_is_removed_in_the_block_that_wrote_it_is_never_there(
    tmp_path: Path, many: bool
) -> None:
    path = tmp_path / "a"
    with durable.together():
        durable.write(path, b"content")
        if many:
            durable.remove([path])
        else:
            assert durable.unlink(path)
        assert not durable.unlink(path)
    assert list(tmp_path.iterdir()) == []


def test_within_a_block_what_others_rely_on_is_there_at_once(
    tmp_path: Path, synced: list[str]
) -> None:
    with durable.together():
        durable.write(tmp_path / "later", b"content")
        with durable.at_once():
            durable.write(tmp_path / "now", b"content")
        assert (names(tmp_path), synced) == ({"now"}, ["file", "folder"])
    assert names(tmp_path) == {"later", "now"}


def test_what_a_killed_copy_has_left_on_a_medium_is_written_over(tmp_path: Path) -> None:
    """A link to elsewhere is not followed."""
    final, growing = tmp_path / "list.csv", tmp_path / "list.csv.part"
    growing.write_bytes(b"the beginning of a longer list")
    durable.write_outside(final, b"list")
    assert [path.name for path in tmp_path.iterdir()] == ["list.csv"]
    assert final.read_bytes() == b"list"
    growing.symlink_to(final)
    with pytest.raises(OSError, match=growing.name):
        durable.write_outside(final, b"another")
    assert final.read_bytes() == b"list"


def test_what_was_read_of_a_large_file_is_forgotten_stretch_by_stretch(tmp_path: Path) -> None:
    path, block = tmp_path / "large", bytes(durable.STRETCH // 2 + 1)
    path.write_bytes(block * 5)
    durable.sync_file(path)  # what is not on the disk yet cannot be forgotten
    read = told = 0
    ends = []
    with path.open("rb", buffering=0) as file:
        while content := file.read(len(block)):
            read += len(content)
            told = durable.forget_behind(file.fileno(), told, read)
            ends.append(told)
    assert ends == [0, 2 * len(block), 2 * len(block), 4 * len(block), 4 * len(block)]
    assert path.read_bytes() == block * 5  # forgotten by the memory alone


def test_a_file_that_grows_is_written_behind_and_durable_by_its_sync_alone(
    tmp_path: Path, synced: list[str]
) -> None:
    block, told, length = bytes(durable.STRETCH // 2 + 1), 0, 0
    ends = []
    with (tmp_path / "large").open("wb", buffering=0) as file:
        for _ in range(5):
            length += file.write(block)
            told = durable.write_behind(file.fileno(), told, length)
            ends.append(told)
    assert ends == [0, 2 * len(block), 2 * len(block), 4 * len(block), 4 * len(block)]
    assert synced == []


def is_kept(path: Path, place: int) -> bool | None:
    """Whether the system has a byte of a file in memory; None where it does not say."""
    with path.open("rb", buffering=0) as file:
        try:
            return os.preadv(file.fileno(), [bytearray(1)], place, os.RWF_NOWAIT) == 1
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno != errno.EOPNOTSUPP:  # a file system that is memory itself
                raise
            return None


def test_of_a_file_that_nobody_reads_soon_its_last_stretch_is_kept() -> None:
    block = secrets.token_bytes(durable.STRETCH)
    told = length = 0
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:  # a disk, nearly always
        path = Path(folder) / "large"
        with path.open("wb", buffering=0) as file:
            for _ in range(4):
                length += file.write(block)
                told = durable.write_and_forget(file.fileno(), told, length)
                assert told == length
        kept = [is_kept(path, place) for place in range(0, length, len(block))]
        assert kept in ([False, False, False, True], [None] * 4)
        assert path.read_bytes() == block * 4


def test_what_could_not_be_written_is_told_by_who_waited_for_it() -> None:
    """The sync at the end would not hear of it: an error is told once."""
    reader, writer = os.pipe()  # nothing of it can be waited for
    try:
        assert durable.write_and_forget(writer, 0, durable.STRETCH) == durable.STRETCH
        with pytest.raises(OSError, match=os.strerror(errno.ESPIPE)):
            durable.write_and_forget(writer, 1, 1 + durable.STRETCH)
    finally:
        os.close(reader)
        os.close(writer)


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EPERM])
def test_a_system_that_cannot_be_told_to_write_waits_at_the_end(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def call(*_: int) -> int:  # as the C library's, in a sandbox that lets nobody use it
        ctypes.set_errno(number)
        return -1

    monkeypatch.setattr(durable, "_sync_file_range", lambda: call)
    block, told, length = bytes(durable.STRETCH), 0, 0
    with (tmp_path / "large").open("wb", buffering=0) as file:
        for _ in range(3):
            length += file.write(block)
            told = durable.write_and_forget(file.fileno(), told, length)
    assert (tmp_path / "large").read_bytes() == block * 3
