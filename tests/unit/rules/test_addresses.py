"""Numerals and tokens of addresses, against numbers counted in plain Python."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from spellings import TABLE

from koukan.rules.addresses import in_digits, notation
from koukan.rules.compare import ADDRESS, compare

ONES = "〇一二三四五六七八九"


def counted(number: int, *, whole: bool) -> str:
    """百二十三, or 一百二十三 where `whole`."""
    text = ""
    for place, worth in (("千", 1000), ("百", 100), ("十", 10)):
        digit = number // worth % 10
        if digit:
            text += (ONES[digit] if digit > 1 or whole else "") + place
    return text + (ONES[number % 10] if number % 10 else "")


def positional(number: int) -> str:
    return "".join(ONES[int(digit)] for digit in str(number))


def digits(values: list[str]) -> list[str]:
    return pl.DataFrame({"a": values}).select(in_digits(pl.col("a"))).to_series().to_list()


def test_every_number_is_read_in_every_way_of_writing() -> None:
    numbers = [*range(1, 10_000)]
    wanted = [str(number) for number in numbers]
    assert digits([counted(number, whole=False) for number in numbers]) == wanted
    assert digits([counted(number, whole=True) for number in numbers]) == wanted
    assert digits([positional(number) for number in numbers]) == wanted
    assert digits([positional(number * 7919) for number in numbers]) == [
        str(number * 7919) for number in numbers
    ]


@pytest.mark.parametrize("text", ["百千", "十百", "二三十", "三12", "十〇", "1二", "12", ""])
def test_what_is_no_number_in_kanji_stays(text: str) -> None:
    assert digits([text]) == [text]


def test_an_absent_address_stays_absent_and_an_empty_one_empty() -> None:
    column = pl.DataFrame({"a": [None, "", "町"]}, schema={"a": pl.String})
    assert column.select(notation(pl.col("a"), {})).to_series().to_list() == [None, "", "町"]


@pytest.mark.parametrize(
    ("address", "rewritten"),
    [
        ("三番町", "三番町"),
        ("西三番館1号", "西三番館1"),
        ("1号線2号地", "1号線2号地"),
        ("1番2", "1-2"),
        ("1号丁目2", "1-2"),
        ("1--2", "1--2"),
        ("1番地ノ家", "1ノ家"),
        ("ノ1", "ノ1"),
        ("-1-", "-1-"),
        ("十条1", "10条1"),
        ("二ノ三", "2-3"),
        ("三ノ輪", "三ノ輪"),
        ("五十嵐", "五十嵐"),
    ],
)
def test_only_chains_of_numbers_are_rewritten(address: str, rewritten: str) -> None:
    frame = pl.DataFrame({"a": [address]})
    assert frame.select(notation(pl.col("a"), {})).item() == rewritten


# --- places: the same one in every notation, never two as one

Place = tuple[str, tuple[int, ...], str]  # town, numbers, house
TOWNS = ("栄町", "三番町", "三田", "北一条西", "八王子", "霞が関", "麻布十番", "二十四軒", "八丁堀")
WAYS: tuple[Callable[[int], str], ...] = (
    str,
    positional,
    lambda number: counted(number, whole=False),
    lambda number: str(number).translate(str.maketrans("0123456789", "０１２３４５６７８９")),
)
UNITS = {1: ("番地",), 2: ("番", "号"), 3: ("丁目", "番", "号"), 4: ("丁目", "番", "号", "号室")}


def written(place: Place, way: int, style: int) -> str:
    town, numbers, house = place
    texts = [WAYS[way](number) for number in numbers]
    if style == 0:
        chain = "".join(map("".join, zip(texts, UNITS[len(texts)], strict=True)))
    elif style == 1 and len(texts) > 1:
        chain = f"{texts[0]}番地" + "の".join(texts[1:])
    elif len(texts) > 1:
        chain = "－-の"[style - 2].join(texts)
    else:  # in kanji a number alone could not be told from a name
        chain = str(numbers[0])
    return f"{town}{chain}{'　' if style else ''}{house}"


near = st.sampled_from([1, 2, 3, 10, 12, 20, 21, 23, 120, 203])  # run together they look alike
number_lists = st.lists(near, min_size=1, max_size=4).map(tuple)
places = st.tuples(st.sampled_from(TOWNS), number_lists, st.sampled_from(["", "見本荘", "メゾン"]))


@given(
    one=places,
    others=number_lists,
    ways=st.tuples(st.integers(0, 3), st.integers(0, 3)),
    styles=st.tuples(st.integers(0, 4), st.integers(0, 4)),
)
def test_one_place_is_one_in_every_notation_and_two_are_never_one(
    one: Place, others: tuple[int, ...], ways: tuple[int, int], styles: tuple[int, int]
) -> None:
    other = (one[0], others, one[2])
    asked = [written(one, ways[0], styles[0])] * 2
    returned = [written(place, ways[1], styles[1]) for place in (one, other)]
    same, maybe = compare(pl.Series(asked), pl.Series(returned), ADDRESS, TABLE)
    assert same <= "7", (asked, returned)
    assert (maybe <= "7") == (one == other), (asked, returned)
