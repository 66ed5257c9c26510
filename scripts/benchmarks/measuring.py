"""What a measured process says about itself, and how one is started. Standard library only.

Times are wall-clock seconds between `Meter()` and `Meter.stop()`, so that imports are left out.
Memory is VmHWM, the peak of the whole process: `ru_maxrss` would be inherited from the parent.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
BLOCK = 1 << 24
TICKS = os.sysconf("SC_CLK_TCK")


class Failed(Exception):
    """A measured process ended otherwise than it should; its own words went to stderr."""


class Meter:
    """Seconds, CPU seconds and peak memory of this process and its workers."""

    def __init__(self) -> None:
        self._cpu = _cpu_seconds()
        self._began = time.perf_counter()

    def so_far(self) -> float:
        return time.perf_counter() - self._began

    def stop(self) -> dict[str, float]:
        """seconds, cpu_s, rss_mib. Call it before workers are sent home."""
        seconds = self.so_far()
        cpu = _cpu_seconds() - self._cpu
        peak = sum(_peak_kib(pid) for pid in ("self", *_descendants("self")))
        return {"seconds": seconds, "cpu_s": cpu, "rss_mib": peak / 1024}


def _cpu_seconds() -> float:
    """Of this process, its children that ended, and its descendants that live."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    living = sum(_cpu_of(pid) for pid in _descendants("self"))
    return time.process_time() + ended.ru_utime + ended.ru_stime + living


def _cpu_of(pid: str) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(value) for value in fields[11:15]) / TICKS  # utime stime cutime cstime


def _descendants(pid: str) -> list[str]:
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            children = (task / "children").read_text().split()
        except (FileNotFoundError, ProcessLookupError):
            continue  # a thread that has just ended; its children are another thread's now
        for child in children:
            found += [child, *_descendants(child)]
    return found


def _peak_kib(pid: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    raise Failed(f"process {pid} does not say VmHWM")


def say(result: dict[str, Any]) -> None:
    """A measured process's result, for the driver."""
    json.dump(result, sys.stdout)


def run(program: str, *arguments: str | Path) -> dict[str, Any]:
    """Start one program of this folder in a process of its own; what it said.

    Raises:
        Failed: it ended in an error, or said nothing.
    """
    command = [sys.executable, str(HERE / program), *map(str, arguments)]
    ended = subprocess.run(command, stdout=subprocess.PIPE, check=False)
    if ended.returncode or not ended.stdout:
        raise Failed(f"{program} ended with exit code {ended.returncode}")
    said: dict[str, Any] = json.loads(ended.stdout)
    return said


def warm(paths: Sequence[Path]) -> None:
    """Read files once, so that everybody finds them in the page cache."""
    for path in paths:
        with path.open("rb", buffering=0) as file:
            while file.read(BLOCK):
                pass
