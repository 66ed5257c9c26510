"""scripts/benchmarks/identity.py: both sides do the same work, and the report says so."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "scripts" / "benchmarks"
STEPS = ["request", "pick_up", "gate", "admit", "validate", "split", "package", "acknowledge"]
ROWS, INSURERS = 600, 4


def bench(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(BENCHMARKS / "identity.py"), *options]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


@pytest.fixture(scope="module")
def rounds(long: bool) -> int:
    """Two with --long, which differ in nothing but their times."""
    return 2 if long else 1


@pytest.fixture(scope="module")
def report(rounds: int) -> dict[str, Any]:
    options = ["--rows", str(ROWS), "--insurers", str(INSURERS), "--rounds", str(rounds), "--json"]
    ended = bench(*options)
    assert ended.returncode == 0, ended.stderr
    found: dict[str, Any] = json.loads(ended.stdout)  # one document and nothing else
    return found


def test_the_report_has_the_agreed_figures(report: dict[str, Any], rounds: int) -> None:
    figures = (
        "floor_s koukan_s ratio ratios peak_rss_mib floor_rss_mib questions_per_s "
        "cpu_s floor_cpu_s immediate_s immediate_cpu_s rows packages versions cores"
    ).split()
    assert set(figures) <= report.keys()
    assert list(report["steps"]) == STEPS
    assert all(report[name] > 0 for name in figures if name.endswith(("_s", "_mib", "ratio")))
    assert len(report["ratios"]) == rounds
    assert {"koukan", "python", "polars", "pyrage"} <= report["versions"].keys()


def test_every_question_is_answered_and_every_insurer_has_its_package(
    report: dict[str, Any],
) -> None:
    assert (report["rows"], report["packages"]) == (ROWS, INSURERS)


def test_the_floor_imports_nothing_of_koukan() -> None:
    for name in ("floor_identity", "measuring"):
        lines = (BENCHMARKS / f"{name}.py").read_text(encoding="utf-8").splitlines()
        words = [line.split()[:2] for line in lines]
        assert not [
            word for word in words if word[:1] in (["import"], ["from"]) and "koukan" in word[1]
        ]


@pytest.mark.parametrize("wrong", [("--rounds", "0"), ("--insurers", "1001"), ("--no-such",)])
def test_a_wrong_call_ends_in_64(wrong: tuple[str, ...]) -> None:
    assert bench(*wrong).returncode == 64


@pytest.mark.parametrize(
    ("answered", "packages", "wrong"), [(8, 2, False), (7, 2, True), (8, 1, True)]
)
def test_counts_that_do_not_agree_are_no_measurement(
    answered: int, packages: int, wrong: bool
) -> None:
    made = {"asked": 8, "insurers": 2}
    answer = {"questions": {"asked": 8, "answered": answered}, "packages": {"built": packages}}
    program = f"import identity; identity.compare({made}, {answer}, {{'rows': 8, 'packages': 2}})"
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=BENCHMARKS, capture_output=True, text=True, check=False
    )
    assert (ended.returncode != 0) == wrong
    assert ("WrongCounts" in ended.stderr) == wrong
