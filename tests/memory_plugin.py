"""What tests write lies in memory where there is room for it, and goes when they are over.

On a disk they wait for half of their time until it has everything, and none of them can tell the
two apart: processes are killed, but nobody cuts the power. KOUKAN_TEST_LONG=1 and `--basetemp`
(whose files stay, to be looked at) keep to the disk.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from pathlib import Path

import pytest

SHARED = Path("/dev/shm")
PREFIX = "koukan-tests-"
ROOM = 6 << 30  # bytes; what tests that passed have written goes at once, so no run has half of it
NEW = 60  # seconds for which a folder may not have its lock yet
MEMORY = Path("/proc/meminfo")
CONTROL_GROUPS = (  # what this one may have and has: of version 2 and of version 1
    (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")),
    (
        Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
        Path("/sys/fs/cgroup/memory/memory.usage_in_bytes"),
    ),
)
FOLDER, LOCK = pytest.StashKey[Path](), pytest.StashKey[int]()


def room() -> int:
    """Bytes that can be written into memory; 0 where no folder lies there."""
    if not os.access(SHARED, os.W_OK | os.X_OK) or not MEMORY.exists():
        return 0
    found = [shutil.disk_usage(SHARED).free]
    lines = MEMORY.read_text("ascii").splitlines()
    found += [int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:")]
    for most, now in CONTROL_GROUPS:
        if most.exists() and (limit := most.read_text("ascii").strip()) != "max":
            found.append(int(limit) - int(now.read_text("ascii")))
    return min(found)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Before pytest's own: it reads there where temporary folders are to be."""
    if config.option.basetemp is not None or os.environ.get("KOUKAN_TEST_LONG") == "1":
        return
    give_back()
    if room() >= ROOM:
        config.stash[FOLDER] = Path(tempfile.mkdtemp(prefix=PREFIX, dir=SHARED))
        config.stash[LOCK] = os.open(config.stash[FOLDER], os.O_RDONLY)  # it goes with the process
        fcntl.flock(config.stash[LOCK], fcntl.LOCK_EX)
        config.option.basetemp = str(config.stash[FOLDER] / "files")


def give_back() -> None:
    """Remove what runs that were killed have left: nobody has the lock of their folders."""
    for folder in SHARED.glob(f"{PREFIX}*"):
        if time.time() - folder.stat().st_ctime < NEW or not os.access(folder, os.R_OK):
            continue
        handle = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        except BlockingIOError:
            continue  # it is in use
        finally:
            os.close(handle)


def pytest_report_header(config: pytest.Config) -> str:
    """Where files lie."""
    return f"files of tests: {config.option.basetemp or tempfile.gettempdir()}"


def pytest_unconfigure(config: pytest.Config) -> None:
    """Memory is given back."""
    if FOLDER in config.stash:
        shutil.rmtree(config.stash[FOLDER], ignore_errors=True)
