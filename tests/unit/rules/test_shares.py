"""Shares of bad lines that refuse a whole file."""

from __future__ import annotations

import pytest
from plain_files import shipped_format

from koukan.formats import Policy
from koukan.rules.shares import beyond

FORM = shipped_format("csv").model_copy(
    update={"undecodable_share": 0.01, "reject_share": 0.5, "share_floor": 100}
)


@pytest.mark.parametrize(
    ("rows", "undecodable", "rejected", "code"),
    [
        (1_000, 0, 0, None),
        (1_000, 10, 10, None),  # exactly the share is still allowed
        (1_000, 11, 11, "F120"),
        (1_000, 0, 500, None),
        (1_000, 0, 501, "F121"),
        (1_000, 11, 501, "F120"),  # what cannot be read is said first
        (99, 99, 99, None),  # too few lines to judge a share
        (100, 2, 2, "F120"),
        (100, 0, 51, "F121"),
        (0, 0, 0, None),
    ],
)
def test_a_share_beyond_the_policy_refuses_the_file(
    rows: int, undecodable: int, rejected: int, code: str | None
) -> None:
    assert beyond(FORM, rows, undecodable, rejected) == code


def test_a_floor_of_nought_judges_every_file_that_has_lines() -> None:
    form = FORM.model_copy(update={"share_floor": 0})
    assert beyond(form, 0, 0, 0) is None
    assert beyond(form, 1, 0, 1) == "F121"


@pytest.mark.parametrize(
    ("policy", "rejected", "code"),
    [
        (Policy(), 51, "F121"),
        (Policy(reject_share_beyond="hold"), 50, None),
        (Policy(reject_share_beyond="hold"), 51, "H105"),
        (Policy(reject_share_beyond="warn"), 51, "W503"),
        (Policy(reject_share_beyond="warn", reject_share=0.1), 11, "W503"),
        (Policy(reject_share_beyond="hold", reject_share=1), 100, None),
    ],
)
def test_the_policy_says_how_many_and_what_then(
    policy: Policy, rejected: int, code: str | None
) -> None:
    assert beyond(FORM, 100, 0, rejected, policy) == code
    assert (
        beyond(FORM, 100, 2, rejected, policy) == "F120"
    )  # what cannot be read is nobody's policy
