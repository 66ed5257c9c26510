from __future__ import annotations

import hashlib
import pickle
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB
from hypothesis import given
from hypothesis import strategies as st

from koukan.keys.issued import Issuer
from koukan.keys.keyring import derive

KEY = bytes(range(32))
DOMAINS = [("link_number", 16), ("member_id", 10), ("pmh_id", 16)]
LINK = [2559904214674473, 8592462784744494, 6644205939997914]
MEMBER = [3885458541, 7350967595, 2922404524]


def one_by_one(domain: str, digits: int, counter: int) -> int:
    """The network said a second time, for one number."""
    half = 10 ** (digits // 2)
    cipher = Cipher(AES(derive(KEY, "issued", domain, str(digits))), ECB()).encryptor()  # noqa: S305
    name = hashlib.sha256(domain.encode()).digest()[:6]
    left, right = divmod(counter, half)
    for number in range(10):
        block = cipher.update(name + bytes([digits, number]) + right.to_bytes(8, "big"))
        left, right = right, (left + int.from_bytes(block[:8], "big")) % half
    return int(left * half + right)


@pytest.mark.parametrize("digits", [2, 4])
@pytest.mark.parametrize("domain", ["link_number", "member_id"])
def test_a_small_domain_is_permuted_without_loss(domain: str, digits: int) -> None:
    counters = np.arange(10**digits)
    issuer = Issuer(KEY, domain, digits)
    numbers = issuer.issue(counters)
    assert np.array_equal(np.sort(numbers), counters)
    assert np.array_equal(issuer.counters(numbers), counters)
    assert np.mean(numbers == counters) < 0.1


@pytest.mark.parametrize(("domain", "digits"), [*DOMAINS, ("largest", 18)])
@given(data=st.data())
def test_a_number_is_that_of_the_network_and_the_key_leads_back(
    domain: str, digits: int, data: st.DataObject
) -> None:
    counters = data.draw(st.lists(st.integers(0, 10**digits - 1), max_size=20))
    issuer = Issuer(KEY, domain, digits)
    numbers = issuer.issue(np.array(counters, np.int64))
    assert numbers.dtype == np.int64
    assert numbers.tolist() == [one_by_one(domain, digits, counter) for counter in counters]
    assert issuer.counters(numbers).tolist() == counters


def test_numbers_stay_the_same_in_every_release() -> None:
    counters = np.array([0, 1, 2_345_678_901])
    assert Issuer(KEY, "link_number", 16).issue(counters).tolist() == LINK
    assert Issuer(KEY, "member_id", 10).issue(counters).tolist() == MEMBER


@pytest.mark.parametrize(("domain", "digits"), DOMAINS)
def test_a_range_across_pieces_is_issued_without_repeats(domain: str, digits: int) -> None:
    issuer = Issuer(KEY, domain, digits)
    counters = np.arange(100_000) + 5_000_000
    numbers = issuer.issue(counters)
    assert len(np.unique(numbers)) == len(counters)
    assert numbers.min() >= 0
    assert numbers.max() < 10**digits
    assert np.array_equal(issuer.counters(numbers), counters)
    assert np.array_equal(issuer.issue(counters[70_000:]), numbers[70_000:])


def test_other_domains_keys_and_lengths_issue_other_numbers() -> None:
    counters = np.arange(1000)
    issuers = [
        Issuer(KEY, "link_number", 16),
        Issuer(KEY, "pmh_id", 16),
        Issuer(bytes(32), "link_number", 16),
        Issuer(KEY, "link_number", 18),
    ]
    columns = [issuer.issue(counters) for issuer in issuers]
    for index, one in enumerate(columns):
        for other in columns[index + 1 :]:
            assert not np.any(one == other)


@pytest.mark.parametrize(("domain", "digits"), DOMAINS)
def test_numbers_keep_no_relation_to_their_counters_or_to_each_other(
    domain: str, digits: int
) -> None:
    size = 50_000
    numbers = Issuer(KEY, domain, digits).issue(np.arange(size))
    assert len(np.unique(np.diff(numbers))) > size * 0.99
    for one, other in [(numbers, np.arange(size)), (numbers[1:], numbers[:-1])]:
        assert abs(np.corrcoef(one, other)[0, 1]) < 0.03
    # Spread evenly: every leading and every last digit is drawn about as often.
    for digit in (numbers // 10 ** (digits - 1), numbers % 10):
        counts = np.bincount(digit, minlength=10)
        assert np.all(np.abs(counts - size / 10) < 6 * np.sqrt(size / 10))


@pytest.mark.parametrize("value", [-1, 10**10, 2**63 - 1])
def test_values_outside_the_domain_are_refused_without_them(value: int) -> None:
    issuer = Issuer(KEY, "member_id", 10)
    for act in (issuer.issue, issuer.counters):
        with pytest.raises(ValueError, match="out of range") as caught:
            act(np.array([0, value], np.int64))
        assert str(value) not in str(caught.value)


def test_other_shapes_and_lengths_are_refused() -> None:
    for digits in (0, 3, 15, 20):
        with pytest.raises(ValueError, match="even number"):
            Issuer(KEY, "link_number", digits)
    wrongs: list[Any] = [np.array([1.0]), np.array([1], np.int32), np.array([[1]])]
    for wrong in wrongs:
        with pytest.raises(TypeError, match="int64"):
            Issuer(KEY, "link_number", 16).issue(wrong)


def test_an_issuer_neither_shows_nor_pickles_its_key() -> None:
    issuer = Issuer(KEY, "link_number", 16)
    assert repr(issuer) == "<Issuer>"
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(issuer)
