"""Names made together are durable at the end of their block, each folder synced once."""

from __future__ import annotations

import os
import stat
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


def test_contents_are_durable_at_once_and_a_folder_once_for_all_its_names(
    tmp_path: Path, synced: list[str]
) -> None:
    with durable.together():
        for number in range(3):
            durable.write(tmp_path / f"{number}", b"content")
        with durable.together():  # a block within another is a part of it
            durable.unlink(tmp_path / "0")
        assert synced == ["file"] * 3
    assert synced == ["file"] * 3 + ["folder"]
    durable.write(tmp_path / "4", b"content")
    assert synced[4:] == ["file", "folder"]


def test_what_a_block_made_before_it_failed_is_durable_too(
    tmp_path: Path, synced: list[str]
) -> None:
    def failing() -> None:
        with durable.together():
            durable.write(tmp_path / "made", b"content")
            raise KeyError

    with pytest.raises(KeyError):
        failing()
    assert synced == ["file", "folder"]


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
