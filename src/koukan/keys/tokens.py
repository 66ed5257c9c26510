"""Tokens: what the vault keeps in place of a 個人番号.

A token is the AES-256 encryption of one block: the number's 12 ASCII digits and a 4-byte tag. Equal
numbers have equal tokens, two numbers never share one, and only the key leads back. Law treats a
token like the number itself (番号法 2条8項), so it stays inside the vault.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB

from koukan.errors import SealBroken
from koukan.keys.secret import Secret, derive

Ints = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]

_LIMIT = 10**12
_GROUP = 10_000  # four digits are rendered at a time
_TAG = np.frombuffer(b"kjb1", "<u4")[0]  # 個人番号, version 1
# "0000" … "9999" as four ASCII bytes each, looked up as one little-endian word.
_DIGITS = np.frombuffer(b"".join(b"%04d" % n for n in range(_GROUP)), "<u4")


class Tokeniser(Secret):
    """Numbers to tokens and back, a whole column in one call of the cipher."""

    __slots__ = ("_cipher",)

    def __init__(self, key: bytes) -> None:
        # ECB is right here and only here: single blocks, each holding a value once, and equality of
        # tokens is what they are for.
        self._cipher = Cipher(AES(derive(key, "token", "kojin_bango")), ECB())  # noqa: S305

    def tokens(self, numbers: Ints) -> tuple[Words, Words]:
        """The tokens of 個人番号 given as integers, as their first and last 64 bits (big endian).

        Raises:
            ValueError: a number has more than 12 digits or is negative.
        """
        _require(numbers, _LIMIT)
        blocks = np.empty((len(numbers), 4), "<u4")
        high, low = np.divmod(numbers, _GROUP * _GROUP)
        middle, last = np.divmod(low, _GROUP)
        blocks[:, 0] = _DIGITS[high]
        blocks[:, 1] = _DIGITS[middle]
        blocks[:, 2] = _DIGITS[last]
        blocks[:, 3] = _TAG
        sealed = self._cipher.encryptor().update(_bytes(blocks))
        words = np.frombuffer(sealed, ">u8").reshape(-1, 2)
        return words[:, 0].astype(np.uint64), words[:, 1].astype(np.uint64)

    def numbers(self, hi: Words, lo: Words) -> Ints:
        """The numbers of tokens.

        Raises:
            SealBroken: a token was altered or made with another key.
        """
        if len(hi) != len(lo):
            raise ValueError("both halves of the tokens are needed")
        blocks = np.empty((len(hi), 2), ">u8")
        blocks[:, 0] = hi
        blocks[:, 1] = lo
        opened = self._cipher.decryptor().update(_bytes(blocks))
        words = np.frombuffer(opened, "<u4").reshape(-1, 4)
        groups = [_value(words[:, index]) for index in range(3)]
        proven = words[:, 3] == _TAG
        for index, group in enumerate(groups):  # no digits, no number: the round trip must agree
            proven &= _DIGITS[np.minimum(group, _GROUP - 1)] == words[:, index]
        if not proven.all():
            raise SealBroken("keys.token")
        return (groups[0] * _GROUP + groups[1]) * _GROUP + groups[2]


def _require(numbers: Ints, limit: int) -> None:
    if numbers.dtype != np.int64 or numbers.ndim != 1:
        raise TypeError("numbers come as one column of int64")
    if len(numbers) and not (numbers.min() >= 0 and numbers.max() < limit):
        raise ValueError("a number is out of range")  # which one is not to be told


def _bytes(blocks: npt.NDArray[np.unsignedinteger]) -> memoryview:
    return blocks.view(np.uint8).reshape(-1).data


def _value(words: npt.NDArray[np.uint32]) -> Ints:
    """What four ASCII digits in a little-endian word say; anything else gives some value >= 0."""
    digits = words & np.uint32(0x0F0F0F0F)
    pairs = digits * np.uint32(10) + (digits >> np.uint32(8))  # tens and ones meet in bytes 0 and 2
    tens = (pairs & np.uint32(0xFF)).astype(np.int64)
    return tens * 100 + ((pairs >> np.uint32(16)) & np.uint32(0xFF)).astype(np.int64)
