"""Check digits against published vectors, against python-stdnum, and their power to detect."""

from __future__ import annotations

import random

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum.jp import cn, in_

from koukan.rules.checkdigits import KINDS, check_digit, complete, valid, valid_numbers

VALID = {
    "my_number": """
        621498320257 123456789018 983205673214 379474484458 454972364860 507957100721 000000000000
        111111111118 123456789050 123456789000 123456789069 123456789018 123456789077 123456789026
        123456789085 123456789034 123456789093 123456789042 123456789131""",
    "corporate_number": """
        8700110005901 7000012050002 1180301018771 5835678256246 8000012010038 5010001192707
        3000012010001 1020281079130 9700110005909 8700110005901 7700110005902 6700110005903
        5700110005904 4700110005905 3700110005906 2700110005907 1700110005908""",
    "insurer_number": """
        06130488 01130012 33120015 31130354 39131156 06139992 01270016 12345674 138016 138040 138123
        133033 143016 271007 010017 01130012 02130011 03130010 04130019 06130017 07130016 31130016
        32130015 33130014 34130013 39130018 63130017 67130013 72130016 73130015 74130014
        75130013""",
    "public_payer_number": """
        54016027 81136244 81137242 88138243 88131248 89131247 12010013 10136018 11136017 12136016
        13136015 14136014 15136013 16136012 21136015 28136018 38136016 51136018 52136017 54136015
        80136013 88136015 89136014""",
    "recipient_number": "1234566 0000018 9999996",
    "institution_code": "3410712362 1310112345 1330132349 1340142346 1344000011",
    "municipality_code": """
        012131 012050 012149 012068 012157 010006 012025 012084 012033 011002 012041 131016 131121
        271004 401307 472018 999997""",
    "resident_record_code": """
        24727059608 24846016224 25208017643 12345678970 12345678920 12345678989 12345678938
        12345678997 12345678946 12345679055 12345678954 12345678903 12345678962 12345678911""",
}
INVALID = {
    "my_number": "621498320258 983205673210 507957100722 210987654321",
    "corporate_number": "1234567890123 2835678256246 3000012050003",
    "insurer_number": "06130480 01120032 12345678 138010 271001",
    "public_payer_number": "80136712 87654321 11137016",  # the last: two digits changed places
    "recipient_number": "0000002",
    "institution_code": "3410712360 3410712364",
    "municipality_code": "012130 999999",
    "resident_record_code": "25208017644",
}
EXACT = {  # digit by remainder 0, 1, 2, …
    "my_number": (0, 0, 9, 8, 7, 6, 5, 4, 3, 2, 1),
    "resident_record_code": (0, 0, 9, 8, 7, 6, 5, 4, 3, 2, 1),
    "municipality_code": (1, 0, 9, 8, 7, 6, 5, 4, 3, 2, 1),
    "corporate_number": (9, 8, 7, 6, 5, 4, 3, 2, 1),
}
# Share of errors that are noticed (of 3,000 random numbers, in the research), with room for chance.
SINGLE = {
    "insurer_number": (1.0, 1.0),
    "public_payer_number": (1.0, 1.0),
    "recipient_number": (1.0, 1.0),
    "institution_code": (1.0, 1.0),
    "my_number": (0.970, 0.995),
    "resident_record_code": (0.970, 0.996),
    "municipality_code": (0.970, 0.997),
    "corporate_number": (0.965, 0.990),
}
SWAPS = (0.965, 0.995)
FOLDED = ("insurer_number", "public_payer_number", "recipient_number", "institution_code")


def slow(kind: str, body: str) -> str:
    """The formulas as the notices tell them, digit by digit."""
    if kind in FOLDED:
        total = 0
        for place, digit in enumerate(reversed(body)):
            product = int(digit) * (1 if place % 2 else 2)
            total += product // 10 + product % 10
        return str(-total % 10)
    if kind == "corporate_number":
        places = enumerate(reversed(body), 1)
        return str(9 - sum(int(digit) * (1 if n % 2 else 2) for n, digit in places) % 9)
    if kind == "municipality_code":
        weights = (6, 5, 4, 3, 2)
        total = sum(int(digit) * weight for digit, weight in zip(body, weights, strict=True))
        return str((11 - total % 11) % 10)
    weights = (6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2)[-len(body) :]
    rest = sum(int(digit) * weight for digit, weight in zip(body, weights, strict=True)) % 11
    return "0" if rest <= 1 else str(11 - rest)


def whole(kind: str, body: str) -> str:
    digit = slow(kind, body)
    return digit + body if KINDS[kind].leading else body + digit


def judged(kind: str, numbers: list[str | None]) -> list[bool | None]:
    frame = pl.DataFrame({"number": numbers}, schema={"number": pl.String})
    return frame.select(valid(kind, pl.col("number")))["number"].to_list()


@pytest.mark.parametrize("kind", KINDS)
def test_published_numbers_are_right(kind: str) -> None:
    numbers = VALID[kind].split()
    assert judged(kind, list(numbers)) == [True] * len(numbers)


@pytest.mark.parametrize("kind", KINDS)
def test_published_wrong_numbers_are_wrong(kind: str) -> None:
    numbers = INVALID[kind].split()
    assert judged(kind, list(numbers)) == [False] * len(numbers)


