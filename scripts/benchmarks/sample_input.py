"""Write what floor, koukan and peers read: one registration file, and its lines by record type.

Started as a process of its own by `ingest.py`, so that nothing of it is in anybody's time or
memory. Prints one JSON document: what was written and what its lines must come to.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from datetime import date
from pathlib import Path

import numpy as np

from koukan import shipped
from koukan.formats import load_catalogue
from koukan.formats.model import Format
from koukan.rules.checkdigits import complete
from koukan.samples.bulk import codes_without_history, write_bulk
from koukan.samples.population import Population
from koukan.samples.registration import SampleInsurer, registration_frames

SENDER, DOOR = "kenpo-a", "server_link"
AS_OF = date(2026, 4, 1)
FORMAT = "member_registration"
TENTHS = 10  # of a file of two insurers: so many of its persons are one's, the rest the other's
PROBE = 5_000  # persons of whom it is counted how many lines one has


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--bad", type=float, required=True)
    parser.add_argument("--insurers", type=int, required=True)
    given = parser.parse_args()
    os.umask(0o077)
    form = registration_format()
    insurers = invented_insurers(given.insurers)
    turns = in_turns(insurers)
    persons = max(round(given.rows / lines_of_a_person(form, turns, given.seed)), len(insurers))
    codes = faults(insurers)
    bulk = write_bulk(
        given.folder,
        form,
        seed=given.seed,
        insurer=turns[0],
        beside=turns[1:],
        persons=persons,
        sender=SENDER,
        as_of=AS_OF,
        # R303 takes two persons for one.
        bad_persons=round(persons * given.bad * len(codes) / (len(codes) + 1)),
        codes=codes,
        whole_record=True,
    )
    file = given.folder / bulk.file.name
    made = {
        "file": file.name,
        "bytes": bulk.file.length,
        "sha256": bulk.file.sha256,
        "sections": split(file, form),
        "expected": asdict(bulk.counts),
        "faults": dict(bulk.faults),
        "sender": SENDER,
        "door": DOOR,
        "insurers": [asdict(insurer) for insurer in insurers],
    }
    print(json.dumps(made))


def registration_format() -> Format:
    catalogue, problems = load_catalogue(shipped.formats_folder())
    if catalogue is None:
        raise SystemExit("\n".join(problems))
    return catalogue.formats[FORMAT]


def invented_insurers(count: int) -> list[SampleInsurer]:
    """Invented 健保, and from two on a 福祉事務所 as the last: only it has 医療券."""
    numbers = complete("insurer_number", 699_001 + np.arange(count))
    found = [SampleInsurer(f"{n:08d}", "health_society", f"{n:08d}") for n in numbers.tolist()]
    if count > 1:
        payer = f"{complete('public_payer_number', np.array([1_213_123])).item():08d}"
        found[-1] = SampleInsurer(payer, "welfare", payer)
    return found


def in_turns(insurers: Sequence[SampleInsurer]) -> list[SampleInsurer]:
    """Whose persons come in turns: as many of each, but of two the second has a tenth."""
    if len(insurers) == 2:
        return [insurers[0]] * (TENTHS - 1) + [insurers[1]]
    return list(insurers)


def lines_of_a_person(form: Format, turns: Sequence[SampleInsurer], seed: int) -> float:
    """On average: of some sections not everybody has a line."""
    people = Population(seed).people(0, PROBE)
    lines = {
        insurer: sum(
            frame.height
            for frame in registration_frames(
                form, people, insurer=insurer, as_of=AS_OF, whole_record=True
            ).values()
        )
        for insurer in set(turns)
    }
    return sum(lines[insurer] for insurer in turns) / PROBE / len(turns)


def faults(insurers: Sequence[SampleInsurer]) -> list[str]:
    """Faults of single files: x4xx asks the tables, R222 the site, which peers do not have."""
    found = dict.fromkeys(code for each in insurers for code in codes_without_history(each))
    return [code for code in found if code != "R222" and not code.startswith(("R4", "W4"))]


def split(file: Path, form: Format) -> list[str]:
    """The data lines of each record type in a file of their own, as the floor finds them.

    Returns:
        names of those that hold any.
    """
    with ExitStack() as stack:
        targets = {
            record.code.encode(): stack.enter_context(
                file.with_name(f"{record.code}.csv").open("wb")
            )
            for record in form.records
        }
        for line in stack.enter_context(file.open("rb")):
            target = targets.get(line[11:13])
            if target is not None:
                target.write(line)
        # What is still on its way to the disk would slow down the first that is measured.
        for target in targets.values():
            target.flush()
            os.fsync(target.fileno())
    found = [file.with_name(f"{record.code}.csv") for record in form.records]
    return [path.name for path in found if path.stat().st_size]


if __name__ == "__main__":
    main()
