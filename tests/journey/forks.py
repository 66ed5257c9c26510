"""The test's end of `fork_server.py`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from journey import nights


class ForkServer:
    """One process of `fork_server.py`; a schedule at a time."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("fork_server.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(nights.PATHS)},
            text=True,
        )

    def perform(self, schedule: dict[str, Any]) -> dict[str, Any]:
        process = self._process
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(json.dumps(schedule) + "\n")
        process.stdin.flush()
        answer = process.stdout.readline()
        assert answer, "the process that forks is gone"
        found: dict[str, Any] = json.loads(answer)
        return found

    def close(self) -> None:
        self._process.communicate()
        assert self._process.returncode == 0
