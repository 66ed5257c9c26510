"""Which policy counts, and what a wrong one is told."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from plain_files import shipped_format

from koukan.engine.centre import format_folders
from koukan.formats import Policies, Policy, load_catalogue
from koukan.formats.policy import share_of

FORM = shipped_format("csv").model_copy(update={"reject_share": 0.5})
USUAL = Policy(
    sequence_gap="hold", end_mismatch="refuse", late_days=10, reject_share_beyond="refuse"
)
LAX = Policy(
    sequence_gap="warn",
    end_mismatch="hold",
    late_days=0,
    reject_share=0.9,
    reject_share_beyond="warn",
)
STRICT = Policy(reject_share=0.1, late_days=3)


def test_what_one_place_leaves_out_the_one_before_it_says() -> None:
    mine = STRICT.over(LAX)
    assert (mine.sequence_gap, mine.late_days, mine.reject_share) == ("warn", 3, 0.1)
    assert Policy().over(USUAL) == USUAL
    assert Policy(late_days=0).over(USUAL).late_days == 0  # nought is said, too


@pytest.mark.parametrize(
    ("insurers", "gap", "end", "days", "share", "beyond"),
    [
        ([], "hold", "refuse", 10, 0.5, "refuse"),  # a file that names nobody
        (["1"], "warn", "hold", 0, 0.9, "warn"),
        (["2"], "hold", "refuse", 10, 0.5, "refuse"),
        (["1", "2"], "hold", "refuse", 10, 0.5, "refuse"),  # the format's own share is stricter
        (["1", "3"], "warn", "hold", 3, 0.1, "warn"),
    ],
)
def test_a_file_of_several_insurers_meets_the_strictest_of_theirs(
    insurers: list[str],
    *,
    gap: str,
    end: str,
    days: int,
    share: float,
    beyond: str,
) -> None:
    policies = Policies(usual=USUAL, insurers={"1": LAX, "3": STRICT.over(LAX)})
    found = policies.of(insurers, FORM)
    assert (found.sequence_gap, found.end_mismatch, found.late_days) == (gap, end, days)
    assert (found.reject_share, found.reject_share_beyond) == (share, beyond)


def test_a_share_that_nobody_says_is_the_formats() -> None:
    assert share_of(USUAL, FORM) == 0.5
    assert share_of(LAX, FORM) == 0.9


def test_shipped_defaults_are_whole(tmp_path: Path) -> None:
    (shipped,) = format_folders(None)
    catalogue, problems = load_catalogue(shipped)
    assert catalogue is not None
    assert problems == []
    assert catalogue.policy == USUAL
    folder = tmp_path / "formats"
    shutil.copytree(shipped, folder)
    path = folder / "policies.toml"
    path.write_text('sequence_gap = "ignore"\nlate_days = -1\n', encoding="utf-8")
    found = load_catalogue(folder)[1]
    assert [(item.at, item.key) for item in found] == [
        ("formats/policies.toml sequence_gap", "definitions.choice"),
        ("formats/policies.toml late_days", "definitions.at_least"),
    ]
    path.write_text('sequence_gap = "warn"\nlate_days = 1\n', encoding="utf-8")
    found = load_catalogue(folder)[1]
    assert [(item.at, item.key) for item in found] == [
        ("formats/policies.toml end_mismatch", "definitions.missing"),
        ("formats/policies.toml reject_share_beyond", "definitions.missing"),
    ]
