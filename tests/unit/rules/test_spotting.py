"""Values that look like a 個人番号, however somebody wrote it."""

from __future__ import annotations

import polars as pl
import pytest

from koukan.rules.spotting import free_of_my_numbers

NUMBER, OTHER = "621498320257", "621498320258"


def free(*values: str | None) -> list[bool | None]:
    column = pl.DataFrame({"value": values}, schema={"value": pl.String})
    return column.select(free_of_my_numbers(pl.col("value")))["value"].to_list()


@pytest.mark.requirement("R100")
@pytest.mark.parametrize(
    "value",
    [
        NUMBER,
        "６２１４９８３２０２５７",
        "6214 9832 0257",
        "6214-9832-0257",
        "６２１４－９８３２－０２５７",
        " 6214　9832‐0257 ",
        "6214ー98320257",
    ],
)
def test_a_number_is_seen_in_whatever_writing(value: str) -> None:
    assert free(value, "高額療養費") == [False, True]


@pytest.mark.parametrize(
    "value",
    [OTHER, NUMBER[:-1], NUMBER + "0", f"No.{NUMBER}", "57600", "〇" * 12, "", "6214,98320257"],
)
def test_other_values_are_let_pass(value: str) -> None:
    assert free(value) == [True]


def test_what_is_absent_stays_so() -> None:
    assert free(None, OTHER, NUMBER, None) == [None, True, False, None]
    assert free(None) == [None]
