"""Leases: who may do what alone. A lock of the operating system excludes, the ledger tells.

The lock goes with the process that holds it, however that ends, so a killed run never stands in the
way of the next.
"""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from koukan.errors import LeaseHeld
from koukan.ledger import Ledger


@contextmanager
def lease(folder: Path, ledger: Ledger, name: str, now: datetime) -> Iterator[None]:
    """Hold a lease for the time of the block.

    Raises:
        LeaseHeld: another process has it.
    """
    handle = os.open(folder / f"{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LeaseHeld("engine.busy", key=name) from None
        holder = f"{socket.gethostname()}:{os.getpid()}"
        ledger.note_lease(name, holder, now.isoformat(timespec="seconds"))
        yield
    finally:
        os.close(handle)
