"""A run that dies: killed_run.py ROOT KEY EVENT COUNT kills itself at the so many-th such event."""

from __future__ import annotations

import os
import signal
import sys
from datetime import datetime
from pathlib import Path

from koukan.engine.centre import open_centre
from koukan.engine.run import run_job

NOW = datetime.fromisoformat("2026-05-11T11:00:00+00:00")  # of the small night, past the demo's


def main() -> None:
    root, key_file, event, count = sys.argv[1:]
    left = int(count)

    def observe(what: str, **_: object) -> None:
        nonlocal left
        left -= what == event
        if left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)

    centre = open_centre(Path(root), Path(key_file), clock=lambda: NOW, observe=observe)
    run_job(centre, "register_members")


if __name__ == "__main__":  # worker processes import this file, too
    main()
