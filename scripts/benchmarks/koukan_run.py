"""koukan takes the file in: from pick-up to committed tables, result file and acknowledgement.

A fresh initialised site for each run; making and opening it is not measured, and neither are
imports. The time of each step is that between the step boundaries of which the engine tells.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import koukan  # first, as everywhere: what it sets, other libraries ask for when they are loaded

# isort: split
import measuring
import pyarrow.compute  # noqa: F401 - with the next but one: what a run loads when it needs it

import koukan.rules.schema  # beside pandas and hypothesis, which tests install
from koukan import shipped
from koukan.engine.centre import Centre, open_centre
from koukan.engine.initialise import initialise
from koukan.engine.run import run_job

STEPS = ("pick_up", "gate", "admit", "validate", "link", "commit", "acknowledge")
JOB = "register_members"
SITE = """\
[limits]
settle_seconds = 0.0
"""
INSURER = """
[[insurer]]
code = "{code}"
kind = "{kind}"
title = "架空保険者"
"""
SENDER = """
[[sender]]
name = "{name}"
title = "架空送信者"
doors = ["{door}"]
insurers = {insurers}
"""
FORMAT = "member_registration.toml"
SHARE = re.compile(r"^((?:undecodable|reject)_share) = .*$", re.MULTILINE)
MANY = 0.05  # of the lines: with more that are bad the site's own limits refuse the file


class Boundaries:
    """The observer: when each step began, how long it went on, and what it took of the CPU."""

    def __init__(self, steps: tuple[str, ...]) -> None:
        self.seconds = dict.fromkeys(steps, 0.0)
        self.cpu_s = dict.fromkeys(steps, 0.0)
        self._step, self._since, self._used = "", 0.0, 0.0

    def __call__(self, event: str, *, step: str = "", **_: object) -> None:
        if event == "entered":
            self.close(step)

    def close(self, following: str = "") -> None:
        now, used = time.perf_counter(), time.process_time()
        if self._step:
            self.seconds[self._step] += now - self._since
            self.cpu_s[self._step] += used - self._used
        self._step, self._since, self._used = following, now, used


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
        {
            **cost,
            "version": koukan.__version__,
            "steps": boundaries.seconds,
            "steps_cpu_s": boundaries.cpu_s,
            **outcome(centre),
        }
    )
    centre.close()


def prepare(folder: Path, file: Path, made: dict[str, Any], boundaries: Boundaries) -> Centre:
    """A site with the file in its inbox, opened."""
    sender = {"name": made["sender"], "door": made["door"], "insurers": made["insurers"]}
    root, keys = site(folder, [sender])
    if made["expected"]["rejected"] > MANY * made["expected"]["received"]:
        lift_limits(root)
    inbox = root / "exchange" / made["sender"] / "inbox" / made["door"]
    shutil.move(file, inbox / made["file"])
    return open_centre(root, keys, observe=boundaries)


def site(folder: Path, senders: Sequence[dict[str, Any]]) -> tuple[Path, Path]:
    """An initialised site of senders and their insurers; its root and the batch key."""
    root, keys = folder / "site", folder / "keys" / "batch.key"
    root.mkdir(mode=0o700)
    parts = [SITE]
    for sender in senders:
        parts += [INSURER.format(**insurer) for insurer in sender["insurers"]]
        codes = json.dumps([insurer["code"] for insurer in sender["insurers"]])
        parts.append(SENDER.format(**{**sender, "insurers": codes}))
    (root / "site.toml").write_text("".join(parts), encoding="utf-8")
    initialise(root, keys)
    return root, keys


def lift_limits(root: Path) -> None:
    """Let no share of bad lines refuse the file: every line is to be answered, however many."""
    text = (shipped.formats_folder() / FORMAT).read_text(encoding="utf-8")
    lifted, found = SHARE.subn(r"\1 = 1.0", text)
    assert found == 2
    (root / "formats").mkdir(mode=0o700)
    (root / "formats" / FORMAT).write_text(lifted, encoding="utf-8")


def outcome(centre: Centre) -> dict[str, Any]:
    """What the ledger says became of the lines, and how many of them the sender was told of."""
    (reception,) = centre.ledger.receptions()
    counts = centre.ledger.counts(reception.number)
    names = ("received", "accepted", "rejected", "duplicate")
    codes: Counter[str] = Counter()
    for _, code, lines in centre.ledger.findings(reception.number):  # of each insurer
        codes[code] += lines
    laid = {row.kind: row.lines for row in centre.ledger.laid_out(reception.number)}
    return {
        "outcome": reception.outcome,
        "code": reception.code,
        "result_lines": laid.get("registration_result", 0),
        **{name: sum(getattr(item, name) for item in counts) for name in names},
        "codes": codes,
    }


if __name__ == "__main__":
    main()
