"""The resident register: what became of the invented persons, and the file of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from koukan.rules.checkdigits import valid_numbers
from koukan.samples import residents as module
from koukan.samples.population import Population
from koukan.samples.residents import residents, write_population

COUNT = 30_000


@pytest.fixture(scope="module")
def register() -> pl.DataFrame:
    return residents(Population(11), np.arange(COUNT, dtype=np.int64))


@pytest.fixture(scope="module")
def people() -> pl.DataFrame:
    return Population(11).people(0, COUNT)


def _share(frame: pl.DataFrame, name: str) -> float:
    return frame.filter(pl.col(name) != "").height / COUNT


def test_life_went_on_for_some(register: pl.DataFrame, people: pl.DataFrame) -> None:
    for name, share in (("death_date", 0.015), ("moved_date", 0.04), ("renumbered_date", 0.01)):
        assert share * 0.7 < _share(register, name) < share * 1.3
    unknown = people.join(register, on="person", how="anti")
    assert 0.015 < unknown.height / COUNT < 0.025
    happened = register.filter(pl.col("moved_date") != "")
    assert (happened["moved_date"] >= "20250401").all()
    assert (happened["moved_date"] <= "20260331").all()


def test_those_who_stayed_are_as_everybody_knows_them(
    register: pl.DataFrame, people: pl.DataFrame
) -> None:
    dates = ("death_date", "moved_date", "renumbered_date")
    same = register.filter(*(pl.col(name) == "" for name in dates))
    joined = same.join(people, on="person", suffix="_known")
    for name in ("my_number", "name", "birth_date", "sex", "address", "municipality_code"):
        assert (joined[name] == joined[f"{name}_known"]).all()
    assert (joined["municipality_name"] + joined["address_detail"] == joined["address"]).all()
    assert set(joined["resident_class"]) == {"1", "2"}


def test_who_moved_has_both_addresses(register: pl.DataFrame, people: pl.DataFrame) -> None:
    moved = register.filter(pl.col("moved_date") != "").join(people, on="person", suffix="_known")
    assert (moved["old_address"] == moved["address_known"]).all()
    assert (moved["address"] != moved["old_address"]).all()
    assert (moved["my_number"] == moved["my_number_known"]).all()


def test_a_changed_number_is_a_good_one_that_nobody_else_has(
    register: pl.DataFrame, people: pl.DataFrame
) -> None:
    changed = register.filter(pl.col("old_my_number") != "")
    joined = changed.join(people, on="person", suffix="_known")
    assert (joined["old_my_number"] == joined["my_number_known"]).all()
    assert register["my_number"].n_unique() == register.height
    assert not changed["my_number"].is_in(people["my_number"].implode()).any()
    assert valid_numbers("my_number", register["my_number"].cast(pl.Int64).to_numpy()).all()


def test_of_two_with_the_same_name_each_knows_the_other(register: pl.DataFrame) -> None:
    double = register.filter(pl.col("namesake").is_not_null())
    assert 40 < double.height < 400
    pairs = double.join(double, left_on="namesake", right_on="person", suffix="_other")
    assert pairs.height == double.height
    for name in ("name", "birth_date", "sex", "address"):
        assert (pairs[name] == pairs[f"{name}_other"]).all()
    assert (pairs["my_number"] != pairs["my_number_other"]).all()


def test_the_dead_are_no_residents(register: pl.DataFrame) -> None:
    dead = register.filter(pl.col("death_date") != "")
    assert set(dead["resident_class"]) == {"3"}
    assert not dead["moved_date"].is_in(dead["death_date"].implode()).any()


def test_kana_are_missing_or_long_for_some(register: pl.DataFrame, people: pl.DataFrame) -> None:
    assert 0.02 < 1 - _share(register, "name_kana") - 0.02 < 0.05
    assert register["name_kana"].str.contains("ー").sum() > 200
    assert people["name_kana"].str.contains("ー").sum() == 0


def test_the_file_is_the_register(
    register: pl.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PIECE", 7_000)
    path = tmp_path / "population.csv"
    assert write_population(path, 11, COUNT) == register.height
    found = pl.read_csv(path, infer_schema=False)

    wanted = register.with_columns(pl.all().cast(pl.String).fill_null(""))
    assert_frame_equal(
        found.fill_null(""), wanted.sort(pl.col("person").cast(pl.Int64)), check_row_order=False
    )
    assert path.stat().st_mode & 0o777 == 0o600
    assert [item.name for item in tmp_path.iterdir()] == ["population.csv"]


def test_the_same_seed_writes_the_same_bytes(tmp_path: Path) -> None:
    contents = []
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        write_population(tmp_path / name, seed, 500)
        contents.append((tmp_path / name).read_bytes())
    write_population(tmp_path / "a", 4, 500)

    assert contents[0] == contents[1] != contents[2]
    assert (tmp_path / "a").read_bytes() == contents[2]
    assert contents[0].startswith(b"person,my_number,name,")


def test_nobody_is_a_register_too(tmp_path: Path) -> None:
    assert write_population(tmp_path / "nobody", 3, 0) == 0
    assert (tmp_path / "nobody").read_bytes().count(b"\n") == 1
