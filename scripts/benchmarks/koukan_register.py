"""One file of new registrations taken into a site of `history_site.py`, or into an empty one.

  koukan_register.py write FOLDER --rows N --first P --sequence S --seed S
  koukan_register.py run FOLDER FILE --sequence S

`write` draws the file of persons from number P on, and tells its name. `run` takes it into the site
in FOLDER; where there is none an empty one is made. Prints one JSON document.
"""

from __future__ import annotations

import argparse
import os
import shutil
from datetime import date
from pathlib import Path

import koukan  # noqa: F401 - first, as everywhere: it sets what others ask for when loaded

# isort: split
import measuring
from history_site import bare, insurer_codes
from koukan_run import JOB, STEPS, Boundaries
from sample_input import registration_format

from koukan.engine.centre import open_centre
from koukan.engine.run import run_job
from koukan.flows.registration import FORMAT, VAULT
from koukan.ledger import Ledger
from koukan.samples.bulk import write_bulk
from koukan.samples.registration import SampleInsurer

SENDER, DOOR = "kenpo", "dedicated_terminal"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("write", "run"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("file", type=Path, nargs="?")
    parser.add_argument("--sequence", type=int, required=True)
    for name in ("--rows", "--first", "--seed"):
        parser.add_argument(name, type=int, default=0)
    given = parser.parse_args()
    os.umask(0o077)
    measuring.say(write(given) if given.what == "write" else run(given))


def write(given: argparse.Namespace) -> dict[str, object]:
    """The file; `given.rows` lines as nearly as may be."""
    form, code = registration_format(), str(insurer_codes()[0])
    bulk = write_bulk(
        given.folder,
        form,
        seed=given.seed,
        insurer=SampleInsurer(code, "health_society", code),
        persons=given.rows // len(form.required),
        first_person=given.first,
        sender=SENDER,
        as_of=date(2026, 4, 1),
        sequence=given.sequence,
    )
    return {"file": bulk.file.name, "lines": bulk.file.lines}


def run(given: argparse.Namespace) -> dict[str, object]:
    """What it took, what became of the lines, and whose numbers the vault did not know."""
    if not (given.folder / "site").is_dir():
        bare(given.folder).close()
    boundaries = Boundaries(STEPS)
    root, key = given.folder / "site", given.folder / "keys" / "batch.key"
    centre = open_centre(root, key, observe=boundaries)
    with centre.ledger.begin() as transaction:
        Ledger.put_sequence(transaction, SENDER, FORMAT, given.sequence)
    known = centre.snapshot(VAULT).rows()
    shutil.copy(given.file, root / "exchange" / SENDER / "inbox" / DOOR)
    os.sync()
    meter = measuring.Meter()
    run_job(centre, JOB)
    boundaries.close()
    cost = meter.stop()
    counts = centre.ledger.counts(centre.ledger.newest())
    new = centre.snapshot(VAULT).rows() - known
    centre.close()
    return {
        **cost,
        "steps": boundaries.seconds,
        "steps_cpu_s": boundaries.cpu_s,
        "accepted": sum(item.accepted for item in counts),
        "new_numbers": new,
    }


if __name__ == "__main__":
    main()
