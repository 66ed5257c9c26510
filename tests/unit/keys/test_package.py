"""Who can open a package, and that what the library says about keys never reaches anybody."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pyrage
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from package_support import KINDS, new_pair, pair

from koukan.errors import SealBroken, SecretError
from koukan.keys.package import (
    Blocks,
    PackageIdentity,
    encrypted,
    load_package_identity,
    recipient,
)

OWN = pyrage.x25519.Identity.from_str(pair().private.decode().splitlines()[1])
IDENTITY = PackageIdentity(OWN)


def sealed(*blocks: bytes) -> bytes:
    return b"".join(encrypted(blocks, [recipient(pair().public, "06990014")]))


def threads() -> int:
    """Those that run. `threading` also counts one that a signal kept from being started."""
    return len(sys._current_frames())


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_key_opens_what_is_encrypted_to_it(tmp_path: Path, kind: str) -> None:
    identity = pair(kind).identity(tmp_path)
    content = b"".join(encrypted([b"con", b"", b"tent"], [recipient(pair(kind).public, "1")]))
    assert b"content" not in content
    assert b"".join(identity.decrypted([content], "x.age")) == b"content"


def test_several_can_open_the_same(tmp_path: Path) -> None:
    everybody = [recipient(pair(kind).public, "1") for kind in KINDS]
    content = b"".join(encrypted([b"content"], everybody))
    for kind in KINDS:
        identity = pair(kind).identity(tmp_path)
        assert b"".join(identity.decrypted([content], "x.age")) == b"content"


@given(st.lists(st.binary(max_size=5000), max_size=8), st.integers(1, 9000))
def test_blocks_of_any_size_come_out_in_order(blocks: list[bytes], size: int) -> None:
    content = sealed(*blocks)
    cut = [content[start : start + size] for start in range(0, len(content), size)]
    assert b"".join(IDENTITY.decrypted(cut, "x.age")) == b"".join(blocks)


def test_content_larger_than_a_block_comes_in_blocks() -> None:
    content = os.urandom(5 << 20)
    found = list(IDENTITY.decrypted([sealed(content)], "x.age"))
    assert b"".join(found) == content
    assert max(map(len, found)) < 2 << 20


# --- what is refused


def rsa_of(bits: int) -> str:
    """A public key of RSA of that length; nobody has the private one."""
    key = RSAPublicNumbers(65537, 2**bits - 1).public_key()
    return key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


@pytest.mark.parametrize("bits", [2048, 4096])
def test_the_shortest_and_the_longest_key_of_rsa_are_taken(bits: int) -> None:
    assert b"".join(encrypted([b"content"], [recipient(rsa_of(bits), "1")]))


@pytest.mark.parametrize(
    "text",
    [
        "age1qqqq", f"{pair().public}x", f" {pair().public}", f"{pair().public}\n",
        pair().public[:-1] + ("q" if pair().public[-1] != "q" else "p"),
        f"{pair('ed25519').public}\n{pair('ed25519').public}", f"# {pair('ed25519').public}",
        "ssh-ed25519 AAAA", rsa_of(1024), rsa_of(2047), rsa_of(4104), "AGE-SECRET-KEY-1QQ", "鍵",
        pair("ed25519").private.decode(),
    ],
    ids=map(str, range(14)),  # the keys are new in every run
)  # fmt: skip
def test_what_is_no_public_key_is_refused_without_its_text(text: str) -> None:
    with pytest.raises(SecretError) as caught:
        recipient(text, "06990014")
    told = ("keys.package_recipient", {"insurer": "06990014"})
    assert (caught.value.key, caught.value.where) == told
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_an_insurer_without_a_key_is_told() -> None:
    with pytest.raises(SecretError) as caught:
        recipient("", "06990014")
    assert (caught.value.key, caught.value.where) == (
        "keys.package_no_key",
        {"insurer": "06990014"},
    )


def test_nothing_is_encrypted_to_nobody() -> None:
    with pytest.raises(ValueError, match="somebody"):
        list(encrypted([b"content"], []))


def unreadable(path: Path) -> str:
    with pytest.raises(SecretError) as caught:
        load_package_identity(path)
    assert "PRIVATE" not in repr(caught.value)
    return caught.value.key


def test_a_private_key_that_is_none_is_refused(tmp_path: Path) -> None:
    good = pair("ed25519").private
    path = tmp_path / "key"
    ec = b"-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n"
    for content in (b"", b"\xff" * 50, good[:200], ec, good + good * 60, b"AGE-SECRET-KEY-1QQ\n"):
        path.write_bytes(content)
        path.chmod(0o600)
        assert unreadable(path) == "keys.package_no_private"
    assert unreadable(tmp_path / "none") == "keys.identity_missing"
    assert unreadable(tmp_path) == "keys.identity_unreadable"
    path.write_bytes(good)
    path.chmod(0o640)
    assert unreadable(path) == "keys.identity_open"


def test_a_public_key_is_told_as_that_whoever_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "key.pub"
    for kind in ("age", "ed25519", "rsa"):
        for mode in (0o644, 0o600):
            path.write_text(f"{pair(kind).public}\n")
            path.chmod(mode)
            assert unreadable(path) == "keys.public_given"


@pytest.mark.parametrize("kind", ["ed25519", "rsa"])
def test_a_key_under_a_passphrase_is_told_as_that(tmp_path: Path, kind: str) -> None:
    """Also pins the library's text by which this case is told."""
    path = new_pair(kind, b"secret").file(tmp_path)
    assert unreadable(path) == "keys.package_locked"


