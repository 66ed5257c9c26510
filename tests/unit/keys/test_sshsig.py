"""SSHSIG both ways with the real ssh-keygen, and everything else refused."""

from __future__ import annotations

import base64
import hashlib
import os
import pickle
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from ssh_keys import (
    PRESENT,
    VERIFIED,
    Token,
    armoured,
    envelope,
    needs_ssh_keygen,
    public,
    signed_part,
    ssh_keygen,
    string,
    write_key,
)

from koukan.errors import SecretError, SignatureRefused
from koukan.keys.sshsig import (
    LARGEST,
    PersonKey,
    PublicKey,
    Signed,
    load_private_key,
    sign,
    sign_digest,
    verify,
    verify_digest,
)

PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PLAIN = string(b"ssh-ed25519")
CONTENT = b'{"operation":"send"}\n' * 50
CONTENTS = [b"", b"a", CONTENT, os.urandom(200_000)]


def never() -> bytes:
    raise AssertionError("the key is not locked")


def refused(armour: bytes, content: bytes = CONTENT, namespace: str = "koukan") -> str:
    with pytest.raises(SignatureRefused) as caught:
        verify(armour, content, namespace)
    assert (caught.value.where, caught.value.__cause__) == ({}, None)
    return caught.value.key


def handmade(hashed_by: str = "sha512", **other: object) -> bytes:
    """A right signature, but for what `other` says."""
    raw = PRIVATE.sign(signed_part(CONTENT, hash_name=hashed_by))
    parts = {"key": public(PRIVATE).blob, "signature": PLAIN + string(raw)}
    return envelope(**{**parts, "hash_name": hashed_by.encode(), **other})


# --- with ssh-keygen


@needs_ssh_keygen
@pytest.mark.parametrize("content", CONTENTS, ids=len)
def test_what_we_sign_is_byte_for_byte_what_ssh_keygen_signs(
    tmp_path: Path, content: bytes
) -> None:
    key = write_key(tmp_path / "key", PRIVATE)
    theirs = ssh_keygen("-Y", "sign", "-f", key, "-n", "koukan", content=content)
    assert theirs.returncode == 0
    assert sign(PRIVATE, content, "koukan") == theirs.stdout


@needs_ssh_keygen
@pytest.mark.parametrize("content", CONTENTS, ids=len)
def test_ssh_keygen_takes_what_we_sign(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "signers").write_text(f'sato namespaces="koukan" {public(PRIVATE)}\n')
    (tmp_path / "x.sig").write_bytes(sign(PRIVATE, content, "koukan"))
    end = ("-n", "koukan", "-s", tmp_path / "x.sig")
    who = ("-f", tmp_path / "signers", "-I", "sato")
    assert ssh_keygen("-Y", "verify", *who, *end, content=content).returncode == 0
    assert ssh_keygen("-Y", "check-novalidate", *end, content=content).returncode == 0
    assert ssh_keygen("-Y", "verify", *who, *end, content=content + b"x").returncode != 0


