"""What one registration adds to the tables, against its rows in a plain file.

  koukan_written.py FOLDER --rows N --seed S

The plain file is one Parquet file of all accepted rows as the insurer's 委託区画 has them, section
after section, with the tables' own compression. The site has as many buckets as one has that says
nothing of them. Prints one JSON document.
"""

from __future__ import annotations

import argparse
import os
from datetime import date
from pathlib import Path

import measuring
import polars as pl
from history_site import INSURER, SITE

from koukan.engine.centre import Centre, open_centre
from koukan.engine.initialise import initialise
from koukan.engine.run import run_job
from koukan.flows.registration import FORMAT, PARTITION, ROSTER
from koukan.samples.bulk import write_bulk
from koukan.samples.registration import SampleInsurer
from koukan.sites import Site
from koukan.tables.encrypted import COMPRESSION_LEVEL

SAMPLE = SampleInsurer("06990014", "health_society", "06990014")  # an invented 健保
BUCKETS_OF_A_SITE = Site.model_fields["buckets"].default


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    given = parser.parse_args()
    os.umask(0o077)
    root, key = given.folder / "site", given.folder / "keys" / "batch.key"
    root.mkdir(mode=0o700, parents=True)
    head = SITE.format(buckets=BUCKETS_OF_A_SITE, codes=f'["{SAMPLE.code}"]')
    text = head + INSURER.format(code=SAMPLE.code)
    (root / "site.toml").write_text(text, encoding="utf-8")
    initialise(root, key)
    centre = open_centre(root, key)
    form = centre.catalogue.formats[FORMAT]
    write_bulk(
        root / "exchange" / "kenpo" / "inbox" / "dedicated_terminal",
        form,
        seed=given.seed,
        insurer=SAMPLE,
        persons=given.rows // len(form.required),
        sender="kenpo",
        as_of=date(2026, 4, 1),
    )
    run_job(centre, "register_members")
    files = [file for name in centre.tables for file in centre.snapshot(name).files()]
    rows, plain = plain_file(centre, given.folder / "plain.parquet")
    added = sum(file.size for file in files)
    measuring.say({"rows": rows, "bytes": added, "files": len(files), "plain_bytes": plain})
    centre.close()


def plain_file(centre: Centre, path: Path) -> tuple[int, int]:
    """Rows and size of the plain file."""
    snapshot = centre.snapshot(PARTITION)
    sections = [name for name in snapshot.table.definition.sections if name != ROSTER]
    frames = [snapshot.read(snapshot.files(section=name), section=name) for name in sections]
    rows = pl.concat(frames, how="diagonal")
    rows.write_parquet(
        path, compression="zstd", compression_level=COMPRESSION_LEVEL, statistics=False
    )
    return rows.height, path.stat().st_size


if __name__ == "__main__":
    main()
