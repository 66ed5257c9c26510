from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB
from hypothesis import given
from hypothesis import strategies as st

from koukan.errors import SealBroken
from koukan.keys.keyring import derive
from koukan.keys.tokens import Tokeniser

KEY = bytes(range(32))
KNOWN = [
    "183ec84b9c1d000df4166f9ec04538e9",
    "fcfdaf09584fd23128a9e0c4c98766c3",
    "561315aa07b26f707e76fb9ca078f7b9",
]
numbers_of = st.lists(st.integers(0, 10**12 - 1), max_size=50)


def column(numbers: list[int]) -> np.ndarray:
    return np.array(numbers, np.int64)


def one_by_one(number: int) -> tuple[int, int]:
    cipher = Cipher(AES(derive(KEY, "token", "kojin_bango")), ECB()).encryptor()  # noqa: S305
    block = cipher.update(b"%012dkjb1" % number)
    return int.from_bytes(block[:8], "big"), int.from_bytes(block[8:], "big")


@given(numbers_of)
def test_tokens_are_those_of_one_block_each(numbers: list[int]) -> None:
    hi, lo = Tokeniser(KEY).tokens(column(numbers))
    assert hi.dtype == lo.dtype == np.uint64
    assert list(zip(hi.tolist(), lo.tolist(), strict=True)) == [one_by_one(n) for n in numbers]


def test_tokens_stay_the_same_in_every_release() -> None:
    hi, lo = Tokeniser(KEY).tokens(column([0, 123456789018, 10**12 - 1]))
    assert [f"{a:016x}{b:016x}" for a, b in zip(hi.tolist(), lo.tolist(), strict=True)] == KNOWN


@given(numbers_of)
def test_the_key_leads_back(numbers: list[int]) -> None:
    tokeniser = Tokeniser(KEY)
    back = tokeniser.numbers(*tokeniser.tokens(column(numbers)))
    assert back.dtype == np.int64
    assert back.tolist() == numbers


def test_no_two_numbers_share_a_token() -> None:
    numbers = np.arange(10**12 - 300_000, 10**12)
    hi, lo = Tokeniser(KEY).tokens(numbers)
    assert len(np.unique(np.stack([hi, lo], axis=1), axis=0)) == len(numbers)
    assert len(np.unique(hi)) > len(numbers) * 0.999


def test_strided_columns_are_taken_as_they_are() -> None:
    numbers = np.arange(100)[::3]
    tokeniser = Tokeniser(KEY)
    hi, lo = tokeniser.tokens(numbers)
    assert tokeniser.numbers(hi[::2], lo[::2]).tolist() == numbers[::2].tolist()


def test_another_keys_or_altered_tokens_are_refused_without_a_value() -> None:
    tokeniser = Tokeniser(KEY)
    hi, lo = tokeniser.tokens(column([123456789018, 5]))
    wrong = [(hi ^ np.uint64(1), lo), (hi, lo ^ np.uint64(1 << 63)), (hi[::-1], lo), (lo, hi)]
    for tokens in wrong:
        with pytest.raises(SealBroken) as caught:
            tokeniser.numbers(*tokens)
        assert str(caught.value) == "keys.token"
    with pytest.raises(SealBroken):
        Tokeniser(bytes(32)).numbers(hi, lo)


def test_a_block_of_another_domain_is_refused() -> None:
    cipher = Cipher(AES(derive(KEY, "token", "kojin_bango")), ECB()).encryptor()  # noqa: S305
    halves = np.frombuffer(cipher.update(b"123456789018kjb2"), ">u8").astype(np.uint64)
    with pytest.raises(SealBroken):
        Tokeniser(KEY).numbers(halves[:1], halves[1:])


def test_a_block_with_the_tag_but_without_digits_is_refused() -> None:
    cipher = Cipher(AES(derive(KEY, "token", "kojin_bango")), ECB()).encryptor()  # noqa: S305
    for digits in (
        b"00000000000:",
        b"/00000000000",
        b"\xff" * 12,
        b"           1",
        b"0000\x3a0000000",
    ):
        block = cipher.update(digits + b"kjb1")
        halves = np.frombuffer(block, ">u8").astype(np.uint64)
        with pytest.raises(SealBroken):
            Tokeniser(KEY).numbers(halves[:1], halves[1:])


@pytest.mark.parametrize("number", [-1, 10**12, -(2**63), 2**63 - 1])
def test_what_is_no_number_of_twelve_digits_is_refused_without_it(number: int) -> None:
    with pytest.raises(ValueError, match="out of range") as caught:
        Tokeniser(KEY).tokens(column([5, number]))
    assert str(number) not in str(caught.value)


def test_other_shapes_are_refused() -> None:
    wrongs: list[Any] = [np.array([1.0]), np.array([1], np.int32), np.array([[1]])]
    for wrong in wrongs:
        with pytest.raises(TypeError, match="int64"):
            Tokeniser(KEY).tokens(wrong)
    with pytest.raises(ValueError, match="both halves"):
        Tokeniser(KEY).numbers(np.zeros(2, np.uint64), np.zeros(1, np.uint64))


def test_a_tokeniser_neither_shows_nor_pickles_its_key() -> None:
    assert repr(Tokeniser(KEY)) == "<Tokeniser>"
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(Tokeniser(KEY))