@needs_ssh_keygen
@pytest.mark.parametrize("hash_name", ["sha256", "sha512"])
@pytest.mark.parametrize("content", CONTENTS, ids=len)
def test_we_take_what_ssh_keygen_signs(tmp_path: Path, content: bytes, hash_name: str) -> None:
    assert ssh_keygen("-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "key").returncode == 0
    chosen = ("-O", f"hashalg={hash_name}", "-n", "koukan", "-f", tmp_path / "key")
    armour = ssh_keygen("-Y", "sign", *chosen, content=content).stdout
    key = PublicKey.parse((tmp_path / "key.pub").read_text())
    assert verify(armour, content, "koukan") == Signed(key, False)
    digest = hashlib.sha512(content).digest()
    if hash_name == "sha512":
        assert verify_digest(armour, digest, "koukan") == Signed(key, False)
    else:
        with pytest.raises(SignatureRefused, match="signature_hash"):
            verify_digest(armour, digest, "koukan")
    assert refused(armour, content + b"x") == "keys.signature_content"
    assert refused(armour, content, "git") == "keys.signature_namespace"


@needs_ssh_keygen
@pytest.mark.parametrize("kind", ["rsa", "ecdsa"])
def test_signatures_of_other_kinds_of_key_are_refused(tmp_path: Path, kind: str) -> None:
    ssh_keygen("-q", "-t", kind, "-N", "", "-f", tmp_path / "key")
    made = ssh_keygen("-Y", "sign", "-n", "koukan", "-f", tmp_path / "key", content=CONTENT)
    assert made.returncode == 0
    assert refused(made.stdout) == "keys.signature_kind"


@needs_ssh_keygen
def test_a_certificates_signature_is_refused(tmp_path: Path) -> None:
    for name in ("ca", "key"):
        ssh_keygen("-q", "-t", "ed25519", "-N", "", "-f", tmp_path / name)
    ssh_keygen("-q", "-s", tmp_path / "ca", "-I", "x", "-n", "x", tmp_path / "key.pub")
    blob = base64.b64decode((tmp_path / "key-cert.pub").read_text().split()[1])
    assert refused(handmade(key=blob)) == "keys.signature_kind"


@needs_ssh_keygen
def test_ssh_keygen_takes_our_made_up_token_for_a_real_one(tmp_path: Path) -> None:
    """So that the tests of FIDO signatures stand on something."""
    (tmp_path / "x.sig").write_bytes(Token().sign(CONTENT))
    end = ("-n", "koukan", "-s", tmp_path / "x.sig")
    done = ssh_keygen("-Y", "check-novalidate", *end, content=CONTENT)
    assert done.returncode == 0, done.stderr
    assert b"ED25519-SK" in done.stdout


# --- from content and from a digest


def test_a_signature_is_the_same_each_time_and_from_a_digest() -> None:
    whole = sign(PRIVATE, CONTENT, "koukan")
    digest = hashlib.sha512()
    for start in range(0, len(CONTENT), 7):
        digest.update(CONTENT[start : start + 7])
    assert sign(PRIVATE, CONTENT, "koukan") == whole
    assert sign_digest(PRIVATE, digest.digest(), "koukan") == whole
    assert PersonKey(PRIVATE).sign(CONTENT, "koukan") == whole
    assert verify(whole, CONTENT, "koukan").key == public(PRIVATE)
    assert verify_digest(whole, digest.digest(), "koukan").key == public(PRIVATE)
    with pytest.raises(SignatureRefused, match="signature_content"):
        verify_digest(whole, hashlib.sha512(b"other").digest(), "koukan")


def test_a_caller_that_gives_no_digest_or_no_namespace_is_wrong() -> None:
    for call in (
        lambda: sign_digest(PRIVATE, b"short", "koukan"),
        lambda: verify_digest(sign(PRIVATE, b"", "koukan"), b"short", "koukan"),
        lambda: sign(PRIVATE, b"", ""),
        lambda: verify(sign(PRIVATE, b"", "koukan"), b"", ""),
    ):
        with pytest.raises(ValueError, match=r"digest|namespace"):
            call()


# --- FIDO


@pytest.mark.parametrize("application", [b"ssh:", b"ssh:koukan", "ssh:承認".encode(), b""])
@pytest.mark.parametrize("flags", [PRESENT, PRESENT | VERIFIED])
def test_a_tokens_signature_tells_whether_the_user_was_verified(
    application: bytes, flags: int
) -> None:
    token = Token(application)
    for _ in range(2):
        signed = verify(token.sign(CONTENT, flags=flags), CONTENT, "koukan")
        assert signed == Signed(token.public, bool(flags & VERIFIED))
    assert verify_digest(token.sign(CONTENT), hashlib.sha512(CONTENT).digest(), "koukan")


@pytest.mark.parametrize("flags", [0, VERIFIED])
def test_a_token_that_nobody_touched_is_refused(flags: int) -> None:
    assert refused(Token().sign(CONTENT, flags=flags)) == "keys.signature_presence"


@pytest.mark.parametrize(
    "other",
    [
        {"flags": PRESENT, "told_flags": PRESENT | VERIFIED},
        {"flags": 0, "told_flags": PRESENT},
        {"told_counter": 99},
        {"asked_for": b"ssh:other"},
        {"asked_for": b"https://example.com"},
    ],
)
def test_flags_counter_and_application_are_signed(other: dict[str, object]) -> None:
    assert refused(Token().sign(CONTENT, **other)) == "keys.signature_content"


def test_another_application_is_another_key() -> None:
    token = Token(b"ssh:one")
    other = Token(b"ssh:two", token.private)
    assert verify(other.sign(CONTENT), CONTENT, "koukan").key != token.public


def test_a_plain_signature_is_none_of_a_token_and_the_other_way_round() -> None:
    token = Token(private=PRIVATE)
    plain = PLAIN + string(PRIVATE.sign(signed_part(CONTENT)))
    assert refused(envelope(token.public.blob, plain)) == "keys.signature_malformed"
    as_token = string(b"sk-ssh-ed25519@openssh.com") + plain[len(PLAIN) :] + b"\5\0\0\0\1"
    assert refused(envelope(token.public.blob, as_token)) == "keys.signature_content"
    assert refused(envelope(public(PRIVATE).blob, as_token)) == "keys.signature_malformed"


# --- everything else


@pytest.mark.parametrize("kind", ["plain", "token"])
def test_no_bit_of_a_signature_can_be_flipped(kind: str) -> None:
    armour = sign(PRIVATE, CONTENT, "koukan") if kind == "plain" else Token().sign(CONTENT)
    assert verify(armour, CONTENT, "koukan")
    for place in range(len(armour)):
        for bit in range(8):
            flipped = bytearray(armour)
            flipped[place] ^= 1 << bit
            assert refused(bytes(flipped)).startswith("keys.signature_")


@pytest.mark.parametrize("kind", ["plain", "token"])
def test_a_signature_cut_short_anywhere_is_refused(kind: str) -> None:
    armour = sign(PRIVATE, CONTENT, "koukan") if kind == "plain" else Token().sign(CONTENT)
    for length in range(len(armour) - 1):  # the last newline alone may be missing
        assert refused(armour[:length]) == "keys.signature_malformed"
    assert verify(armour[:-1], CONTENT, "koukan")
    text = "".join(armour.decode().split("\n")[1:-2])
    blob = base64.b64decode(text)
    for length in range(len(blob)):
        assert refused(armoured(blob[:length])).startswith("keys.signature_")


def test_the_handmade_signature_is_right_but_for_what_is_changed() -> None:
    assert verify(handmade(), CONTENT, "koukan").key == public(PRIVATE)
    assert verify(handmade("sha256"), CONTENT, "koukan").key == public(PRIVATE)


@pytest.mark.parametrize(
    "other",
    [
        {"version": 0},
        {"version": 2},
        {"reserved": b"x"},
        {"after": b"\0"},
        {"after": b"SSHSIG"},
        {"hashed_by": "sha1"},
        {"hashed_by": "sha384"},
        {"hash_name": b""},
        {"hash_name": b"SHA512"},
        {"signature": b""},
        {"signature": PLAIN + string(bytes(63))},
        {"signature": PLAIN + string(bytes(65))},
        {"signature": PLAIN + string(bytes(64)) + b"\0"},
        {"signature": string(b"ssh-rsa") + string(bytes(64))},
        {"key": PLAIN + string(bytes(31))},
        {"key": PLAIN + string(bytes(32)) + b"\0"},
        {"key": PLAIN},
        {"key": b"\xff\xff\xff\xff"},
    ],
)
def test_anything_beyond_the_form_is_refused(other: dict[str, object]) -> None:
    assert refused(handmade(**other)) == "keys.signature_malformed"


@pytest.mark.parametrize("namespace", [b"", b"koukan\0", b"Koukan", b"file", b"koukan.x"])
def test_another_namespace_is_refused(namespace: bytes) -> None:
    raw = PRIVATE.sign(signed_part(CONTENT, namespace))
    armour = handmade(namespace=namespace, signature=PLAIN + string(raw))
    assert refused(armour) == "keys.signature_namespace"
    assert refused(Token().sign(CONTENT, namespace=namespace)) == "keys.signature_namespace"


def test_a_signature_under_another_namespaces_content_is_refused() -> None:
    """The namespace is signed: to write another name into the file does not help."""
    raw = PRIVATE.sign(signed_part(CONTENT, b"file"))
    assert refused(handmade(signature=PLAIN + string(raw))) == "keys.signature_content"


def test_the_armour_is_one_and_nothing_stands_around_it() -> None:
    armour = sign(PRIVATE, CONTENT, "koukan")
    text = armour.decode()
    body = "".join(text.split("\n")[1:-2])
    begin, end = text.split("\n")[0], text.split("\n")[-2]
    for good in (64, 70, 76, 1, len(body)):  # other programs break lines elsewhere
        lines = [body[at : at + good] for at in range(0, len(body), good)]
        assert verify("\n".join([begin, *lines, end]).encode(), CONTENT, "koukan")
    for bad in (
        b"",
        b"\n",
        armour + b"\n",
        b"\n" + armour,
        armour + armour,
        armour + b"x",
        b" " + armour,
        armour.replace(b"\n", b"\r\n"),
        armour.replace(b"SSH", b"PGP"),
        text.replace(begin + "\n", begin + "\n\n").encode(),
        text.replace(end, f"=\n{end}").encode(),
        text.replace(body[10:14], body[10:14] + " ").encode(),
        text.encode("utf-16"),
        f"{begin}\n{end}\n".encode(),
        f"{begin}\n鍵\n{end}\n".encode(),
        base64.b64decode(body),
        CONTENT,
    ):
        assert refused(bad) == "keys.signature_malformed"


def test_what_is_too_long_is_refused_unread() -> None:
    assert refused(handmade(reserved=b"x" * LARGEST)) == "keys.signature_malformed"
    assert refused(b"-" * 10_000_000) == "keys.signature_malformed"


# --- private keys


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    root.mkdir()
    return root


def refused_key(path: Path, root: Path, passphrase: bytes = b"") -> str:
    with pytest.raises(SecretError) as caught:
        load_private_key(path, outside=root, passphrase=lambda: passphrase)
    assert caught.value.where == {"path": path.name}
    assert caught.value.__cause__ is None
    return caught.value.key


def test_a_private_key_is_read_and_signs(tmp_path: Path, root: Path) -> None:
    for mode in (0o600, 0o400):
        path = write_key(tmp_path / f"{mode}", PRIVATE)
        path.chmod(mode)
        key = load_private_key(path, outside=root, passphrase=never)
        assert key.public == public(PRIVATE)
        assert verify(key.sign(CONTENT, "koukan"), CONTENT, "koukan").key == key.public


@needs_ssh_keygen
def test_keys_that_ssh_keygen_made_are_read(tmp_path: Path, root: Path) -> None:
    for name, passphrase in (("open", ""), ("locked", "correct horse 鍵")):
        ssh_keygen("-q", "-t", "ed25519", "-N", passphrase, "-f", tmp_path / name)
        asked: list[str] = []

        def ask(passphrase: str = passphrase, asked: list[str] = asked) -> bytes:
            asked.append("once")
            return passphrase.encode()

        key = load_private_key(tmp_path / name, outside=root, passphrase=ask)
        assert key.public == PublicKey.parse((tmp_path / f"{name}.pub").read_text())
        assert asked == (["once"] if passphrase else [])


def test_a_wrong_passphrase_is_told_without_it(tmp_path: Path, root: Path) -> None:
    path = write_key(tmp_path / "locked", PRIVATE, b"correct horse")
    for wrong in (b"battery staple", b"", b"\xff" * 2000):
        assert refused_key(path, root, wrong) == "keys.passphrase_wrong"


@pytest.mark.parametrize("mode", [0o440, 0o404, 0o620, 0o601, 0o644])
def test_a_private_key_open_to_others_is_refused(tmp_path: Path, root: Path, mode: int) -> None:
    path = write_key(tmp_path / "key", PRIVATE)
    path.chmod(mode)
    assert refused_key(path, root) == "keys.identity_open"


def test_a_private_key_inside_the_root_or_nowhere_is_refused(tmp_path: Path, root: Path) -> None:
    assert refused_key(write_key(root / "key", PRIVATE), root) == "keys.identity_inside"
    (tmp_path / "link").symlink_to(root / "key")
    assert refused_key(tmp_path / "link", root) == "keys.identity_inside"
    assert refused_key(tmp_path / "none", root) == "keys.identity_missing"
    assert refused_key(tmp_path, tmp_path / "root") == "keys.identity_unreadable"


@needs_ssh_keygen
@pytest.mark.parametrize("kind", ["rsa", "ecdsa"])
def test_other_kinds_of_private_key_are_refused(tmp_path: Path, root: Path, kind: str) -> None:
    ssh_keygen("-q", "-t", kind, "-N", "", "-f", tmp_path / "key")
    assert refused_key(tmp_path / "key", root) == "keys.person_kind"


@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_a_public_key_is_told_as_that(tmp_path: Path, root: Path, mode: int) -> None:
    path = tmp_path / "key.pub"
    path.write_text(f"{public(PRIVATE)}\n")
    path.chmod(mode)
    assert refused_key(path, root) == "keys.public_given"


def test_what_is_no_private_key_is_refused_without_its_text(tmp_path: Path, root: Path) -> None:
    good = write_key(tmp_path / "good", PRIVATE).read_text()
    private = PRIVATE.private_bytes_raw()
    for number, content in enumerate(
        [
            "",
            "secret text",
            good[:-80],
            good.replace("OPENSSH", "RSA"),
            good + "\n" * 20_000,
            "-----BEGIN OPENSSH PRIVATE KEY-----\n!\n-----END OPENSSH PRIVATE KEY-----\n",
        ]
    ):
        path = tmp_path / f"bad{number}"
        path.write_text(content)
        path.chmod(0o600)
        assert refused_key(path, root) == "keys.person_unreadable"
    assert private.hex() not in repr(PersonKey(PRIVATE))
    assert repr(PersonKey(PRIVATE)) == "<PersonKey>"
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(PersonKey(PRIVATE))
