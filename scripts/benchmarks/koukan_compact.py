"""One run of the job `compact_tables` in a process of its own: koukan_compact.py FOLDER

Prints one JSON document: time, memory, and what it wrote.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import measuring
from sqlalchemy import func, select

from koukan.engine.centre import Centre, open_centre
from koukan.engine.run import run_job
from koukan.ledger import rewritings, schema


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    given = parser.parse_args()
    centre = open_centre(given.folder / "site", given.folder / "keys" / "batch.key")
    before = written(centre)
    meter = measuring.Meter()
    run_job(centre, "compact_tables")
    found = meter.stop()
    measuring.say({**found, "bytes": written(centre) - before})
    centre.close()


def written(centre: Centre) -> int:
    """Bytes that compaction has ever written."""
    files, groups = schema.group_files.c, schema.groups.c
    query = select(func.sum(files.size)).where(
        files.group_number == groups.number, groups.format == rewritings.COMPACT
    )
    return int(centre.ledger.read(query)[0][0] or 0)


if __name__ == "__main__":
    main()
