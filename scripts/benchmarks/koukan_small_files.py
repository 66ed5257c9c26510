"""koukan takes a night of small files in: FOLDER FILES LINES SENDERS SEED, and one JSON document.

The files are drawn and laid here, before the meter starts.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import measuring
import numpy as np
from koukan_run import JOB, STEPS, Boundaries, site
from sample_input import DOOR, invented_insurers, lines_of_a_person, registration_format

import koukan
from koukan.engine.centre import Centre, open_centre
from koukan.engine.run import run_job
from koukan.samples.population import Population
from koukan.samples.registration import SampleInsurer, registration_frames, write_file

AS_OF = date(2026, 4, 1)


class Night(NamedTuple):
    """How many files there are, of how many lines each, from how many senders."""

    files: int
    lines: int
    senders: int
    seed: int


def main() -> None:
    folder = Path(sys.argv[1])
    night = Night(*map(int, sys.argv[2:]))
    insurers = invented_insurers(night.senders)
    owners = [
        {"name": f"hokensha-{place:04d}", "door": DOOR, "insurers": [vars(insurer)]}
        for place, insurer in enumerate(insurers)
    ]
    root, keys = site(folder, owners)
    written = lay(root, owners, insurers, night)
    boundaries = Boundaries(STEPS)
    centre = open_centre(root, keys, observe=boundaries)
    os.sync()
    counted = count_fsyncs()
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
            "lines": written,
            "fsyncs": counted[0],
            **outcome(centre),
        }
    )
    centre.close()


def lay(
    root: Path,
    owners: Sequence[dict[str, Any]],
    insurers: Sequence[SampleInsurer],
    night: Night,
) -> int:
    """Each sender's files in its inbox, new persons in all of them; the lines written."""
    form = registration_format()
    people = Population(night.seed)
    each = max(round(night.lines / lines_of_a_person(form, insurers, night.seed)), 1)
    bounds = np.linspace(0, night.files, len(owners) + 1).astype(int).tolist()
    written = 0
    for owner, insurer, (start, stop) in zip(owners, insurers, pairwise(bounds), strict=True):
        inbox = root / "exchange" / owner["name"] / "inbox" / DOOR
        for sequence, number in enumerate(range(start, stop), 1):
            frames = registration_frames(
                form,
                people.people(number * each, (number + 1) * each),
                insurer=insurer,
                as_of=AS_OF,
                whole_record=True,
            )
            made = write_file(
                inbox,
                form,
                frames,
                sender=owner["name"],
                sequence=sequence,
                creation_date=AS_OF,
            )
            written += made.lines
    return written


def count_fsyncs() -> list[int]:
    """Count what this process makes durable by itself from now on (SQLite's own are not seen)."""
    counted, fsync = [0], os.fsync

    def counting(handle: int) -> None:
        counted[0] += 1
        fsync(handle)

    os.fsync = counting
    return counted


def outcome(centre: Centre) -> dict[str, int]:
    """Files accepted, files whose answers lie in the outbox, lines accepted, what was written."""
    receptions = centre.ledger.receptions()
    numbers = [reception.number for reception in receptions]
    laid: dict[int, int] = dict.fromkeys(numbers, 0)
    for row in centre.ledger.laid_out():
        laid[row.reception] += centre.outbox(row.sender).holds(row.name) == row.sha256
    counts = [counted for number in numbers for counted in centre.ledger.counts(number)]
    groups = {reception.group_number for reception in receptions} - {None}
    return {
        "accepted_files": sum(reception.outcome == "accepted" for reception in receptions),
        "answered_files": sum(found >= 2 for found in laid.values()),
        "accepted": sum(item.accepted for item in counts),
        "groups": len(groups),
        "data_files": sum(len(centre.ledger.group_files(group)) for group in groups if group),
    }


if __name__ == "__main__":
    main()
