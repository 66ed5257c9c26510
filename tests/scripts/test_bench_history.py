"""scripts/bench history: the answers are those that were drawn. No time is judged."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

LONG = os.environ.get("KOUKAN_TEST_LONG") == "1"
pytestmark = pytest.mark.skipif(not LONG, reason="lays a site of many files: --long")
BENCHMARKS = Path(__file__).resolve().parents[2] / "scripts" / "benchmarks"


def bench(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(BENCHMARKS / "history.py"), *options]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("histories")


def options(kept: Path) -> list[str]:
    shape = ["--persons", "1500", "--spells", "2", "--nights", "4", "--questions", "3000"]
    alone = ["--compacted", "0", "--registered", "0", "--half-known", "0"]
    return [*shape, *alone, "--rounds", "1", "--folder", str(kept), "--json"]


@pytest.fixture(scope="module")
def report(kept: Path) -> dict[str, Any]:
    more = ["--compacted", "18", "--merging", "nightly", "--registered", "3000"]
    more += ["--half-known", "1500"]
    ended = bench(*options(kept), *more)
    assert ended.returncode == 0, ended.stderr
    found: dict[str, Any] = json.loads(ended.stdout)  # one document and nothing else
    return found


def test_the_report_has_the_agreed_figures(report: dict[str, Any]) -> None:
    for name in ("asof_s", "asof_again_s", "asof_known_s", "one_ms", "one_link_ms", "peak_rss_mib"):
        assert report[name] > 0
    assert (report["persons"], report["spells"], report["questions"]) == (1500, 3000, 3000)
    assert 64 < report["files"] <= 4 * 64  # some of the buckets' shares of a night are empty
    assert 0 < report["answers"] < report["questions"] * 2
    assert {"koukan", "python", "polars"} <= report["versions"].keys()


def test_many_nights_are_merged_and_what_is_written_is_told(report: dict[str, Any]) -> None:
    merged = report["compacted"]
    assert (merged["nights"], merged["answers"]) == (18, report["answers"])
    assert merged["files"] <= 64 * (2 + 2)  # two of eight nights each, and two nights
    assert 1 < merged["written"] <= 3
    assert report["registered_rows"] == 3000
    assert report["write_amplification"] > 1


def test_a_file_half_of_whose_persons_are_known_is_compared_with_empty_tables(
    report: dict[str, Any],
) -> None:
    assert report["half_known_lines"] == 1500
    assert report["ratio"] > 0


def test_a_history_that_was_laid_is_asked_again(kept: Path, report: dict[str, Any]) -> None:
    folder = kept / "1500-2-4-1"
    before = (folder / "made.json").stat().st_mtime_ns
    ended = bench(*options(kept))
    assert "laying" not in ended.stderr
    assert json.loads(ended.stdout)["answers"] == report["answers"]
    assert (folder / "made.json").stat().st_mtime_ns == before


def test_answers_that_were_not_drawn_end_in_50(kept: Path, report: dict[str, Any]) -> None:
    """The same persons and questions, but another seed than the history was laid with."""
    folder = kept / "1500-2-4-1"
    folder.rename(folder.with_name("1500-2-4-9"))
    ended = bench(*options(kept), "--seed", "9")
    folder.with_name("1500-2-4-9").rename(folder)
    assert ended.returncode == 50
    assert not ended.stdout


@pytest.mark.parametrize(
    "wrong", [["--spells", "16"], ["--nights", "4"], ["--rounds", "0"], ["--half-known", "9"]]
)
def test_a_wrong_call_ends_in_64(wrong: list[str]) -> None:
    assert bench(*wrong).returncode == 64
