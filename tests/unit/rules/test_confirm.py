"""Who confirms a package must name it, have it from us, and know its archive's hash."""

from __future__ import annotations

import polars as pl

from koukan.rules.confirm import CONFIRMED, judge

HASH, OTHER = "ab" * 32, "cd" * 32
PACKAGES = pl.DataFrame(
    {
        "sender": ["kenpo-a", "kenpo-a", "kenpo-b"],
        "package_name": ["PK_1", "PK_2", "PK_3"],
        "known": [HASH, HASH, HASH],
        "open": [True, False, True],
    }
)


def codes(*said: tuple[str, str, str]) -> list[str]:
    frame = pl.DataFrame(
        [(row, *line) for row, line in enumerate(said)],
        schema={
            "row": pl.Int64,
            "sender": pl.String,
            "package_name": pl.String,
            "archive_sha256": pl.String,
        },
        orient="row",
    )
    found = judge(frame, PACKAGES)
    assert found["row"].to_list() == list(range(len(said)))
    return found["code"].to_list()


def test_the_right_hash_confirms_in_either_case_of_letters() -> None:
    assert codes(("kenpo-a", "PK_1", HASH)) == [CONFIRMED]
    assert codes(("kenpo-a", "PK_1", HASH.upper())) == [CONFIRMED]


def test_another_hash_and_another_senders_package_confirm_nothing() -> None:
    assert codes(("kenpo-a", "PK_1", OTHER)) == ["R502"]
    assert codes(("kenpo-b", "PK_1", HASH)) == ["R501"]
    assert codes(("kenpo-a", "PK_9", HASH)) == ["R501"]


def test_a_package_is_confirmed_once() -> None:
    again = ("kenpo-a", "PK_1", HASH)
    assert codes(again, again) == [CONFIRMED, "D501"]
    assert codes(("kenpo-a", "PK_1", OTHER), again) == ["R502", CONFIRMED]
    assert codes(("kenpo-a", "PK_2", HASH)) == ["D501"]
    assert codes(("kenpo-a", "PK_2", OTHER)) == ["R502"]


def test_no_lines_are_no_codes() -> None:
    assert codes() == []
