"""koukan takes the file in: from pick-up to committed tables, result file and acknowledgement.

A fresh initialised site for each run; making and opening it is not measured, and neither are
imports. The time of each step is that between the step boundaries of which the engine tells.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from pathlib import Path
from typing import Any

import measuring

import koukan
from koukan.engine.centre import Centre, initialise, open_centre
from koukan.engine.run import run_job

STEPS = ("pick_up", "gate", "admit", "validate", "link", "commit", "acknowledge")
JOB = "register_members"
SITE = """\
[limits]
settle_seconds = 0.0

[[insurer]]
code = "{code}"
kind = "{kind}"
title = "架空健康保険組合"

[[sender]]
name = "{sender}"
title = "架空健康保険組合"
doors = ["{door}"]
insurers = ["{code}"]
"""


class Boundaries:
    """The observer: when each step began and how long it went on."""

    def __init__(self, steps: tuple[str, ...]) -> None:
        self.seconds = dict.fromkeys(steps, 0.0)
        self._step, self._since = "", 0.0

    def __call__(self, event: str, *, step: str = "", **_: object) -> None:
        if event == "entered":
            self.close(step)

    def close(self, following: str = "") -> None:
        now = time.perf_counter()
        if self._step:
            self.seconds[self._step] += now - self._since
        self._step, self._since = following, now


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="an empty folder")
    parser.add_argument("made", type=json.loads, help="what sample_input.py said")
    parser.add_argument("file", type=Path)
    given = parser.parse_args()
    boundaries = Boundaries(STEPS)
    centre = prepare(given.folder, given.file, given.made, boundaries)
    meter = measuring.Meter()
    run_job(centre, JOB)
    boundaries.close()
    cost = meter.stop()
    measuring.say(
        {**cost, "version": koukan.__version__, "steps": boundaries.seconds, **outcome(centre)}
    )
    centre.close()


def prepare(folder: Path, file: Path, made: dict[str, Any], boundaries: Boundaries) -> Centre:
    """A site with the file in its inbox, opened."""
    root, keys = folder / "site", folder / "keys" / "batch.key"
    root.mkdir(mode=0o700)
    site = SITE.format(sender=made["sender"], door=made["door"], **made["insurer"])
    (root / "site.toml").write_text(site, encoding="utf-8")
    initialise(root, keys)
    inbox = root / "exchange" / made["sender"] / "inbox" / made["door"]
    shutil.move(file, inbox / made["file"])
    return open_centre(root, keys, observe=boundaries)


def outcome(centre: Centre) -> dict[str, Any]:
    """What the ledger says became of the lines, and how many of them the sender was told of."""
    (reception,) = centre.ledger.receptions()
    counts = centre.ledger.counts(reception.number)
    names = ("received", "accepted", "rejected", "duplicate")
    laid = {row.kind: row.lines for row in centre.ledger.laid_out(reception.number)}
    return {
        "outcome": reception.outcome,
        "code": reception.code,
        "result_lines": laid.get("registration_result", 0),
        **{name: sum(getattr(item, name) for item in counts) for name in names},
        "codes": {code: lines for _, code, lines in centre.ledger.findings(reception.number)},
    }


if __name__ == "__main__":
    main()
