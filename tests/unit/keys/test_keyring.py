from __future__ import annotations

import copy
import fcntl
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from koukan.errors import SealBroken, SecretError
from koukan.keys.identity import Identity, create_identity, load_identity
from koukan.keys.keyring import PURPOSES, SCOPES, Keyring, derive

Make = Callable[[str], Identity]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def identity(name: str) -> Identity:
        create_identity(tmp_path / name)
        return load_identity(tmp_path / name, outside=tmp_path / "root")

    return identity


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "root" / "keyring"


@pytest.fixture
def keyring(folder: Path, make: Make) -> Keyring:
    batch = make("batch")
    Keyring.create(folder, {"batch": (batch.recipient, PURPOSES)})
    return Keyring.open(folder, batch)


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_right_is_a_key_that_one_holds(folder: Path, make: Make) -> None:
    clerk, batch, stranger = make("clerk"), make("batch"), make("stranger")
    rights = {
        "clerk": (clerk.recipient, ["history"]),
        "batch": (batch.recipient, ["history", "number"]),
    }
    Keyring.create(folder, rights)
    of_clerk, of_batch, of_stranger = (Keyring.open(folder, i) for i in (clerk, batch, stranger))
    assert of_clerk.purpose_key("history") == of_batch.purpose_key("history")
    assert of_batch.purpose_key("number") != of_batch.purpose_key("history")
    assert len(of_batch.purpose_key("number")) == 32
    assert [of_clerk.holds("number"), of_batch.holds("number"), of_batch.holds("stage")] == [
        False,
        True,
        False,
    ]
    assert not any(of_stranger.holds(purpose) for purpose in PURPOSES)
    with pytest.raises(SecretError) as caught:
        of_clerk.purpose_key("number")
    assert (caught.value.key, caught.value.where) == ("keys.right_missing", {"key": "number"})


def test_creating_again_changes_nothing(folder: Path, make: Make) -> None:
    batch = make("batch")
    rights = {"batch": (batch.recipient, ["history", "number"])}
    Keyring.create(folder, rights)
    before = files(folder)
    Keyring.create(folder, rights)
    assert files(folder) == before
    Keyring.create(folder, {"batch": (batch.recipient, ["history", "stage"])})
    assert files(folder).keys() - before.keys() == {"purposes/stage/1.batch.age"}


def test_an_actor_without_a_copy_of_a_standing_key_is_told_of_and_can_be_granted_one(
    folder: Path, make: Make
) -> None:
    batch, clerk = make("batch"), make("clerk")
    Keyring.create(folder, {"batch": (batch.recipient, ["history"])})
    before = files(folder)
    with pytest.raises(SecretError) as caught:
        Keyring.create(folder, {"clerk": (clerk.recipient, ["history", "stage"])})
    assert caught.value.key == "keys.copy_missing"
    assert caught.value.where == {"actor": "clerk", "key": "history"}
    assert files(folder) == before
    holder = Keyring.open(folder, batch)
    holder.grant("history", "clerk", clerk.recipient)
    assert Keyring.open(folder, clerk).purpose_key("history") == holder.purpose_key("history")
    with pytest.raises(SecretError):
        Keyring.open(folder, clerk).grant("number", "clerk", clerk.recipient)


def test_of_many_creations_at_once_one_key_stays(folder: Path, make: Make) -> None:
    batch = make("batch")
    program = (
        "import sys; from pathlib import Path; from koukan.keys.keyring import Keyring\n"
        "Keyring.create(Path(sys.argv[1]), {'batch': (sys.argv[2], ['stage', 'issue'])})"
    )
    command = [sys.executable, "-c", program, str(folder), batch.recipient]
    runs = [subprocess.Popen(command) for _ in range(4)]
    assert [run.wait() for run in runs] == [0] * 4
    assert files(folder).keys() == {"purposes/stage/1.batch.age", "purposes/issue/1.batch.age"}
    assert Keyring.open(folder, batch).holds("stage")
    assert [path for path in folder.rglob(".tmp-*") if path.is_dir()] == []


@pytest.mark.parametrize("actor", ["", "a/b", "..", ".a", "a\n", "担当", "a" * 201])
def test_actors_with_other_names_are_refused(folder: Path, make: Make, actor: str) -> None:
    with pytest.raises(SecretError, match="name_refused"):
        Keyring.create(folder, {actor: (make("a").recipient, ["stage"])})
    assert not folder.exists()