@pytest.mark.parametrize("kind", EXACT)
def test_every_remainder_gives_its_own_digit(kind: str) -> None:
    assert tuple(KINDS[kind].digit(rest) for rest in range(len(EXACT[kind]))) == EXACT[kind]


def test_an_institution_code_needs_all_nine_digits_before_its_check_digit() -> None:
    # The last six alone would give 4, which is wrong.
    assert check_digit("institution_code", np.array([341071236])).tolist() == [2]
    assert check_digit("institution_code", np.array([71236])).tolist() == [4]


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_the_tables_agree_with_the_formulas(kind: str, data: st.DataObject) -> None:
    length = KINDS[kind].body
    bodies = data.draw(st.lists(st.integers(0, 10**length - 1), min_size=1, max_size=50))
    texts = [f"{body:0{length}d}" for body in bodies]
    numbers = np.array(bodies)
    assert check_digit(kind, numbers).tolist() == [int(slow(kind, body)) for body in texts]
    wanted = [whole(kind, body) for body in texts]
    made = complete(kind, numbers)
    assert made.tolist() == [int(number) for number in wanted]
    assert valid_numbers(kind, made).all()
    assert judged(kind, list(wanted)) == [True] * len(wanted)


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_columns_of_numbers_and_of_strings_are_judged_alike(kind: str, data: st.DataObject) -> None:
    length = KINDS[kind].body + 1
    numbers = data.draw(st.lists(st.integers(0, 10**length - 1), min_size=1, max_size=50))
    texts: list[str | None] = [f"{number:0{length}d}" for number in numbers]
    assert judged(kind, texts) == valid_numbers(kind, np.array(numbers)).tolist()


@pytest.mark.parametrize("kind", FOLDED)
def test_zeros_on_the_left_do_not_change_the_check_digit(kind: str) -> None:
    for body in ("13801", "00018", "99999"):
        assert slow(kind, body) == slow(kind, "00" + body)
    assert judged("insurer_number", ["138016", "00138016"]) == [True, True]


def test_what_is_no_number_is_neither_right_nor_wrong() -> None:
    strange = [None, "", "12345678901X", "１２３４５６７８９０１８", "9" * 30]
    assert judged("my_number", strange) == [None] * len(strange)


@pytest.mark.parametrize(("kind", "module"), [("my_number", in_), ("corporate_number", cn)])
def test_python_stdnum_judges_the_same_numbers_alike(kind: str, module: object, long: bool) -> None:
    draws = random.Random(20260401)
    length = KINDS[kind].body + 1
    count = 100_000 if long else 5_000
    numbers = [f"{draws.randrange(10**length):0{length}d}" for _ in range(count)]
    numbers += [whole(kind, number[1:]) for number in numbers[: count // 2]]
    theirs = [module.is_valid(number) for number in numbers]  # type: ignore[attr-defined]
    assert judged(kind, list(numbers)) == theirs
    assert sum(theirs) > count // 2


def changed(kind: str, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Right numbers as digits; each with one digit changed; each with two neighbours swapped."""
    draws = np.random.default_rng(85)
    length = KINDS[kind].body + 1
    right = complete(kind, draws.integers(0, 10 ** (length - 1), count))
    digits = right[:, None] // 10 ** np.arange(length - 1, -1, -1) % 10
    place = draws.integers(0, length, count)
    rows = np.arange(count)
    single = digits.copy()
    single[rows, place] = (single[rows, place] + draws.integers(1, 10, count)) % 10
    at = draws.integers(0, length - 1, count)
    swapped = digits.copy()
    swapped[rows, at], swapped[rows, at + 1] = digits[rows, at + 1], digits[rows, at]
    differing = digits[rows, at] != digits[rows, at + 1]
    return digits, single, swapped[differing], np.flatnonzero(differing)


def numbers_of(digits: np.ndarray) -> np.ndarray:
    return np.asarray((digits * 10 ** np.arange(digits.shape[1] - 1, -1, -1)).sum(axis=1))


@pytest.mark.parametrize("kind", KINDS)
def test_changed_digits_are_noticed_as_often_as_the_formula_allows(kind: str) -> None:
    _, single, swapped, _ = changed(kind, 50_000)
    noticed = 1 - valid_numbers(kind, numbers_of(single)).mean()
    low, high = SINGLE[kind]
    assert low <= noticed <= high
    noticed = 1 - valid_numbers(kind, numbers_of(swapped)).mean()
    assert SWAPS[0] <= noticed <= SWAPS[1]


@pytest.mark.parametrize("kind", FOLDED)
def test_a_folded_digit_misses_no_swap_but_that_of_nought_and_nine(kind: str) -> None:
    digits, _, swapped, rows = changed(kind, 50_000)
    missed = valid_numbers(kind, numbers_of(swapped))
    apart = np.abs(digits[rows] - swapped).max(axis=1)
    assert set(apart[missed].tolist()) == {9}
    assert missed[apart == 9].all()


def test_some_wrong_digits_of_a_my_number_go_unnoticed() -> None:
    # Remainders 0 and 1 both give 0: "any changed digit is rejected" would be false.
    digits, single, _, _ = changed("my_number", 50_000)
    missed = valid_numbers("my_number", numbers_of(single))
    assert missed.any()
    weights = np.array([6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2])
    rests = (digits[:, :11] * weights).sum(axis=1) % 11
    assert set(rests[missed].tolist()) <= {0, 1}
