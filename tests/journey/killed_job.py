"""Jobs that die: killed_job.py ROOT KEY NOW COUNT JOB… kills itself at the so many-th boundary."""

from __future__ import annotations

import os
import signal
import sys
from datetime import datetime
from pathlib import Path

from koukan.engine.centre import open_centre
from koukan.engine.run import run_job


def main() -> None:
    root, key_file, now, count, *jobs = sys.argv[1:]
    left = int(count)

    def observe(_event: str, **_: object) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    at = datetime.fromisoformat(now)
    centre = open_centre(Path(root), Path(key_file), clock=lambda: at, observe=observe)
    for job in jobs:
        run_job(centre, job)


if __name__ == "__main__":
    main()