def test_unknown_purposes_scopes_and_recipients_are_refused(
    folder: Path, keyring: Keyring, make: Make
) -> None:
    recipient = make("a").recipient
    with pytest.raises(SecretError, match="purpose_unknown"):
        Keyring.create(folder, {"a": (recipient, ["../stage"])})
    with pytest.raises(SecretError, match="recipient_wrong"):
        Keyring.create(folder, {"a": (recipient[:-1], ["stage"])})
    with pytest.raises(SecretError, match="purpose_unknown"):
        keyring.holds("everything")
    with pytest.raises(SecretError, match="scope_unknown"):
        keyring.random_key("everything", "a")


def test_a_folder_without_keyring_is_refused(folder: Path, make: Make) -> None:
    with pytest.raises(SecretError, match="keyring_missing"):
        Keyring.open(folder, make("a"))


def test_purposes_swapped_on_disk_do_not_open(folder: Path, make: Make) -> None:
    batch = make("batch")
    Keyring.create(folder, {"batch": (batch.recipient, ["issue", "stage"])})
    issue, stage = (folder / "purposes" / name / "1.batch.age" for name in ("issue", "stage"))
    issue.write_bytes(stage.read_bytes())
    with pytest.raises(SealBroken, match="wrapped_broken"):
        Keyring.open(folder, batch).purpose_key("issue")


def test_an_altered_copy_is_no_missing_right_unless_another_copy_opens(
    folder: Path, make: Make
) -> None:
    batch, clerk = make("batch"), make("clerk")
    rights = {"batch": (batch.recipient, ["stage"]), "clerk": (clerk.recipient, ["stage"])}
    Keyring.create(folder, rights)
    path = folder / "purposes" / "stage" / "1.batch.age"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(SealBroken, match="wrapped_broken"):
        Keyring.open(folder, batch).holds("stage")
    path.write_bytes(b"")
    assert Keyring.open(folder, clerk).holds("stage")


@pytest.mark.parametrize("scope", sorted(SCOPES))
def test_random_keys_are_made_once_and_read_by_every_holder(
    folder: Path, keyring: Keyring, make: Make, scope: str
) -> None:
    key = keyring.random_key(scope, "r-1")
    other = make("other")
    keyring.grant(SCOPES[scope], "other", other.recipient)
    again = Keyring.open(folder, other)
    assert len(key) == 32
    assert key == keyring.random_key(scope, "r-1") == again.existing_key(scope, "r-1")
    assert key != keyring.random_key(scope, "r-2")
    assert (folder / "random" / scope / "r-1.key").stat().st_mode & 0o777 == 0o600
    assert (folder / "random" / scope).stat().st_mode & 0o777 == 0o700
    assert key not in b"".join(files(folder).values())


def test_random_keys_need_the_right_of_their_scope(folder: Path, make: Make) -> None:
    clerk = make("clerk")
    Keyring.create(folder, {"clerk": (clerk.recipient, ["stage"])})
    with pytest.raises(SecretError) as caught:
        Keyring.open(folder, clerk).random_key("vault", "bucket=01")
    assert caught.value.where == {"key": "number"}
    assert not (folder / "random").exists()


@pytest.mark.parametrize("name", ["", "a/b", "..", ".tmp-1", "a\n", "名", "a b", "\0"])
def test_random_keys_with_other_names_are_refused(keyring: Keyring, name: str) -> None:
    for act in (keyring.random_key, keyring.existing_key, keyring.destroy):
        with pytest.raises(SecretError, match="name_refused"):
            act("stage", name)


def test_a_reader_never_makes_a_key(folder: Path, keyring: Keyring) -> None:
    with pytest.raises(SecretError) as caught:
        keyring.existing_key("stage", "r-1")
    assert (caught.value.key, caught.value.where) == ("keys.key_absent", {"key": "stage/r-1"})
    with pytest.raises(SecretError):
        keyring.existing_partition_key("vault", "bucket=01", 1)
    assert not (folder / "random").exists()


