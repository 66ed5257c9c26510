from __future__ import annotations

import hashlib
import json
import pickle

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from koukan.keys.signing import Signer, verify
from koukan.keys.sshsig import verify_digest

KEY = bytes(range(32))
RECORD: dict[str, object] = {
    "kind": "erasure",
    "rows": 12,
    "sha256": "ab" * 32,
    "名": ["一", 2, None],
}
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
records = st.dictionaries(st.text().filter(lambda n: n not in ("key", "signature")), values)


@given(records)
def test_a_signed_record_verifies_also_after_a_file(record: dict[str, object]) -> None:
    signer = Signer(KEY)
    signed = signer.sign(record)
    reordered = dict(reversed(json.loads(json.dumps(signed)).items()))
    assert signer.verify(signed)
    assert signer.verify(reordered)
    assert verify(reordered, signer.public)
    assert {name: signed[name] for name in record} == record


def test_every_change_shows() -> None:
    signer = Signer(KEY)
    signed = signer.sign(RECORD)
    other = Signer(bytes(32))
    changes: list[dict[str, object]] = [
        {"rows": 13}, {"rows": "12"}, {"kind": "Erasure"}, {"more": 1}, {"key": other.public},
        {"signature": ""}, {"signature": 5}, {"signature": "zz"}, {"signature": "00" * 64},
        {"signature": other.sign(RECORD)["signature"]}, {"名": ["一", 2]},
    ]  # fmt: skip
    for change in changes:
        assert not signer.verify({**signed, **change})
    for name in signed:
        assert not signer.verify({key: value for key, value in signed.items() if key != name})
    assert not signer.verify(RECORD)
    assert not signer.verify({})


def test_only_the_known_key_counts_not_the_one_that_a_record_names() -> None:
    forged = Signer(bytes(32)).sign(RECORD)
    assert not Signer(KEY).verify(forged)
    assert not verify(forged, Signer(KEY).public)
    assert not verify({**forged, "key": "no key"}, "no key")


def test_the_signature_is_plain_ed25519_over_the_canonical_record() -> None:
    signed = Signer(KEY).sign({"b": 1, "a": "é"})
    text = f'{{"a":"\\u00e9","b":1,"key":"{Signer(KEY).public}"}}'
    public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(str(signed["key"])))
    public.verify(
        bytes.fromhex(str(signed["signature"])), b"koukan signed record v1\n" + text.encode()
    )


def test_signing_is_the_same_every_time_and_leaves_the_record_alone() -> None:
    record = dict(RECORD)
    assert Signer(KEY).sign(record) == Signer(KEY).sign(record)
    assert record == RECORD


def test_a_signed_record_is_not_signed_again() -> None:
    for record in (Signer(KEY).sign(RECORD), {"key": "x"}, {"signature": "x"}):
        with pytest.raises(ValueError, match="signed already"):
            Signer(KEY).sign(record)


def test_what_json_cannot_say_is_refused() -> None:
    with pytest.raises(ValueError, match="JSON"):
        Signer(KEY).sign({"a": float("nan")})


def test_a_signer_neither_shows_nor_pickles_its_key() -> None:
    assert repr(Signer(KEY)) == "<Signer>"
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(Signer(KEY))


def test_ssh_knows_the_same_key_and_checks_what_it_signs() -> None:
    signer = Signer(KEY)
    assert signer.ssh.point.hex() == signer.public
    assert str(signer.ssh).startswith("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI")
    assert str(signer.ssh).endswith(" koukan")
    digest = hashlib.sha512(b"content").digest()
    signature = signer.sign_digest(digest, "koukan-package")
    assert verify_digest(signature, digest, "koukan-package").key == signer.ssh
    assert signature == signer.sign_digest(digest, "koukan-package")
