from __future__ import annotations

import contextlib
import os
import pickle
import threading
from pathlib import Path

import pyrage
import pytest

from koukan.errors import SealBroken, SecretError
from koukan.keys.identity import create_identity, load_identity


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    root.mkdir()
    return root


def refused(path: Path, root: Path) -> str:
    with pytest.raises(SecretError) as caught:
        load_identity(path, outside=root)
    assert str(root) not in str(caught.value)
    return caught.value.key


def test_a_new_identity_opens_what_is_sealed_to_its_recipient(tmp_path: Path, root: Path) -> None:
    recipient = create_identity(tmp_path / "a.key")
    identity = load_identity(tmp_path / "a.key", outside=root)
    sealed = pyrage.encrypt(b"content", [pyrage.x25519.Recipient.from_str(recipient)])
    assert identity.recipient == recipient
    assert identity.unwrap(sealed, "x") == b"content"


def test_an_identity_file_is_readable_by_its_owner_only_and_leaves_no_other_file(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "own"
    folder.mkdir()
    create_identity(folder / "a.key")
    assert [(path.name, path.stat().st_mode & 0o777) for path in folder.iterdir()] == [
        ("a.key", 0o400)
    ]


def test_an_identity_is_never_overwritten(tmp_path: Path) -> None:
    create_identity(tmp_path / "a.key")
    before = (tmp_path / "a.key").read_bytes()
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for name in ("a.key", "dangling"):
        with pytest.raises(SecretError) as caught:
            create_identity(tmp_path / name)
        assert caught.value.key == "keys.identity_exists"
    assert (tmp_path / "a.key").read_bytes() == before
    assert not (tmp_path / "nowhere").exists()


def test_of_many_creations_at_once_exactly_one_succeeds(tmp_path: Path, root: Path) -> None:
    for number in range(20):
        path = tmp_path / f"{number}.key"
        together = threading.Barrier(4)
        made: list[str] = []

        def work(path: Path, together: threading.Barrier, made: list[str]) -> None:
            together.wait()
            with contextlib.suppress(SecretError):
                made.append(create_identity(path))

        threads = [threading.Thread(target=work, args=(path, together, made)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert made == [load_identity(path, outside=root).recipient]


def test_what_is_sealed_to_another_is_told_from_what_was_altered(
    tmp_path: Path, root: Path
) -> None:
    other = pyrage.x25519.Recipient.from_str(create_identity(tmp_path / "other"))
    own = pyrage.x25519.Recipient.from_str(create_identity(tmp_path / "own"))
    identity = load_identity(tmp_path / "own", outside=root)
    assert identity.unwrap(pyrage.encrypt(b"content", [other]), "x") is None
    sealed = pyrage.encrypt(b"content", [own])
    for broken in (sealed[:-1], sealed[:-1] + bytes([sealed[-1] ^ 1]), b"", b"junk" * 99):
        with pytest.raises(SealBroken, match="wrapped_broken"):
            identity.unwrap(broken, "file.age")


@pytest.mark.parametrize("mode", [0o440, 0o404, 0o620, 0o601, 0o644])
def test_a_key_file_open_to_others_is_refused(tmp_path: Path, root: Path, mode: int) -> None:
    create_identity(tmp_path / "a.key")
    (tmp_path / "a.key").chmod(mode)
    assert refused(tmp_path / "a.key", root) == "keys.identity_open"


def test_a_key_file_inside_the_root_is_refused_by_name_and_by_what_it_leads_to(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "deep").mkdir()
    create_identity(root / "deep" / "a.key")
    create_identity(tmp_path / "out.key")
    (tmp_path / "link").symlink_to(root / "deep" / "a.key")
    (root / "link").symlink_to(tmp_path / "out.key")
    (tmp_path / "alias").symlink_to(root)
    for path in (root / "deep" / "a.key", tmp_path / "link", tmp_path / "alias" / "deep" / "a.key"):
        assert refused(path, root) == "keys.identity_inside"
    assert refused(root / "link", root) == "keys.identity_inside"
    assert refused(root / "deep" / "a.key", tmp_path / "alias") == "keys.identity_inside"
    monkeypatch.chdir(root / "deep")
    assert refused(Path("a.key"), root) == "keys.identity_inside"


def test_a_link_outside_the_root_to_a_key_outside_is_fine(tmp_path: Path, root: Path) -> None:
    recipient = create_identity(tmp_path / "out.key")
    (tmp_path / "link").symlink_to(tmp_path / "out.key")
    assert load_identity(tmp_path / "link", outside=root).recipient == recipient


def test_what_is_no_identity_is_refused_without_its_text(tmp_path: Path, root: Path) -> None:
    create_identity(tmp_path / "good")
    good = (tmp_path / "good").read_text()
    contents = ["", "# only a comment\n", good + good, "AGE-SECRET-KEY-1QQ\n", "x" * 9999, "鍵\n"]
    for number, content in enumerate([*contents, good + "\n" * 5000]):
        path = tmp_path / f"bad{number}"
        path.write_text(content, encoding="utf-8")
        path.chmod(0o400)
        with pytest.raises(SecretError) as caught:
            load_identity(path, outside=root)
        assert caught.value.key == "keys.identity_unreadable"
        assert "AGE-SECRET" not in repr(caught.value)
        assert caught.value.__cause__ is None


def test_what_is_missing_or_no_file_is_refused(tmp_path: Path, root: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o400)
    (tmp_path / "folder").mkdir(mode=0o700)
    assert refused(tmp_path / "none", root) == "keys.identity_missing"
    assert refused(tmp_path / "pipe", root) == "keys.identity_unreadable"
    assert refused(tmp_path / "folder", root) == "keys.identity_unreadable"


def test_an_identity_shows_and_pickles_no_private_part(tmp_path: Path, root: Path) -> None:
    recipient = create_identity(tmp_path / "a.key")
    identity = load_identity(tmp_path / "a.key", outside=root)
    assert repr(identity) == f"<Identity {recipient}>"
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(identity)
