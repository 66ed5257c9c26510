"""`scripts/demo` with a size that has no room for all that is to go wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from koukan.samples.identity import lay_questions

SCRIPTS = Path(__file__).parents[2] / "scripts"
SMALLEST = ("--persons", "600", "--questions", "2000", "--lines")


def demonstrate(root: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, SCRIPTS / "demonstrate.py", "--root", root, *options],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--persons", "1", "--lines", "10", "--questions", "100"), ["600", "1,890", "2,000"]),
        ((*SMALLEST, "1889"), ["1,890"]),
        (("--persons", "20000", "--lines", "4000", "--lang", "en"), ["4,800"]),
        (("--persons", "-5", "--lang", "en"), ["600"]),
    ],
)
def test_a_size_that_is_too_small_is_told_before_anything_is_made(
    tmp_path: Path, options: tuple[str, ...], told: list[str]
) -> None:
    ran = demonstrate(tmp_path / "centre", *options)
    assert (ran.returncode, ran.stdout) == (64, "")
    lines = ran.stderr.splitlines()
    assert len(lines) == len(told)
    sentence = "or more" if "en" in options else "以上にしてください"
    for line, number in zip(lines, told, strict=True):
        assert number in line
        assert sentence in line
    assert list(tmp_path.iterdir()) == []


def test_the_smallest_number_of_questions_can_be_asked(tmp_path: Path) -> None:
    night = lay_questions(tmp_path, 1, 2000, 600)
    assert night.files


def test_everything_ends_as_planned_and_a_second_run_changes_nothing(
    tmp_path: Path, long: bool
) -> None:
    if not long:
        pytest.skip("the whole demonstration: --long")
    digests = []
    for _ in range(2):
        ran = demonstrate(tmp_path / "centre", *SMALLEST, "3000", "--json")
        assert ran.returncode == 0, ran.stderr[-2000:]
        found = json.loads(ran.stdout)
        assert found["as_planned"]
        digests.append(found["digest"])
    assert len(set(digests)) == 1
