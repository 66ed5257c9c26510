"""The floor of a push: persons' rows in plain Parquet, read and written as plain CSV by polars.

  floor_online.py FOLDER TARGET delta|full COLUMNS

A delta is a semi-join of the keys with each section; all is every row. Imports nothing of koukan.
Prints one JSON document.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import measuring
import polars as pl


def main() -> None:
    plain, target, kind, columns = sys.argv[1:]
    folder, out = Path(plain), Path(target)
    meter = measuring.Meter()
    for section, names in json.loads(columns).items():
        rows = pl.scan_parquet(folder / f"{section}.parquet").select(names)
        if kind == "delta":
            keys = pl.scan_parquet(folder / "keys.parquet")
            rows = rows.join(keys, on="link_number", how="semi")
        rows.sink_csv(out / f"{section}.csv", include_header=False)
    cost = meter.stop()
    lines = 0
    for path in out.iterdir():
        with path.open("rb") as file:
            lines += sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 24), b""))
    measuring.say({**cost, "lines": lines})


if __name__ == "__main__":
    main()