@pytest.mark.requirement("R166")
def test_a_destroyed_key_is_gone_from_disk_and_from_every_keyring(
    folder: Path, keyring: Keyring, make: Make
) -> None:
    other = make("other")
    keyring.grant("stage", "other", other.recipient)
    elsewhere = Keyring.open(folder, other)
    old = keyring.random_key("stage", "r-1")
    assert elsewhere.existing_key("stage", "r-1") == old
    assert keyring.destroy("stage", "r-1") is True
    assert list((folder / "random" / "stage").iterdir()) == []
    for ring in (keyring, elsewhere):
        with pytest.raises(SecretError, match="key_absent"):
            ring.existing_key("stage", "r-1")
    assert keyring.destroy("stage", "r-1") is False
    assert keyring.destroy("original", "never") is False
    assert elsewhere.random_key("stage", "r-1") != old


@pytest.mark.requirement("R166")
def test_a_second_name_of_a_destroyed_key_holds_nothing(folder: Path, keyring: Keyring) -> None:
    keyring.random_key("stage", "r-1")
    path = folder / "random" / "stage" / "r-1.key"
    os.link(path, path.with_name(".tmp-left-by-a-killed-creation"))
    keyring.destroy("stage", "r-1")
    assert path.with_name(".tmp-left-by-a-killed-creation").read_bytes() == bytes(40)


def test_a_destruction_killed_half_way_is_an_absent_key_and_can_be_finished(
    folder: Path, keyring: Keyring
) -> None:
    old = keyring.random_key("stage", "r-1")
    path = folder / "random" / "stage" / "r-1.key"
    path.write_bytes(bytes(40))
    with pytest.raises(SecretError, match="key_absent"):
        keyring.existing_key("stage", "r-1")
    new = keyring.random_key("stage", "r-1")
    assert new not in (old, bytes(32))
    path.write_bytes(bytes(40))
    assert keyring.destroy("stage", "r-1") is True
    assert not path.exists()


def test_making_a_key_waits_for_whoever_makes_or_destroys_one(
    folder: Path, keyring: Keyring, make: Make
) -> None:
    key = keyring.random_key("stage", "r-1")
    path = folder / "random" / "stage" / "r-1.key"
    wrapped = path.read_bytes()
    path.write_bytes(bytes(40))
    keys: list[bytes] = []
    thread = threading.Thread(target=lambda: keys.append(keyring.random_key("stage", "r-1")))
    handle = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        thread.start()
        thread.join(0.2)  # time to do wrong; doing right does not depend on it
        path.unlink(missing_ok=True)
        path.write_bytes(wrapped)
    finally:
        os.close(handle)
    thread.join()
    assert keys == [key]


def test_a_key_file_that_was_altered_or_renamed_does_not_open(
    folder: Path, keyring: Keyring
) -> None:
    keyring.random_key("stage", "a")
    keyring.random_key("stage", "b")
    a, b = (folder / "random" / "stage" / f"{name}.key" for name in "ab")
    content = a.read_bytes()
    flipped = [content[:i] + bytes([content[i] ^ 1]) + content[i + 1 :] for i in range(40)]
    for wrong in [b.read_bytes(), content[:-1], content + b"x", b"", *flipped]:
        a.unlink()
        a.write_bytes(wrong)
        with pytest.raises(SealBroken) as caught:
            keyring.existing_key("stage", "a")
        assert (caught.value.key, caught.value.where) == ("keys.random_broken", {"key": "stage/a"})
    a.unlink()
    a.symlink_to(b)
    with pytest.raises(SealBroken, match="random_broken"):
        keyring.existing_key("stage", "a")


def test_processes_and_threads_that_make_a_key_at_once_agree(
    folder: Path, keyring: Keyring, tmp_path: Path
) -> None:
    program = (
        "import sys; from pathlib import Path\n"
        "from koukan.keys.identity import load_identity; from koukan.keys.keyring import *\n"
        "folder = Path(sys.argv[1])\n"
        "ring = Keyring.open(folder, load_identity(Path(sys.argv[2]), outside=folder))\n"
        "print(*(ring.random_key('stage', f'r-{n}').hex() for n in range(20)))"
    )
    command = [sys.executable, "-c", program, str(folder), str(tmp_path / "batch")]
    runs = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    own: list[list[str]] = []

    def work() -> None:
        own.append([keyring.random_key("stage", f"r-{n}").hex() for n in range(20)])

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seen = {tuple(keys) for keys in own}
    seen |= {tuple(run.communicate()[0].split()) for run in runs}
    assert [run.returncode for run in runs] == [0] * 3
    assert len(seen) == 1
    assert len(set(seen.pop())) == 20


