"""The floor: the least that any intake does, with its input laid ready. Imports nothing of koukan.

The lines of each record type lie as cp932 bytes in a file of their own; for each, one after
another: read, decode with Python's codec, polars.scan_csv with every column a string, sink_parquet.
"""

from __future__ import annotations

import sys
from pathlib import Path

import measuring
import polars as pl


def main() -> None:
    target, *files = map(Path, sys.argv[1:])
    meter = measuring.Meter()
    for file in files:
        text = file.read_bytes().decode("cp932").encode()
        frame = pl.scan_csv(text, has_header=False, infer_schema=False, quote_char=None)
        frame.sink_parquet(target / f"{file.stem}.parquet")
    cost = meter.stop()
    rows = [pl.scan_parquet(path).select(pl.len()).collect().item() for path in target.iterdir()]
    measuring.say({**cost, "rows": sum(rows)})


if __name__ == "__main__":
    main()