def test_an_identity_shows_and_pickles_no_private_part(tmp_path: Path) -> None:
    identity = pair("ed25519").identity(tmp_path)
    assert repr(identity) == "<PackageIdentity>"
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(identity)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_for_another_key_is_told_from_what_was_altered(tmp_path: Path, kind: str) -> None:
    """Also pins the library's text by which these cases are told apart."""
    content = b"".join(encrypted([b"content"], [recipient(pair(kind).public, "1")]))
    for other in KINDS:
        with pytest.raises(SecretError) as caught:
            list(PackageIdentity(_private(tmp_path, new_pair(other))).decrypted([content], "x.age"))
        assert (caught.value.key, caught.value.where) == (
            "keys.package_not_ours",
            {"path": "x.age"},
        )


def _private(folder: Path, other: object) -> object:
    return other.identity(folder)._private  # type: ignore[attr-defined]


def test_what_was_altered_cut_or_lengthened_does_not_open() -> None:
    content = sealed(b"content" * 30_000)
    for broken in (
        content[:-1], content[:-200_000], content[:100], content + b"x", b"", b"junk" * 99,
        content[:-1] + bytes([content[-1] ^ 1]), content[:9] + b"x" + content[10:],
    ):  # fmt: skip
        with pytest.raises(SealBroken) as caught:
            list(IDENTITY.decrypted([broken], "x.age"))
        told = ("keys.package_broken", {"path": "x.age"})
        assert (caught.value.key, caught.value.where) == told
        assert caught.value.__cause__ is None


def test_every_flipped_bit_of_a_small_file_is_noticed() -> None:
    content = sealed(b"content")
    for place in range(len(content)):
        broken = bytearray(content)
        broken[place] ^= 1 << place % 8
        with pytest.raises((SealBroken, SecretError)):
            list(IDENTITY.decrypted([bytes(broken)], "x.age"))


# --- the caller's side of the thread


class Odd(Exception):
    """An error of the caller's own, with something that nobody may read."""


def failing(*blocks: bytes) -> Iterator[bytes]:
    yield from blocks
    raise Odd("1234")


@pytest.mark.parametrize("before", [0, 1, 100])
def test_what_goes_wrong_in_the_callers_blocks_is_raised_as_it_is(before: int) -> None:
    started = threads()
    with pytest.raises(Odd) as caught:
        list(encrypted(failing(*[b"x" * 100_000] * before), [recipient(pair().public, "1")]))
    assert caught.value.args == ("1234",)
    content = sealed(b"x" * 200_000)
    with pytest.raises(Odd):
        list(IDENTITY.decrypted(failing(*[content[:70_000]][:before]), "x.age"))
    assert threads() == started


def test_who_does_not_want_the_rest_stops_it() -> None:
    started = threads()
    taken: list[int] = []

    def counted() -> Iterator[bytes]:
        for number in range(1000):
            taken.append(number)
            yield b"x" * (1 << 20)

    with contextlib.closing(encrypted(counted(), [recipient(pair().public, "1")])) as blocks:
        next(blocks)
        assert threads() == started + 1
    assert threads() == started
    assert len(taken) < 5  # nothing is read ahead


@pytest.mark.parametrize("size", [1, 10_000, 100_000, 1 << 20, 3 << 20])
def test_who_does_not_want_the_rest_of_a_file_stops_its_opening(size: int) -> None:
    started = threads()
    content = sealed(b"x" * (1 << 20), b"y" * size)
    with contextlib.closing(IDENTITY.decrypted([content], "x.age")) as blocks:
        next(blocks)
    assert threads() == started
    with contextlib.closing(IDENTITY.decrypted([content[:300]], "x.age")):
        pass
    assert threads() == started


def test_blocks_are_asked_for_in_the_callers_thread() -> None:
    """A database's cursor, say, may be used in the thread that made it and in no other."""
    seen = set()

    def looked() -> Iterator[bytes]:
        seen.add(threading.get_ident())
        yield b"content"

    list(encrypted(looked(), [recipient(pair().public, "1")]))
    assert seen == {threading.get_ident()}


class Stop(BaseException):
    """What a signal is turned into."""


# What is raised in a callback of the interpreter's own (of a weak set) is dropped with a warning.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("delay", [0.0005 * number for number in range(40)])
def test_a_signal_ends_it_as_that_signal(delay: float) -> None:
    """pyrage would turn it into an error of its own if it came where the library can see it."""

    def stop(*_: object) -> None:
        raise Stop

    started = threads()
    before = signal.signal(signal.SIGALRM, stop)
    try:
        with pytest.raises(Stop):  # noqa: PT012 - the signal may come anywhere in here
            # Again after a while: the interpreter drops what is raised in a callback of its own.
            signal.setitimer(signal.ITIMER_REAL, max(delay, 0.0001), 1.0)
            with contextlib.closing(endless()) as blocks:
                for _ in blocks:
                    pass
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    for _ in range(200):  # a signal may come between a thread's last word and its end
        if threads() == started:
            break
        time.sleep(0.01)
    assert threads() == started


def endless() -> Blocks:
    def same() -> Iterator[bytes]:
        while True:
            yield b"x" * 4096

    return encrypted(same(), [recipient(pair().public, "1")])
