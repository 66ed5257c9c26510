"""Acts and commands in processes of their own that are killed, by SIGKILL."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from centres import Place
from journey import nights
from journey.killed_job import perform

from koukan.engine.centre import open_centre

ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(nights.PATHS)}


def undisturbed(place: Place, acts: Sequence[str]) -> int:
    """Do it all; how many boundaries there were."""
    told: list[str] = []
    centre = open_centre(
        place.root,
        place.key,
        clock=lambda: place.now,
        observe=lambda event, **_: told.append(event),
    )
    for act in acts:
        perform(centre, act)
    centre.close()
    return len(told)


def killed(place: Place, at: int, acts: Sequence[str]) -> None:
    """Die at the so many-th boundary, then do it all as if nothing had been done."""
    program = str(Path(__file__).with_name("killed_job.py"))
    arguments = [str(place.root), str(place.key), place.now.isoformat(), str(at), *acts]
    ran = subprocess.run([sys.executable, program, *arguments], env=ENVIRONMENT, check=False)
    assert ran.returncode == -signal.SIGKILL
    undisturbed(place, acts)


def drawn(count: int, by_default: int, *, seed: int) -> Sequence[int]:
    """Some of so many boundaries; all with --long."""
    every = range(1, count + 1)
    return every if nights.LONG else random.Random(seed).sample(every, by_default)


def command(at: int, *arguments: str) -> int:
    """Run a command that dies before its so many-th effect; 0: that lives, and how many it has."""
    program = str(Path(__file__).with_name("killed_command.py"))
    ran = subprocess.run(
        [sys.executable, program, str(at), *arguments],
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert ran.returncode == (-signal.SIGKILL if at else 0)
    return 0 if at else int(ran.stdout.splitlines()[-1])
