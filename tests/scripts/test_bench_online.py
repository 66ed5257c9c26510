"""scripts/bench online: a push holds what the floor has written. No time is judged."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

BENCHMARKS = Path(__file__).resolve().parents[2] / "scripts" / "benchmarks"


def test_both_sides_write_the_same_lines_and_the_report_says_so(tmp_path: Path) -> None:
    options = ["--persons", "1000", "--rounds", "1", "--folder", str(tmp_path), "--json"]
    command = [sys.executable, str(BENCHMARKS / "online.py"), *options]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)
    assert (found["persons"], found["full_rows"]) == (1000, 4000)
    assert found["rows"] == 4 * found["changed"] > 0
    for name in ("ratio", "full_ratio", "cpu_ratio", "full_peak_rss_mib"):
        assert found[name] > 0
    (site,) = tmp_path.iterdir()
    assert not list((site / "site" / "exchange" / "oqs" / "outbox").glob("*.age"))
