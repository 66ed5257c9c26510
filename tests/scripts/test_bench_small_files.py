"""scripts/bench small-files: every file is taken and answered, and the report says how fast."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

BENCHMARKS = Path(__file__).resolve().parents[2] / "scripts" / "benchmarks"
STEPS = ["pick_up", "gate", "admit", "validate", "link", "commit", "acknowledge"]


def bench(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(BENCHMARKS / "small_files.py"), *options]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


def test_the_report_has_the_agreed_figures() -> None:
    ended = bench("--files", "12", "--lines", "20", "--senders", "3", "--json")
    assert ended.returncode == 0, ended.stderr
    report = json.loads(ended.stdout)  # one document and nothing else
    assert report["files"] == 12
    assert report["accepted"] == report["lines"] > 100
    assert list(report["steps"]) == STEPS
    assert 0 < sum(report["steps"].values()) <= report["koukan_s"] + 0.01
    for name in ("files_per_s", "cpu_s", "peak_rss_mib", "groups", "data_files", "fsyncs"):
        assert report[name] > 0


def test_a_wrong_call_ends_in_64() -> None:
    assert bench("--files", "0").returncode == 64
