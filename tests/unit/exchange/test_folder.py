"""What is taken out of an inbox and what is left in it; where a name may come from anybody."""

from __future__ import annotations

import hashlib
import os
import socket
from collections import Counter
from pathlib import Path

import pytest

from koukan.errors import TransientError
from koukan.exchange import Inbox, Outbox
from koukan.exchange.folder import BLOCK, fit, hashed, within


def reasons(inbox: Inbox) -> Counter[str]:
    return Counter(reason for reason, _ in inbox.look().aside)


@pytest.mark.parametrize(
    ("name", "taken"),
    [
        ("MR_kenpo-a_000001.csv", True),
        ("copy of MR.csv", True),  # taken and refused: its sender hears of it
        ("加入者.csv", True),
        ("加入者" * 12 + ".csv", False),
        ("x" * 101, False),
        ("-rf", False),
        (".hidden", False),
        ("a\nb.csv", False),
        ("a\x1b[2Jb.csv", False),
        ("a\u202egpj.csv", False),
        ("a\udcffb.csv", False),
        ("a\u200bb.csv", False),
    ],
)
def test_names_that_are_taken_are_short_and_printable(name: str, taken: bool) -> None:
    assert fit(name) is taken


def test_only_plain_files_with_one_name_are_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inbox = Inbox(tmp_path / "inbox")
    assert inbox.look().arrivals == []
    inbox.folder.mkdir()
    (inbox.folder / "a.csv").write_bytes(b"a")
    (inbox.folder / "folder.csv").mkdir()
    os.mkfifo(inbox.folder / "pipe.csv")
    (inbox.folder / "link.csv").symlink_to(inbox.folder / "a.csv")
    (inbox.folder / "hard.csv").write_bytes(b"x")
    (inbox.folder / "harder.csv").hardlink_to(inbox.folder / "hard.csv")
    (inbox.folder / "grows.csv.part").write_bytes(b"x")
    (inbox.folder / ".tmp").write_bytes(b"x")
    (inbox.folder / "a\nb.csv").write_bytes(b"x")
    (inbox.folder / "none.csv.done").write_bytes(b"x")
    monkeypatch.chdir(inbox.folder)
    with socket.socket(socket.AF_UNIX) as own:
        own.bind("socket.csv")
        seen = inbox.look()
    assert [arrival.name for arrival in seen.arrivals] == ["a.csv"]
    assert seen.orphans == ["none.csv"]
    assert reasons(inbox) == {"special": 4, "linked": 2, "partial": 2, "unnamed": 1, "orphaned": 1}


def test_a_file_has_to_be_its_owners(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"a")
    [arrival] = Inbox(tmp_path, os.getuid()).look().arrivals
    other = Inbox(tmp_path, os.getuid() + 1)
    assert reasons(other) == {"foreign": 1}
    with pytest.raises(TransientError):
        list(other.read(arrival))


def test_a_file_that_gets_another_name_or_time_while_it_is_read_is_left(tmp_path: Path) -> None:
    path, inbox = tmp_path / "a.csv", Inbox(tmp_path)
    path.write_bytes(b"first")
    [arrival] = inbox.look().arrivals
    before = path.stat()
    path.write_bytes(b"other")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))  # as if nothing had happened
    with pytest.raises(TransientError):
        list(inbox.read(arrival))
    [arrival] = inbox.look().arrivals
    (tmp_path / "b.csv").hardlink_to(path)
    with pytest.raises(TransientError):
        inbox.remove(arrival)
    assert path.exists()


def test_what_we_may_not_read_is_told_from_its_mode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, mode in (("a.csv", 0o600), ("b.csv", 0o040), ("c.csv", 0o004), ("d.csv", 0)):
        (tmp_path / name).write_bytes(b"x")
        (tmp_path / name).chmod(mode)

    def taken(user: int, groups: list[int]) -> list[str]:
        monkeypatch.setattr(os, "geteuid", lambda: user)
        monkeypatch.setattr(os, "getegid", lambda: 65000)
        monkeypatch.setattr(os, "getgroups", lambda: groups)
        return [arrival.name[0] for arrival in Inbox(tmp_path).look().arrivals]

    owner, group = (tmp_path / "a.csv").stat().st_uid, (tmp_path / "a.csv").stat().st_gid
    assert taken(owner + 1, [group]) == ["b"]
    assert taken(owner + 1, []) == ["c"]
    assert taken(0, []) == ["a", "b", "c", "d"]
    assert reasons(Inbox(tmp_path)) == {}


def test_a_marker_is_a_line_or_an_object(tmp_path: Path) -> None:
    inbox, digest = Inbox(tmp_path), "ab" * 32
    (tmp_path / "a.csv").write_bytes(b"x")
    marker = tmp_path / "a.csv.done"
    for text, records in (
        (f"{digest} 7", None),
        (f"{digest.upper()} 7 3\r\n", 3),
        (f'{{"sha256": "{digest}", "size": 7, "records": 3, "more": 1}}', 3),
    ):
        marker.write_text(text)
        [arrival] = inbox.look().arrivals
        said = inbox.marker(arrival)
        assert said is not None
        assert (arrival.marked, said.sha256, said.size, said.records) == (True, digest, 7, records)
    for wrong in (
        "",
        digest,
        f"{digest} -7",
        f"{digest} 7 3 1",
        "[" * 500,
        "[1]",
        '{"size": 7}',
        f'{{"sha256": "{digest}", "size": true}}',
        f'{{"sha256": "{digest}", "size": 7, "records": "3"}}',
        f'{{"sha256": "{digest}", "size": 7}}{" " * 600}',
    ):
        marker.write_text(wrong)
        assert inbox.marker(arrival) is None
    marker.unlink()
    assert inbox.marker(arrival) is None
    marker.symlink_to(tmp_path / "a.csv")
    assert inbox.marker(arrival) is None


def test_bounds_let_one_file_through_at_least() -> None:
    assert within([], 5, 10) == 0
    assert within([99], 5, 10) == 1
    assert within([4, 4, 4], 5, 10) == 2
    assert within([4, 4, 4], 1, 10) == 1


def test_what_is_laid_out_may_be_read_by_the_outboxs_group(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox")
    outbox.put("a", b"x", "x")
    digest = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
    outbox.stream("b", [b"x"], digest)
    assert {path.stat().st_mode & 0o777 for path in outbox.folder.iterdir()} == {0o640}
    assert outbox.folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("sizes", [[], [5], [BLOCK], [BLOCK, BLOCK, 7], [BLOCK, 7, 7, BLOCK]])
def test_blocks_are_hashed_in_their_order_while_they_pass(sizes: list[int]) -> None:
    blocks = [os.urandom(size) for size in sizes]
    digest = hashlib.sha256()
    assert list(hashed(blocks, digest)) == blocks
    assert digest.digest() == hashlib.sha256(b"".join(blocks)).digest()
