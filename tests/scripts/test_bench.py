"""scripts/benchmarks: everybody does the same work, and the report says so. No time is judged."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "scripts" / "benchmarks"
STEPS = ["pick_up", "gate", "admit", "validate", "link", "commit", "acknowledge"]


def bench(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(BENCHMARKS / "ingest.py"), *options]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("inputs")


@pytest.fixture(scope="module")
def report(kept: Path) -> dict[str, Any]:
    """One round with every code that a single file can bring about."""
    options = ["--rows", "3000", "--rounds", "1", "--json", "--folder", str(kept)]
    ended = bench(*options, "--bad", "0.1")
    assert ended.returncode == 0, ended.stderr
    found: dict[str, Any] = json.loads(ended.stdout)  # one document and nothing else
    return found


def test_the_report_has_the_agreed_figures(report: dict[str, Any]) -> None:
    figures = (
        "floor_s koukan_s ratio ratios peak_rss_mib floor_rss_mib records_per_s cpu_s floor_cpu_s "
        "rows accepted rejected duplicate versions cores"
    ).split()
    assert set(figures) <= report.keys()
    assert list(report["steps"]) == STEPS
    assert all(report[name] > 0 for name in figures if name.endswith(("_s", "_mib", "ratio")))
    assert len(report["ratios"]) == 1
    assert {"koukan", "python", "polars", "duckdb", "pandas"} <= report["versions"].keys()


def test_the_steps_are_nearly_all_of_the_time(report: dict[str, Any]) -> None:
    assert 0 < sum(report["steps"].values()) <= report["koukan_s"] + 0.01


def test_every_line_is_accounted_for(report: dict[str, Any]) -> None:
    assert report["accepted"] + report["rejected"] + report["duplicate"] == report["rows"]
    assert report["rejected"] > 0
    assert report["duplicate"] > 0


def test_the_peers_find_the_same_lines_by_rules_of_their_own(report: dict[str, Any]) -> None:
    assert set(report["peers"]) == {"duckdb", "pandas"}
    for peer in report["peers"].values():
        for count in ("accepted", "rejected", "duplicate"):
            assert peer[count] == report[count]
        assert peer["seconds"] > 0
        assert peer["peak_rss_mib"] > 0
    forms = {f"R10{number}" for number in range(1, 9)}
    lines = {"R301", "R302", "R303", "R304", "R305", "D301"}
    assert (
        forms | lines | {"R201", "R202", "R203", "R206", "R211", "R212"} <= report["codes"].keys()
    )


def test_the_floor_and_the_peers_import_nothing_of_koukan() -> None:
    for name in ("floor", "duckdb_peer", "pandas_peer", "peers", "measuring"):
        lines = (BENCHMARKS / f"{name}.py").read_text(encoding="utf-8").splitlines()
        words = [line.split()[:2] for line in lines]
        assert not [
            word for word in words if word[:1] in (["import"], ["from"]) and "koukan" in word[1]
        ]


def test_a_count_that_is_not_the_expected_one_ends_in_50(
    kept: Path, report: dict[str, Any]
) -> None:
    (note,) = kept.glob("*/made.json")
    made = json.loads(note.read_text(encoding="utf-8"))
    made["expected"]["accepted"] -= 1
    made["expected"]["rejected"] += 1
    note.write_text(json.dumps(made), encoding="utf-8")
    options = ["--rows", "3000", "--rounds", "1", "--no-peers", "--folder", str(kept)]
    ended = bench(*options, "--json", "--bad", "0.1")
    assert ended.returncode == 50
    assert not ended.stdout
    assert "expected" in ended.stderr


def test_a_wrong_call_ends_in_64() -> None:
    assert bench("--rounds", "0").returncode == 64
    assert bench("--no-such-option").returncode == 64
