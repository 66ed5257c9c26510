"""A counterpart that dies: killed_counterpart.py COUNT OPTIONS… kills itself at that event.

Events are what makes something durable or visible: fsync, rename, unlink and statements of SQLite,
each just before it happens. COUNT 0 dies never and tells on stderr how many there were.
"""

from __future__ import annotations

import os
import runpy
import signal
import sqlite3
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

PROGRAM = Path(__file__).resolve().parents[2] / "scripts" / "counterparts" / "juki_net.py"
seen = 0


def event() -> None:
    global seen  # noqa: PLW0603
    seen += 1
    if seen == fatal:
        os.kill(os.getpid(), signal.SIGKILL)


def counted(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*arguments: Any, **options: Any) -> Any:
        event()
        return function(*arguments, **options)

    return call


class Connection(sqlite3.Connection):
    execute = counted(sqlite3.Connection.execute)
    executemany = counted(sqlite3.Connection.executemany)


fatal = int(sys.argv.pop(1))
os.fsync, os.replace = counted(os.fsync), counted(os.replace)
Path.unlink = counted(Path.unlink)  # type: ignore[method-assign]
sqlite3.connect = partial(sqlite3.connect, factory=Connection)  # type: ignore[assignment]
sys.argv[0] = str(PROGRAM)
sys.path.insert(0, str(PROGRAM.parent))
try:
    runpy.run_path(str(PROGRAM), run_name="__main__")
finally:
    sys.stderr.write(f"events {seen}\n")
