"""What this process promises: private files, no core dumps, a clean end when it is told to stop."""

from __future__ import annotations

import os
import resource
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType


class Terminated(BaseException):
    """SIGTERM came. Not an Exception, so that nobody takes it for a failure of his own."""


def harden() -> None:
    """Files that we make are ours alone; memory, which holds numbers and keys, is never dumped."""
    os.umask(0o077)
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))


def spill_into(folder: Path) -> None:
    """Where polars puts what does not fit into memory; heard only before polars is imported."""
    for name in ("POLARS_TEMP_DIR", "POLARS_TEMP_DIR_BASE_PATH", "POLARS_OOC_SPILL_DIR"):
        os.environ[name] = str(folder)


@contextmanager
def private_spill() -> Iterator[None]:
    """The same for commands without a site: a private folder that goes with the command."""
    with tempfile.TemporaryDirectory(prefix="koukan-") as folder:
        spill_into(Path(folder))
        yield


@contextmanager
def stoppable() -> Iterator[None]:
    """Let SIGTERM end the block as Ctrl-C does: what is open is closed, the log is told."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(_number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough; ending takes a moment
        raise Terminated

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
