"""Which rows go into which file of which table, and in which order."""

from __future__ import annotations

import random

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from koukan.flows.registration import (
    ascending,
    bucket_frames,
    gathered,
    history_frame,
    insurer_texts,
    partition_frames,
    roster_frames,
    vault_frames,
)
from koukan.rules.line_keys import NONE
from koukan.tables.definition import bucket_label, bucket_of_link, bucket_of_token

INSURERS = [6990014, 1130012, 99]
ODD = np.arange(1, 200, 2)  # places of the lines that were accepted


def events(count: int, insurers: list[int], links: int) -> pl.DataFrame:
    draws = random.Random(count)
    numbers = [draws.randrange(10**16) for _ in range(links)]
    return pl.DataFrame(
        {
            "link_number": [draws.choice(numbers) for _ in range(count)],
            "line_number": range(count),
            "insurer": pl.Series([draws.choice(insurers) for _ in range(count)], dtype=pl.Int32),
        }
    )


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3)), max_size=40),
)
def test_numbers_ascend_and_equal_ones_stay_in_their_order(rows: list[tuple[int, int]]) -> None:
    first = np.array([row[0] for row in rows], np.uint64)
    second = np.array([row[1] for row in rows], np.uint64)
    places = range(len(rows))
    assert ascending(first).tolist() == sorted(places, key=lambda place: rows[place][0])
    assert ascending(first, second).tolist() == sorted(places, key=lambda place: rows[place])


@pytest.mark.parametrize("insurers", [INSURERS[:1], INSURERS])
def test_a_partition_has_an_insurers_rows_in_line_order(insurers: list[int]) -> None:
    rows = events(200, insurers, 50)
    found = dict(partition_frames(gathered(rows, ODD)))
    assert list(found) == sorted(f"{insurer:08d}" for insurer in insurers)
    for code, frame in found.items():
        wanted = rows[ODD].filter(pl.col("insurer") == int(code)).drop("insurer")
        assert frame.equals(wanted)


@pytest.mark.requirement("R028")
def test_who_waits_for_a_number_is_in_the_partition_and_not_in_the_history() -> None:
    rows = events(200, INSURERS, 50)
    waits = rows["line_number"].is_in([1, 2, 3, 51])
    rows = rows.with_columns(link_number=pl.when(~waits).then("link_number").otherwise(NONE))
    found = gathered(rows, ODD)
    entrusted = pl.concat([frame for _, frame in partition_frames(found)])
    null = entrusted.filter(pl.col("link_number").is_null())
    assert sorted(null["line_number"]) == [1, 3, 51]
    history = history_frame(found)
    linked = found.filter(~pl.col("line_number").is_in([1, 3, 51]))
    assert history.drop("insurer_code").equals(linked.drop("insurer"))
    assert history["insurer_code"].cast(pl.String).cast(pl.Int32).equals(linked["insurer"])


@pytest.mark.parametrize("links", [1, 20, 10_000])
def test_the_history_is_put_into_ranges_of_links_in_line_order(links: int) -> None:
    rows = events(500, INSURERS, links)
    told = history_frame(gathered(rows, ODD)).sort("line_number")
    found = list(bucket_frames(told, 4))
    for label, frame in found:
        assert {bucket_label(bucket_of_link(link, 4), 4) for link in frame["link_number"]} == {
            label
        }
    whole = pl.concat([frame for _, frame in found])
    texts = pl.col("insurer").cast(pl.String).str.zfill(8).alias("insurer_code")
    bucket = bucket_of_link(rows["link_number"], 4)
    ordered = rows.sort(bucket, "line_number")
    odd = ordered.filter(pl.col("line_number").is_in(ODD.tolist()))
    assert whole.equals(odd.select("link_number", "line_number", texts))


def test_an_insurers_lines_are_neighbours_in_the_history() -> None:
    rows = events(500, INSURERS, 100)
    found = gathered(rows, ODD)
    assert found["line_number"].to_list() != sorted(found["line_number"])
    assert found.equals(found.sort("insurer", "line_number"))
    assert sorted(found["line_number"]) == ODD.tolist()


def test_the_vault_is_sorted_by_token_in_ranges() -> None:
    draws = random.Random(1)
    high = [draws.randrange(2**64) for _ in range(300)] * 2
    rows = pl.DataFrame(
        {"token_hi": high, "token_lo": [draws.randrange(2**64) for _ in high]},
        schema={"token_hi": pl.UInt64, "token_lo": pl.UInt64},
    )
    found = list(vault_frames(rows, 8))
    for label, frame in found:
        assert {bucket_label(bucket_of_token(part, 8), 8) for part in frame["token_hi"]} == {label}
    assert pl.concat([frame for _, frame in found]).equals(rows.sort("token_hi", "token_lo"))


def test_a_roster_is_sorted_by_member() -> None:
    members = random.Random(1).sample(range(10**10), 100)
    rows = events(100, INSURERS, 10_000).with_columns(pl.Series("member_id", members))
    for code, frame in roster_frames(rows):
        wanted = rows.filter(pl.col("insurer") == int(code)).drop("insurer").sort("member_id")
        assert frame.equals(wanted)


@given(st.lists(st.sampled_from(INSURERS), min_size=1, max_size=20))
def test_codes_of_insurers_have_eight_digits(codes: list[int]) -> None:
    found = insurer_texts(pl.Series(codes, dtype=pl.Int32))
    assert found.name == "insurer_code"
    assert found.to_list() == [f"{code:08d}" for code in codes]
