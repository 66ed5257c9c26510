"""Public keys of persons: the lines ssh-keygen writes, and nothing that only looks like one."""

from __future__ import annotations

import base64
import string as letters
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from ssh_keys import Token, needs_ssh_keygen, public, ssh_keygen, string

from koukan.sites.publickey import FIDO, PLAIN, PublicKey

LETTERS = letters.ascii_uppercase + letters.ascii_lowercase + letters.digits + "+/"
POINT = bytes(range(32))
KEY = PublicKey(POINT, comment="sato at home")
BLOB = string(PLAIN.encode()) + string(POINT)


def line(blob: bytes, kind: str = PLAIN) -> str:
    return f"{kind} {base64.b64encode(blob).decode()}"


def test_a_line_is_read_as_it_is_written() -> None:
    for key in (KEY, PublicKey(POINT), PublicKey(POINT, b"ssh:koukan", "token")):
        found = PublicKey.parse(f"{key}\n")
        assert (found, found.comment, str(found)) == (key, key.comment, str(key))
    assert str(KEY).startswith("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI")
    assert PublicKey(POINT, b"ssh:").kind == FIDO


def test_keys_are_compared_without_their_comments() -> None:
    assert PublicKey(POINT, comment="x") == PublicKey(POINT, comment="y")
    assert PublicKey(POINT) != PublicKey(bytes(32))
    assert PublicKey(POINT) != PublicKey(POINT, b"ssh:")
    assert PublicKey(POINT, b"ssh:") != PublicKey(POINT, b"ssh:other")


@needs_ssh_keygen
@pytest.mark.parametrize("key", [public(Ed25519PrivateKey.generate(), "佐藤 x"), Token().public])
def test_the_fingerprint_is_the_one_that_ssh_keygen_shows(tmp_path: Path, key: PublicKey) -> None:
    (tmp_path / "x.pub").write_text(f"{key}\n", encoding="utf-8")
    shown = ssh_keygen("-l", "-f", tmp_path / "x.pub").stdout.decode().split()
    assert shown[1] == key.fingerprint


@needs_ssh_keygen
@pytest.mark.parametrize("kind", ["rsa", "ecdsa"])
def test_other_kinds_of_key_are_refused(tmp_path: Path, kind: str) -> None:
    assert ssh_keygen("-q", "-t", kind, "-N", "", "-f", tmp_path / "k").returncode == 0
    with pytest.raises(ValueError, match="a key begins with"):
        PublicKey.parse((tmp_path / "k.pub").read_text())
    blob = base64.b64decode((tmp_path / "k.pub").read_text().split()[1])
    with pytest.raises(ValueError, match="a key is"):
        PublicKey.of_blob(blob)


@pytest.mark.parametrize(
    "text",
    [
        "",
        PLAIN,
        f"{PLAIN} ",
        f"{PLAIN} AAAA",
        f"{PLAIN} !!!!",
        f"{PLAIN} ＡＡＡＡ",
        line(BLOB)[:-4],
        line(BLOB) + "=",
        line(BLOB + b"\0"),
        line(string(PLAIN.encode()) + string(POINT[:-1])),
        line(string(PLAIN.encode()) + string(POINT + b"\0")),
        line(string(b"ssh-rsa") + string(POINT)),
        line(BLOB, FIDO),
        line(string(FIDO.encode()) + string(POINT) + string(b"ssh:")),  # the other first word
        line(string(FIDO.encode()) + string(POINT), FIDO),  # without its application
        line(string(FIDO.encode()) + string(POINT) + string(b"ssh:") + b"x", FIDO),
        line(string(FIDO.encode()) + string(POINT) + string(b"s" * 2000), FIDO),
        line(BLOB) + " a\nssh-ed25519 AAAA",
        "no-touch-required " + line(BLOB),
        "cert-authority," + line(BLOB),
    ],
)
def test_what_is_not_exactly_one_key_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"key|string"):
        PublicKey.parse(text)


def test_a_key_has_one_spelling_only() -> None:
    """Two bits before the `=` say nothing: a decoder takes any, and one key would be two texts."""
    good = str(PublicKey(POINT, b"ssh:"))
    last = LETTERS.index(good[-2])
    assert (good[-1], last % 4) == ("=", 0)
    for other in LETTERS[last + 1 : last + 4]:
        blob = base64.b64decode(f"{good.split()[1][:-2]}{other}=", validate=True)
        assert PublicKey.of_blob(blob) == PublicKey.parse(good)
        with pytest.raises(ValueError, match="not what its first word says"):
            PublicKey.parse(f"{good[:-2]}{other}=")
