"""Who has which token: files of the vault as they are, and as they hardly ever are."""

from __future__ import annotations

import polars as pl
import pytest

from koukan.rules.tokens import TOKEN, linked

TYPES = (pl.UInt64, pl.UInt64, pl.Int64)
TOP = 2**64 - 1
Rows = list[tuple[int, int, int]]


@pytest.mark.parametrize(
    "held",
    [
        [(1, 11, 101), (5, 55, 105), (TOP, 1, 199)],  # searched
        [(5, 55, 105), (TOP, 1, 199), (1, 11, 101)],  # not sorted
        [(1, 11, 101), (5, 54, 104), (5, 55, 105), (TOP, 1, 199)],  # one half twice
    ],
    ids=["sorted", "unsorted", "half twice"],
)
def test_a_token_is_found_by_both_halves_wherever_it_lies(held: Rows) -> None:
    asked = [(0, 5, 55), (1, TOP, 1), (2, 5, 56), (3, 2, 22), (4, 1, 11), (5, 5, 55), (6, 0, 0)]
    assert found(asked, held) == {0: 105, 1: 199, 4: 101, 5: 105}


def test_a_file_without_rows_has_nobody() -> None:
    assert found([(0, 5, 55)], []) == {}
    assert found([], [(5, 55, 105)]) == {}


def found(asked: Rows, held: Rows) -> dict[int, int]:
    wanted = pl.DataFrame(
        asked,
        schema={"row": pl.Int64, "token_hi": pl.UInt64, "token_lo": pl.UInt64},
        orient="row",
    )
    rows = pl.DataFrame(held, schema=dict(zip(TOKEN, TYPES, strict=True)), orient="row")
    result = linked(wanted, rows)
    assert result.schema == {"row": pl.Int64, "link_number": pl.Int64}
    assert result["row"].is_unique().all()
    return dict(result.iter_rows())
