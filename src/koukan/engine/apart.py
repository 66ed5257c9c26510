"""Jobs of further batch actors: each is a process of its own that holds that actor's key only."""

from __future__ import annotations

import os
import subprocess
import sys
import time

from koukan.engine import faults
from koukan.engine.centre import Centre
from koukan.errors import (
    EnvironmentRefused,
    Exit,
    IntegrityError,
    KoukanError,
    LeaseHeld,
    TransientError,
)
from koukan.ledger.failures import failures
from koukan.sites import Job
from koukan.sites.model import BatchActor

KINDS = {
    Exit.BUSY: LeaseHeld,
    Exit.TRANSIENT: TransientError,
    Exit.CONFIGURATION: EnvironmentRefused,
    Exit.INTEGRITY: IntegrityError,
}
KEYS = ("KOUKAN_KEY_FILE", "CREDENTIALS_DIRECTORY")  # where our own key is told: not handed on


def actor_of(centre: Centre, job: Job) -> BatchActor | None:
    """Who else has to run a job; None: this process."""
    found = centre.site.batch_actor(job.actor)
    return None if found is None or found.name == centre.actor else found


def run_apart(centre: Centre, job: Job, actor: BatchActor) -> tuple[float, Exit]:
    """Run a job as its actor, and wait for it; how many seconds it took, and its exit code.

    Raises:
        KoukanError: it failed, with the same exit code. What stopped it is noted by the process
            itself, as `run_job` does; here if it did not come so far.
    """
    began = time.monotonic()
    environment = {name: value for name, value in os.environ.items() if name not in KEYS}
    where = ["--root", str(centre.root), "--key", actor.key]
    command = [sys.executable, "-m", "koukan", "run", job.name, *where]
    quiet = subprocess.DEVNULL
    done = subprocess.run(command, check=False, env=environment, stdin=quiet, stdout=quiet)  # noqa: S603
    known = {int(code) for code in Exit}
    code = Exit(done.returncode) if done.returncode in known else Exit.INTERNAL
    if code >= Exit.BUSY:
        stopped = KINDS.get(code, KoukanError)("engine.stopped_apart", job=job.name, code=int(code))
        told = any(item.job == job.name for item in failures(centre.ledger))
        if code != Exit.BUSY and not told:
            faults.note(centre, job.name, stopped)
        raise stopped
    return time.monotonic() - began, code
