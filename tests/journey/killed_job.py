"""Acts that die: killed_job.py ROOT KEY NOW COUNT ACT… kills itself at the so many-th boundary.

An act is a job's name, or one of ACTS, with what it needs behind a colon.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from centres import Place
from codes_site import answer as answered

from koukan.engine import approvals, reissuing
from koukan.engine.centre import Centre, open_centre
from koukan.engine.desk import open_desk
from koukan.engine.run import run_job
from koukan.engine.steps.export import push_refused, reconcile
from koukan.errors import UsageError
from koukan.keys.sshsig import load_private_key
from koukan.ledger import code_lists


def resend(centre: Centre, _: str) -> None:
    """Whoever does it again after a kill may hear that nobody is left to be told of."""
    with suppress(UsageError):
        push_refused(centre)


def repair(centre: Centre, _: str) -> None:
    reconcile(centre, repair=True)


def approve(centre: Centre, key: str) -> None:
    """A person approves all that waits."""
    person = load_private_key(Path(key), outside=centre.root, passphrase=bytes)
    desk = open_desk(centre.root, clock=centre.clock)
    for item in approvals.pending(desk):
        approvals.approve(desk, item["approval"], person)
    desk.close()


def answer(centre: Centre, _: str) -> None:
    """The counterpart's turn."""
    answered(Place(centre.root, Path()))


def check(centre: Centre, _: str) -> None:
    """A person checks every list of which something is left."""
    for item in code_lists.all_lists(centre.ledger, states=["instructed"]):
        found = reissuing.checked(centre, item.number)
        reissuing.conclude(centre, item.number, found, centre.site.persons[0])


def collect(centre: Centre, _: str) -> None:
    """Insurers move their packages of copies to where what they have lies."""
    for sender in centre.site.senders:
        for path in sorted(centre.outbox(sender.name).folder.glob("CX_*.age")):
            path.rename(centre.taken(sender.name).folder / path.name)


ACTS: dict[str, Callable[[Centre, str], None]] = {
    "resend": resend,
    "repair": repair,
    "approve": approve,
    "answer": answer,
    "check": check,
    "collect": collect,
}


def perform(centre: Centre, act: str) -> None:
    """An act, once more or for the first time."""
    name, _, more = act.partition(":")
    if name in ACTS:
        ACTS[name](centre, more)
    else:
        run_job(centre, name)


def main() -> None:
    root, key_file, now, count, *acts = sys.argv[1:]
    left = int(count)

    def observe(_event: str, **_: object) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    at = datetime.fromisoformat(now)
    centre = open_centre(Path(root), Path(key_file), clock=lambda: at, observe=observe)
    for act in acts:
        perform(centre, act)


if __name__ == "__main__":
    main()