def test_partition_keys_have_a_version_and_are_the_readers_too(
    folder: Path, keyring: Keyring
) -> None:
    version, key = keyring.partition_key("entrusted_partition", "insurer=06139999")
    assert version == 1
    assert keyring.existing_partition_key("entrusted_partition", "insurer=06139999", 1) == key
    assert keyring.partition_key("vault", "insurer=06139999")[1] != key
    assert (folder / "random" / "entrusted_partition" / "insurer=06139999.1.key").is_file()
    assert keyring.destroy("entrusted_partition", "insurer=06139999.1")


def test_first_keys_of_many_partitions_are_made_at_once_and_others_are_left(
    folder: Path, keyring: Keyring, make: Make
) -> None:
    table = "entrusted_partition"
    one, two, three, four = (f"insurer={number:08d}" for number in (1, 2, 3, 11))
    first = keyring.partition_key(table, one)
    keyring.partition_key(table, two)
    assert keyring.new_partition_key(table, two) == 2
    keyring.destroy(table, f"{two}.1")
    second = keyring.partition_key(table, two)
    other = make("other")
    keyring.grant("partition", "other", other.recipient)
    for ring in (keyring, Keyring.open(folder, other)):  # the latter looked at none before
        ring.make_partition_keys(table, [one, two, three, four])
        ring.make_partition_keys(table, [])
        names = [path.name for path in sorted((folder / "random" / table).glob("*.key"))]
        assert names == [f"{one}.1.key", f"{two}.2.key", f"{three}.1.key", f"{four}.1.key"]
        assert ring.partition_key(table, one) == first
        assert ring.partition_key(table, two) == second
        assert ring.partition_key(table, three)[0] == ring.partition_key(table, four)[0] == 1


def test_a_new_version_is_every_writers_and_the_old_one_its_readers_until_it_is_destroyed(
    folder: Path, keyring: Keyring, make: Make
) -> None:
    table, partition = "entrusted_partition", "insurer=06139999"
    other = make("other")
    keyring.grant("partition", "other", other.recipient)
    elsewhere = Keyring.open(folder, other)
    old = keyring.partition_key(table, partition)
    assert elsewhere.partition_key(table, partition) == old
    assert keyring.new_partition_key(table, partition) == 2
    new = keyring.partition_key(table, partition)
    assert new[0] == 2
    assert new[1] != old[1]
    assert elsewhere.partition_key(table, partition) == new
    assert keyring.existing_partition_key(table, partition, 1) == old[1]
    assert keyring.destroy(table, f"{partition}.1")
    for ring in (keyring, elsewhere):
        with pytest.raises(SecretError, match="key_absent"):
            ring.existing_partition_key(table, partition, 1)
        assert ring.partition_key(table, partition) == new
        assert ring.partition_versions(table, partition) == [2]
    assert keyring.new_partition_key(table, partition) == 3
    assert keyring.partition_key(table, "insurer=0613999")[0] == 1  # no prefix of another's


def test_a_keyring_neither_shows_nor_pickles_its_keys(keyring: Keyring) -> None:
    keyring.random_key("stage", "r-1")
    assert repr(keyring) == "<Keyring>"
    for act in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="cannot be pickled"):
            act(keyring)


def test_derived_keys_are_those_of_rfc_5869() -> None:
    # HKDF by its definition: extract with a salt of zeros, expand once (32 bytes are one block).
    from hmac import digest

    info = b"koukan v1" + b"\0\0\0\1a" + b"\0\0\0\2bc"
    extracted = digest(bytes(32), bytes(range(32)), "sha256")
    assert derive(bytes(range(32)), "a", "bc") == digest(extracted, info + b"\1", "sha256")


@given(st.lists(st.text(), max_size=4), st.lists(st.text(), max_size=4))
def test_no_two_contexts_share_a_derived_key(one: list[str], other: list[str]) -> None:
    assert (derive(bytes(32), *one) == derive(bytes(32), *other)) == (one == other)


def test_context_parts_do_not_run_into_each_other() -> None:
    contexts = [("a", "b"), ("ab",), ("a", "b", ""), ("", "ab"), ("a|b",), ()]
    assert len({derive(bytes(32), *context) for context in contexts}) == len(contexts)


def test_keys_of_another_length_are_refused() -> None:
    for length in (0, 16, 31, 33):
        with pytest.raises(ValueError, match="32 bytes"):
            derive(bytes(length), "a")
