"""koukan's share: PMH's request from the inbox to the package in its outbox.

Opening the site is not measured. Asked twice, the second time under another name: then nobody needs
a new PMH-ID any more.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import measuring
from koukan_run import Boundaries

import koukan
from koukan.engine.centre import open_centre
from koukan.engine.initialise import initialise
from koukan.engine.run import run_job
from koukan.ledger import served

STEPS = ("pick_up", "gate", "admit", "validate", "issue", "hand_out", "acknowledge")
JOB = "issue_pmh_ids"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path)
    parser.add_argument("keys", type=Path)
    parser.add_argument("request", type=Path)
    parser.add_argument("sequence", type=int)
    given = parser.parse_args()
    boundaries = Boundaries(STEPS)
    initialise(given.root, given.keys / "batch.key")  # the vault may be of an earlier koukan
    centre = open_centre(given.root, given.keys / "batch.key", observe=boundaries)
    number = f"{given.sequence:06d}"
    path = centre.inbox("pmh", "pmh_link").folder / f"PM_pmh_{number}.csv"
    content = given.request.read_bytes()
    path.write_bytes(content.replace(b",pmh,000001,", f",pmh,{number},".encode(), 1))
    os.sync()
    meter = measuring.Meter()
    run_job(centre, JOB)
    cost = meter.stop()
    boundaries.close()
    found = served.PMH.answers(centre.ledger)[-1]
    centre.close()
    measuring.say(
        {
            **cost,
            "steps": boundaries.seconds,
            "step_cpu_s": boundaries.cpu_s,
            "version": koukan.__version__,
            "rows": found.rows,
            "given": found.given,
            "fresh": found.fresh,
            "state": found.state,
        }
    )


if __name__ == "__main__":
    main()
