"""Invented persons: the same whatever is asked, no two with one number, nobody real."""

from __future__ import annotations

import re

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from koukan.rules.checkdigits import valid_numbers
from koukan.samples.population import Population


@pytest.fixture(scope="module")
def people() -> pl.DataFrame:
    return Population(11).people(0, 20_000)


def test_person_i_is_the_same_whatever_range_is_asked(people: pl.DataFrame) -> None:
    assert_frame_equal(Population(11).people(1_003, 1_100), people[1_003:1_100])
    some = np.array([19_999, 4, 17], np.int64)
    assert_frame_equal(Population(11).select(some), people[[19_999, 4, 17]])


def test_another_seed_is_another_population(people: pl.DataFrame) -> None:
    other = Population(12).people(0, 20_000)

    assert other["my_number"].is_in(people["my_number"].implode()).sum() == 0
    assert (other["name"] == people["name"]).mean() < 0.01


def test_numbers_of_ten_million_persons_are_unique() -> None:
    numbers = Population(3).numbers(np.arange(10_000_000, dtype=np.int64)).cast(pl.Int64)

    assert numbers.n_unique() == 10_000_000


def test_check_digits_are_right(people: pl.DataFrame) -> None:
    for kind, name, length in (
        ("my_number", "my_number", 12),
        ("municipality_code", "municipality_code", 6),
    ):
        assert (people[name].str.len_chars() == length).all()
        assert valid_numbers(kind, people[name].cast(pl.Int64).to_numpy()).all()


def test_the_prefecture_is_nobodys(people: pl.DataFrame) -> None:
    assert people["address"].str.starts_with("架空県").all()
    assert people["municipality_code"].str.starts_with("99").all()
    assert people["post_number"].str.contains("^999[0-9]{4}$").all()


def test_names_and_kana_are_full_width_and_exist_in_cp932(people: pl.DataFrame) -> None:
    kana = re.compile("[ァ-ヴー・　]+")
    for name in ("name_kana", "other_name_kana"):
        assert all(kana.fullmatch(value) for value in people[name].drop_nulls().unique())
    for name in ("name", "name_kana", "other_name", "address", "head_name"):
        values = "".join(people[name].drop_nulls().unique())
        assert len(values.encode("cp932")) == 2 * len(values)
    assert people["name"].str.len_chars().max() <= 50
    assert people["name_kana"].str.len_chars().max() <= 100
    assert people["address"].str.len_chars().max() <= 90


def test_some_names_need_the_ibm_extension_of_cp932(people: pl.DataFrame) -> None:
    for character in "髙﨑彅":
        assert people["name"].str.contains(character).any()


def test_half_of_the_surnames_are_as_short_as_usual(people: pl.DataFrame) -> None:
    surnames = people["name"].str.split("　").list.first()

    assert 0.4 < (surnames.str.len_chars() == 2).mean() < 0.6
    assert people["name"].str.len_chars().max() > 12


def test_one_in_a_hundred_birth_dates_is_uncertain(people: pl.DataFrame) -> None:
    dates = people["birth_date"]

    assert (dates.str.len_chars() == 8).all()
    assert 0.005 < dates.str.ends_with("00").mean() < 0.02
    assert dates.str.ends_with("0000").any()
    known = dates.filter(~dates.str.ends_with("00"))
    assert known.str.to_date("%Y%m%d").null_count() == 0


def test_a_household_shares_address_and_surname(people: pl.DataFrame) -> None:
    by_household = people.group_by("household_number").agg(
        pl.col("address").n_unique().alias("addresses"),
        pl.col("name").str.split("　").list.first().n_unique().alias("surnames"),
        (pl.col("place") == 0).sum().alias("heads"),
        (pl.col("name") == pl.col("head_name")).any().alias("named"),
        pl.len().alias("size"),
    )

    assert (by_household["addresses"] == 1).all()
    assert (by_household["surnames"] == 1).all()
    assert (by_household["heads"] == 1).all()
    assert by_household["named"].all()
    assert set(by_household["size"]) == {1, 2, 3, 4}
