"""Packed strings: what plain Python says of each value, whatever lies beside it."""

from __future__ import annotations

import re

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from koukan.codecs.digits import counted_before
from koukan.codecs.packed import NOWHERE, numbers, packed, places, present, printable

# Digits, neighbours of digits and of the printable characters, and what is longer than a view.
VALUES = st.one_of(
    st.text("0123456789", max_size=14),
    st.text("09/:!~ \x7f\x00aア", max_size=14),
    st.text(st.characters(codec="utf-8"), max_size=5),
)
COLUMNS = st.lists(VALUES, min_size=1, max_size=30)


def is_number(value: str, shortest: int, longest: int) -> bool:
    return re.fullmatch(f"[0-9]{{{shortest},{min(longest, 12)}}}", value) is not None


@pytest.mark.parametrize("span", [(8, 8), (1, 1), (6, 8), (10, 10), (12, 12), (1, 20), (9, 11)])
@given(values=COLUMNS)
def test_numbers_are_read_as_python_reads_them(values: list[str], span: tuple[int, int]) -> None:
    found, right = numbers(packed(pl.Series(values)), *span)
    assert right.tolist() == [is_number(value, *span) for value in values]
    assert found[right].tolist() == [int(value) for value in values if is_number(value, *span)]


@pytest.mark.parametrize("span", [(1, 1), (8, 8), (1, 12), (9, 12), (2, 20)])
@given(values=COLUMNS)
def test_printable_characters_are_those_from_exclamation_mark_to_tilde(
    values: list[str], span: tuple[int, int]
) -> None:
    shortest, longest = span[0], min(span[1], 12)
    right = printable(packed(pl.Series(values)), *span)
    pattern = re.compile(f"[!-~]{{{shortest},{longest}}}")
    assert right.tolist() == [pattern.fullmatch(value) is not None for value in values]


@pytest.mark.parametrize("place", range(12))
@pytest.mark.parametrize("octet", [0x00, 0x20, 0x21, 0x2F, 0x30, 0x39, 0x3A, 0x7E, 0x7F])
def test_one_byte_among_twelve_is_noticed(place: int, octet: int) -> None:
    value = "123456789012"
    value = value[:place] + chr(octet) + value[place + 1 :]
    column = packed(pl.Series([value]))
    assert numbers(column, 12, 12)[1].tolist() == [0x30 <= octet <= 0x39]
    assert printable(column, 12, 12).tolist() == [0x21 <= octet <= 0x7E]


@given(values=COLUMNS)
@example(values=["0\0", "0", "01", "0\x001", "\x000", ""])
def test_codes_are_found_among_others(values: list[str]) -> None:
    known = ["0", "9", "01", "10", "a"]
    found = places(packed(pl.Series(values)), known)
    assert found.tolist() == [known.index(value) if value in known else NOWHERE for value in values]


def test_a_slice_and_pieces_of_a_column_are_its_values() -> None:
    whole = pl.concat([pl.Series(["1", "22"]), pl.Series(["333", "4444"])], rechunk=False)
    assert numbers(packed(whole), 1, 4)[0].tolist() == [1, 22, 333, 4444]
    assert numbers(packed(whole[1:3]), 1, 4)[0].tolist() == [22, 333]
    assert numbers(packed(whole.rechunk()[2:]), 1, 4)[0].tolist() == [333, 4444]
    assert not len(numbers(packed(whole[:0]), 1, 4)[0])


@given(st.lists(st.booleans(), max_size=70))
def test_what_lies_before_a_place_is_counted(flags: list[bool]) -> None:
    found = counted_before(np.array(flags, np.bool_), np.arange(len(flags) + 1))
    assert found.tolist() == [sum(flags[:place]) for place in range(len(flags) + 1)]


@given(st.lists(st.one_of(st.none(), st.text(max_size=3)), max_size=40), st.data())
def test_what_a_column_gives_is_told_also_of_a_slice(
    values: list[str | None], data: st.DataObject
) -> None:
    cut = data.draw(st.integers(0, len(values)))
    start = data.draw(st.integers(0, len(values)))
    column = pl.concat(
        [pl.Series(values[:cut], dtype=pl.String), pl.Series(values[cut:], dtype=pl.String)]
    )
    found = present(column[start:])
    wanted = [value is not None for value in values[start:]]
    assert (found is None) == all(wanted)
    assert found is None or found.tolist() == wanted
