"""scripts/bench pmh: both sides answer the same request, and the report says so."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

LONG = os.environ.get("KOUKAN_TEST_LONG") == "1"
pytestmark = pytest.mark.skipif(not LONG, reason="lays a vault of many files: --long")
BENCHMARKS = Path(__file__).resolve().parents[2] / "scripts" / "benchmarks"
STEPS = ["pick_up", "gate", "admit", "validate", "issue", "hand_out", "acknowledge"]
SHAPE = ("--rows", "500", "--persons", "2000", "--files", "1", "--rounds", "1", "--json")


def bench(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(BENCHMARKS / "pmh.py"), *options]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


def report(folder: Path) -> tuple[dict[str, Any], str]:
    ended = bench(*SHAPE, "--folder", str(folder))
    assert ended.returncode == 0, ended.stderr
    found: dict[str, Any] = json.loads(ended.stdout)  # one document and nothing else
    return found, ended.stderr


def test_the_report_has_the_agreed_figures_and_the_vault_is_kept(tmp_path: Path) -> None:
    found, said = report(tmp_path)
    figures = "floor_s koukan_s again_s ratio ratio_again peak_rss_mib floor_rss_mib cpu_s".split()
    assert all(found[name] > 0 for name in figures)
    assert list(found["steps"]) == STEPS
    assert (found["rows"], found["persons"]) == (500, 2000) and "laying" in said
    _, said = report(tmp_path)
    assert "laying" not in said


def test_a_vault_of_other_persons_ends_in_50(tmp_path: Path) -> None:
    """What is asked was not drawn as the vault was."""
    report(tmp_path)
    (tmp_path / "2000-1-1").rename(tmp_path / "2000-1-9")
    ended = bench(*SHAPE, "--folder", str(tmp_path), "--seed", "9")
    assert ended.returncode == 50 and not ended.stdout


def test_the_floor_imports_nothing_of_koukan() -> None:
    text = (BENCHMARKS / "floor_pmh.py").read_text(encoding="utf-8")
    assert "koukan" not in text.partition('"""')[2].partition('"""')[2]
