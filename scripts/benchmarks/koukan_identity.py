"""koukan's share: questions to a request file, an answer file to packages, an immediate question.

Opening the site is not measured, and neither is the person who approves the answer in between.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import Any

import measuring
from identity_site import ASK, PARTNER, answer_immediate, approve_all, lay_immediate
from koukan_run import Boundaries

import koukan
from koukan.engine.centre import Centre, open_centre
from koukan.engine.run import run_job, run_steps
from koukan.ledger import identity as asked
from koukan.reports import identity

ANSWER = "answer_identity"
WAITING = ("pick_up", "gate", "admit")
TAKING = ("validate", "split", "package", "acknowledge")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("request", "answer", "immediate"))
    parser.add_argument("root", type=Path)
    parser.add_argument("keys", type=Path)
    parser.add_argument("answer", type=Path, nargs="?")
    given = parser.parse_args()
    if given.what == "immediate":
        measuring.say(immediate(given.root, given.keys))
        return
    steps = ("request",) if given.what == "request" else (*WAITING, *TAKING)
    boundaries = Boundaries(steps)
    centre = open_centre(given.root, given.keys / "batch.key", observe=boundaries)
    if given.what == "request":
        costs = [measured(centre, ASK, steps)]
    else:
        inbox = centre.inbox(PARTNER, "juki_net").folder
        shutil.copyfile(given.answer, inbox / "JA_juki-net_000001.dat")
        costs = [measured(centre, ANSWER, WAITING)]
        boundaries.close()
        run_job(centre, ANSWER)  # asks for the approval
        approve_all(given.root, given.keys / "sato")
        costs.append(measured(centre, ANSWER, TAKING))
    boundaries.close()
    page = identity(centre)
    centre.close()
    measuring.say(
        {
            "seconds": sum(cost["seconds"] for cost in costs),
            "cpu_s": sum(cost["cpu_s"] for cost in costs),
            "rss_mib": max(cost["rss_mib"] for cost in costs),
            "steps": boundaries.seconds,
            "version": koukan.__version__,
            "questions": page["questions"],
            "packages": page["packages"],
        }
    )


def immediate(root: Path, keys: Path) -> dict[str, Any]:
    """What two ticks cost that ask ten questions at once and hand their answers on."""
    centre = open_centre(root, keys / "batch.key")
    lay_immediate(centre)
    meter = measuring.Meter()
    run_job(centre, ASK, between=True)
    first = meter.stop()
    answer_immediate(centre)
    meter = measuring.Meter()
    run_job(centre, ANSWER, between=True)
    second = meter.stop()
    laid = [item for item in asked.packages(centre.ledger, states=["laid_out"]) if item.rows == 10]
    centre.close()
    return {
        "seconds": first["seconds"] + second["seconds"],
        "cpu_s": first["cpu_s"] + second["cpu_s"],
        "packages": len(laid),
    }


def measured(centre: Centre, job: str, steps: tuple[str, ...]) -> dict[str, Any]:
    meter = measuring.Meter()
    run_steps(centre, centre.jobs[job].model_copy(update={"steps": steps}))
    return meter.stop()


if __name__ == "__main__":
    main()
