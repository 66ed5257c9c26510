"""Write what floor, koukan and peers read: one registration file, and its lines by record type.

Started as a process of its own by `ingest.py`, so that nothing of it is in anybody's time or
memory. Prints one JSON document: what was written and what its lines must come to.
"""

from __future__ import annotations

import argparse
import json
import os
from contextlib import ExitStack
from dataclasses import asdict
from datetime import date
from pathlib import Path

from koukan import shipped
from koukan.formats import load_catalogue
from koukan.formats.model import Format
from koukan.samples.bulk import codes_without_history, write_bulk
from koukan.samples.registration import SampleInsurer

INSURER = SampleInsurer("06990014", "health_society", "06990014")  # an invented 健保
SENDER, DOOR = "kenpo-a", "server_link"
AS_OF = date(2026, 4, 1)
FORMAT = "member_registration"
# Most faults are in one line, some in all three of a person, R303 in those of two persons: so many
# on average. The other lines of such a person fall too (R302), about as many again.
LINES_AT_FAULT = 37 / 22


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--bad-share", type=float, required=True)
    parser.add_argument("--every-code", action="store_true")
    given = parser.parse_args()
    os.umask(0o077)
    catalogue, problems = load_catalogue(shipped.formats_folder())
    if catalogue is None:
        raise SystemExit("\n".join(problems))
    form = catalogue.formats[FORMAT]
    persons = given.rows // len(form.required)
    bulk = write_bulk(
        given.folder,
        form,
        seed=given.seed,
        insurer=INSURER,
        persons=persons,
        sender=SENDER,
        as_of=AS_OF,
        bad_persons=round(given.rows * given.bad_share / LINES_AT_FAULT),
        codes=codes(every=given.every_code),
    )
    file = given.folder / bulk.file.name
    split(file, form)
    made = {
        "file": file.name,
        "bytes": bulk.file.length,
        "sha256": bulk.file.sha256,
        "sections": [f"{record.code}.csv" for record in form.required],
        "expected": asdict(bulk.counts),
        "faults": dict(bulk.faults),
        "sender": SENDER,
        "door": DOOR,
        "insurer": {"code": INSURER.code, "kind": INSURER.kind},
    }
    print(json.dumps(made))


def codes(*, every: bool) -> list[str]:
    """Faults of single files: R4xx asks the tables, R222 the site, which peers do not have.

    Args:
        every: those too that give a person a line more or less, so the thirds are not quite equal.
    """
    found = codes_without_history(INSURER, equal_sections=not every)
    return [code for code in found if code != "R222" and not code.startswith("R4")]


def split(file: Path, form: Format) -> None:
    """The data lines of each record type in a file of their own, as the floor finds them."""
    with ExitStack() as stack:
        targets = {
            record.code.encode(): stack.enter_context(
                file.with_name(f"{record.code}.csv").open("wb")
            )
            for record in form.required
        }
        for line in stack.enter_context(file.open("rb")):
            target = targets.get(line[11:13])
            if target is not None:
                target.write(line)
        # What is still on its way to the disk would slow down the first that is measured.
        for target in targets.values():
            target.flush()
            os.fsync(target.fileno())


if __name__ == "__main__":
    main()
