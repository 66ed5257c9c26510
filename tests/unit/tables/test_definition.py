from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.tables.support import BASIC, HISTORY, LIMITS

from koukan.tables.definition import (
    MIXED,
    TableDefinition,
    bucket_label,
    bucket_labels,
    bucket_of_link,
    bucket_of_token,
    key_partition,
    links_of_bucket,
    partition_name,
)

POWERS = st.integers(0, 16).map(lambda power: 2**power)


@given(st.integers(0, 10**16 - 1), POWERS)
def test_bucket_of_a_link_number_is_the_exact_range_on_every_kind_of_column(
    link: int, buckets: int
) -> None:
    exact = link * buckets // 10**16
    column = pl.Series("link", [link], dtype=pl.Int64)
    assert bucket_of_link(link, buckets) == exact
    assert bucket_of_link(column, buckets).to_list() == [exact]
    assert bucket_of_link(np.array([link]), buckets).tolist() == [exact]
    assert column.to_frame().select(bucket_of_link(pl.col("link"), buckets)).item() == exact


@given(st.integers(0, 2**64 - 1), POWERS)
def test_bucket_of_a_token_is_its_top_bits_on_every_kind_of_column(
    token: int, buckets: int
) -> None:
    exact = token * buckets >> 64
    column = pl.Series("token", [token], dtype=pl.UInt64)
    assert bucket_of_token(token, buckets) == exact
    assert bucket_of_token(column, buckets).to_list() == [exact]
    assert bucket_of_token(np.array([token], dtype=np.uint64), buckets).tolist() == [exact]
    assert column.to_frame().select(bucket_of_token(pl.col("token"), buckets)).item() == exact


def test_sorted_link_numbers_give_contiguous_and_even_buckets() -> None:
    links = np.sort(np.random.default_rng(3).integers(0, 10**16, 64_000))
    buckets = bucket_of_link(links, 64)
    assert (np.diff(buckets) >= 0).all()
    assert np.bincount(buckets, minlength=64).min() > 800


@given(st.integers(0, 10**16 - 1), POWERS)
def test_a_bucket_is_exactly_the_links_between_its_first_and_last(link: int, buckets: int) -> None:
    first, last = links_of_bucket(bucket_label(bucket_of_link(link, buckets), buckets), buckets)
    assert first <= link <= last
    for number, own in ((first, True), (first - 1, False), (last, True), (last + 1, False)):
        if 0 <= number < 10**16:
            assert (bucket_of_link(number, buckets) == bucket_of_link(link, buckets)) == own


@pytest.mark.parametrize("label", ["4", "mixed", "01"])
def test_what_is_no_bucket_has_no_links(label: str) -> None:
    with pytest.raises(ValueError, match="no such bucket"):
        links_of_bucket(label, 4)


def test_rows_are_spread_by_their_link_number_alone() -> None:
    mixed = {"bucket": MIXED, "section": "basic"}
    replace(HISTORY, spread=True).check_partition(mixed)
    with pytest.raises(ValueError, match="no such bucket"):
        HISTORY.check_partition(mixed)
    for columns in ({"a": pl.String}, {"token": pl.UInt64}):
        with pytest.raises(ValueError, match="link_number"):
            TableDefinition("t", ("bucket",), {"": columns}, 4, spread=True)
    with pytest.raises(ValueError, match="link_number"):
        TableDefinition("t", (), {"": {"link_number": pl.Int64}}, None, spread=True)


def test_labels_sort_as_the_buckets_do() -> None:
    labels = bucket_labels(1024)
    assert labels[3] == "0003"
    assert list(labels) == sorted(labels)
    assert bucket_label(3, 16) == "03"
    assert bucket_labels(1) == ("0",)
    with pytest.raises(ValueError, match="no such bucket"):
        bucket_label(16, 16)


@pytest.mark.parametrize("buckets", [0, 3, 12, -4, 2**17])
def test_a_number_of_buckets_that_is_no_power_of_two_is_an_error(buckets: int) -> None:
    with pytest.raises(ValueError, match="power of two"):
        bucket_of_link(1, buckets)


def test_a_partition_has_one_canonical_name() -> None:
    assert partition_name({"section": "basic", "bucket": "03"}) == "bucket=03,section=basic"


def test_sections_of_an_insurer_or_a_bucket_share_the_key() -> None:
    entrusted = TableDefinition(
        "entrusted_partition", ("insurer", "section"), {"basic": {"a": pl.String}}, None
    )
    assert key_partition(entrusted, {"section": "basic", "insurer": "01130012"}) == (
        "insurer=01130012"
    )
    assert key_partition(HISTORY, BASIC) == key_partition(HISTORY, LIMITS) == "bucket=2"
    assert key_partition(TableDefinition("t", (), {"": {"a": pl.String}}, None), {}) == "whole"


@pytest.mark.parametrize(
    "values",
    [
        {"bucket": "2"},
        {"bucket": "02", "section": "basic"},
        {"bucket": "4", "section": "basic"},
        {"bucket": "²", "section": "basic"},
        {"bucket": "../2", "section": "basic"},
        {"bucket": "2", "section": "other"},
        {"bucket": "2", "section": "basic", "month": "202404"},
    ],
)
def test_a_partition_with_other_columns_or_values_is_an_error(values: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"partition|section|bucket"):
        HISTORY.check_partition(values)


@pytest.mark.parametrize(
    ("partition_by", "sections", "buckets"),
    [
        (("section",), {"": {"a": pl.String}}, None),
        (("month",), {"basic": {"a": pl.String}}, None),
        (("bucket",), {"": {"a": pl.String}}, None),
        (("month",), {"": {"a": pl.String}}, 4),
        (("month",), {"": {"month": pl.String}}, None),
        (("month",), {"": {}}, None),
        (("Month",), {"": {"a": pl.String}}, None),
        ((), {}, None),
    ],
)
def test_a_definition_that_contradicts_itself_is_an_error(
    partition_by: tuple[str, ...], sections: dict[str, dict[str, pl.DataType]], buckets: int | None
) -> None:
    with pytest.raises(ValueError, match=r"section|bucket|identifier"):
        TableDefinition("t", partition_by, sections, buckets)
