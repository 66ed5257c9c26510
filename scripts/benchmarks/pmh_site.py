"""Make what `pmh.py` measures on: a site whose vault knows many persons, and PMH's request.

  pmh_site.py site FOLDER --persons N --files F --seed S
  pmh_site.py request FOLDER FILE --persons N --rows R --seed S

The vault's rows are drawn here and written by the table's own code under the site's own keys, in F
files for each bucket. Beside the site lies what the floor joins with, in plain: every 個人番号 with
some sixteen digits. One in a hundred lines of the request names nobody. Started as a process of its
own, so that nothing of it is in anybody's time or memory. Prints one JSON document.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import measuring
import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow.parquet as pq
import pyrage
from history_site import reception

from koukan.engine.centre import Centre, held_version, open_centre, version_of
from koukan.engine.initialise import initialise
from koukan.engine.rewriting import row_of
from koukan.engine.steps.commit import file_name
from koukan.flows.registration import FORMAT, VAULT
from koukan.ledger import Ledger
from koukan.rules.checkdigits import complete
from koukan.samples.draws import Draws
from koukan.samples.population import text
from koukan.tables.definition import bucket_label, bucket_of_token
from koukan.tables.table import DataFile

Ints = npt.NDArray[np.int64]
BUCKETS, UNKNOWN = 64, 100  # one line in so many names nobody
PLAIN = "keys.parquet"
SITE = """\
buckets = {buckets}

[limits]
settle_seconds = 0.0

[[insurer]]
code = "06990014"
kind = "health_society"
title = "架空健康保険組合"

[[sender]]
name = "kenpo"
title = "架空健康保険組合"
doors = ["dedicated_terminal"]
insurers = ["06990014"]

[[sender]]
name = "pmh"
title = "架空ＰＭＨ"
doors = ["pmh_link"]
system = "pmh"
package_key = "{key}"
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("site", "request"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("file", type=Path, nargs="?")
    for name in ("--persons", "--seed"):
        parser.add_argument(name, type=int, required=True)
    parser.add_argument("--files", type=int, default=3)
    parser.add_argument("--rows", type=int, default=0)
    given = parser.parse_args()
    os.umask(0o077)
    if given.what == "site":
        measuring.say(make(given.folder, given.persons, given.files, given.seed))
    else:
        measuring.say(request(given.file, given.persons, given.rows, given.seed))


def make(folder: Path, persons: int, files: int, seed: int) -> dict[str, object]:
    """The whole site, and the floor's keys."""
    root, key = folder / "site", folder / "keys" / "batch.key"
    root.mkdir(mode=0o700, parents=True)
    recipient = pyrage.x25519.Identity.generate().to_public()
    (root / "site.toml").write_text(SITE.format(buckets=BUCKETS, key=recipient), encoding="utf-8")
    initialise(root, key)
    centre = open_centre(root, key)
    bounds = [persons * part // files for part in range(files + 1)]
    writer: pq.ParquetWriter | None = None
    for group, (start, stop) in enumerate(pairwise(bounds), 1):
        counters = np.arange(start, stop, dtype=np.int64)
        numbers = numbers_of(seed, counters)
        commit(centre, group, numbers, centre.link_issuer.issue(counters))
        issued = centre.pmh_issuer.issue(counters)
        given = pl.DataFrame({"my_number": numbers, "pmh_id": issued}).to_arrow()
        writer = writer or pq.ParquetWriter(folder / PLAIN, given.schema, compression="zstd")
        writer.write_table(given, row_group_size=1_000_000)
    assert writer is not None
    writer.close()
    held = centre.snapshot(VAULT).files()
    centre.close()
    rows, size = sum(file.rows for file in held), sum(file.size for file in held)
    return {"persons": rows, "files": len(held), "bytes": size}


def numbers_of(seed: int, counters: Ints) -> Ints:
    """個人番号 of invented persons, no two alike."""
    return np.asarray(complete("my_number", Draws(seed).eleven_digits(counters)), np.int64)


def commit(centre: Centre, night: int, numbers: Ints, links: Ints) -> None:
    """One group's rows of the vault: its reception in the ledger, its data files, its commit."""
    number = centre.ledger.add_reception(reception(centre, night))
    group = centre.ledger.form_group(FORMAT, [centre.ledger.reception(number)], centre.now())
    files = list(written(centre, group, numbers, links))
    held = centre.ledger.table_versions()[VAULT]
    version = centre.tables[VAULT].commit(files, [], transaction=group, expected=version_of(held))
    with centre.ledger.begin() as transaction:
        Ledger.put_group_files(transaction, group, [row_of(VAULT, file) for file in files])
        Ledger.put_table_version(transaction, held_version(VAULT, version))
        Ledger.set_group(transaction, group, "committed")


def written(centre: Centre, group: int, numbers: Ints, links: Ints) -> Iterator[DataFile]:
    """The group's data files, bucket by bucket."""
    high, low = centre.tokeniser.tokens(numbers)
    rows = pl.DataFrame({"token_hi": high, "token_lo": low, "link_number": links}).with_columns(
        reception=pl.lit(group, pl.Int64),
        group_number=pl.lit(group, pl.Int64),
        origin=pl.lit("issued"),
    )
    columns = centre.tables[VAULT].definition.columns({})
    rows = rows.select(list(columns)).sort("token_hi", "token_lo")
    places = bucket_of_token(rows["token_hi"], BUCKETS)
    starts = np.searchsorted(places.to_numpy(), np.arange(BUCKETS + 1)).tolist()
    for bucket, (start, stop) in enumerate(pairwise(starts)):
        if stop > start:
            where = {"bucket": bucket_label(bucket, BUCKETS)}
            yield centre.tables[VAULT].write(where, rows[start:stop], file_name(group, 1, 0))


def request(path: Path, persons: int, rows: int, seed: int) -> dict[str, object]:
    """PMH's file: each person at most once where there are enough of them."""
    lines = np.arange(rows, dtype=np.int64)
    stride = persons // rows or 1
    counters = (lines * stride + Draws(seed).below("asked", lines, stride)) % persons
    counters = np.where(lines % UNKNOWN == 0, persons + lines, counters)
    order = np.argsort(Draws(seed).words("order", lines))
    numbers = text(numbers_of(seed, counters[order]), 12)
    body = pl.DataFrame({"line": text(lines + 1, 10), "type": ["72"] * rows, "number": numbers})
    total = rows * (rows + 1) // 2 % 10**18
    with path.open("wb") as file:
        file.write(b"0000000000,00,PM202604,pmh,000001,20260401\r\n")
        body.write_csv(file, include_header=False, line_terminator="\r\n")
        file.write(f"9999999999,99,{rows:08d},{rows:08d},{total:018d}\r\n".encode())
    return {"rows": rows, "known": int(np.count_nonzero(counters < persons))}


if __name__ == "__main__":
    main()
