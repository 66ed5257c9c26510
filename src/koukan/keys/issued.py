"""Issued numbers: 紐付番号 and 被保険者枝番, keyed permutations of a counter.

Nothing of a person is in them. They look random, never repeat, and the key leads back to the
counter. It is a balanced Feistel network over the two decimal halves of the number with AES-256 as
its round function: the shape of FF1 (SP 800-38G), whose claims are not needed here, because what
goes in are counters of ours, not secrets, and nobody else chooses them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB

from koukan.keys.secret import Secret, derive

Ints = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]

_ROUNDS = 10
_PIECE = 1 << 15  # numbers worked on at a time: what a round touches stays in the processor's cache


class Issuer(Secret):
    """Counters to numbers of `digits` decimal digits and back.

    Args:
        key: the purpose key "issue"; every domain has a key of its own derived from it.
        domain: "link_number" (16 digits), "member_id" (10 digits), …
        digits: even, 2 to 18.
    """

    __slots__ = ("_cipher", "_domain", "_half", "_limit")

    def __init__(self, key: bytes, domain: str, digits: int) -> None:
        if digits not in range(2, 19, 2):
            raise ValueError("an issued number has an even number of digits, 2 to 18")
        self._half = 10 ** (digits // 2)
        self._limit = 10**digits
        # Single blocks that hold a value once each: what ECB gives away is nothing here.
        own = derive(key, "issued", domain, str(digits))
        self._cipher = Cipher(AES(own), ECB())  # noqa: S305
        # The block's first half: six bytes of domain, one of digits, one of the round (set later).
        name = hashlib.sha256(domain.encode()).digest()[:6]
        self._domain = int.from_bytes(name + bytes([digits, 0]), "big")

    def issue(self, counters: Ints) -> Ints:
        """The numbers of `counters`. Raises ValueError if one is outside 0 … 10**digits - 1."""
        return self._permute(counters, backwards=False)

    def counters(self, numbers: Ints) -> Ints:
        """The counters of `numbers`, the inverse of `issue`. Raises ValueError likewise."""
        return self._permute(numbers, backwards=True)

    def _permute(self, values: Ints, *, backwards: bool) -> Ints:
        if values.dtype != np.int64 or values.ndim != 1:
            raise TypeError("numbers come as one column of int64")
        if len(values) and not (values.min() >= 0 and values.max() < self._limit):
            raise ValueError("a number is out of range")
        result = np.empty_like(values)
        cipher = self._cipher.encryptor()
        for start in range(0, len(values), _PIECE):
            piece = values[start : start + _PIECE].astype(np.uint64)
            left, right = np.divmod(piece, np.uint64(self._half))
            if backwards:
                right, left = self._run(cipher, right, left, reversed(range(_ROUNDS)), minus=True)
            else:
                left, right = self._run(cipher, left, right, range(_ROUNDS), minus=False)
            result[start : start + _PIECE] = left * np.uint64(self._half) + right
        return result

    def _run(
        self, cipher: CipherContext, one: Words, other: Words, rounds: Iterable[int], *, minus: bool
    ) -> tuple[Words, Words]:
        """(L, R) -> (R, L + F(R)) per round; backwards with both halves swapped and minus F."""
        half = np.uint64(self._half)
        blocks = np.empty((len(one), 2), ">u8")
        sealed = bytearray(blocks.nbytes + 15)  # `update_into` asks for a block less one byte more
        words = np.frombuffer(sealed, ">u8", count=blocks.size)[::2]
        for number in rounds:
            blocks[:, 0] = self._domain + number
            blocks[:, 1] = other
            cipher.update_into(blocks.data.cast("B"), sealed)
            # Reducing 64 random bits modulo at most 10**9 prefers small values by less than
            # 10**9 / 2**64 = 6e-11. It cannot harm the permutation, which any F gives, and nobody
            # sees enough numbers to measure it.
            drawn = words.astype(np.uint64)
            drawn -= drawn // half * half
            mixed = one + (half - drawn if minus else drawn)
            mixed -= np.where(mixed >= half, half, np.uint64(0))
            one, other = other, mixed
        return one, other
