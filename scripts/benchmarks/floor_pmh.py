"""The floor: the least that answering PMH costs. Imports nothing of koukan.

The request lies ready as cp932 lines. It is decoded with Python's codec and split into columns;
one polars join with plain Parquet of all numbers that there are; the answer's lines as text,
encoded. Nothing is checked, issued, encrypted, kept or signed, and the answer is one plain file.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import measuring
import polars as pl


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("request", type=Path)
    parser.add_argument("keys", type=Path)
    parser.add_argument("answer", type=Path)
    given = parser.parse_args()
    meter = measuring.Meter()
    text = given.request.read_bytes().decode("cp932").encode()
    asked = pl.read_csv(
        text,
        has_header=False,
        new_columns=["record_number", "record_type_code", "my_number"],
        infer_schema=False,
        quote_char=None,
        skip_rows=1,
        truncate_ragged_lines=True,
    )
    lines = asked.filter(pl.col("record_type_code") == "72").select(
        pl.col("my_number").str.strip_chars_end("\r")
    )
    keyed = lines.with_columns(key=pl.col("my_number").cast(pl.Int64))
    # An inner join first: for a left one polars would build its table of all the keys.
    keys = pl.scan_parquet(given.keys).rename({"my_number": "key"})
    found = keys.join(keyed.lazy().select("key").unique(), on="key", how="inner").collect()
    joined = keyed.join(found, on="key", how="left", maintain_order="left")
    told = joined.select("my_number", "pmh_id")
    content = told.write_csv(include_header=False, line_terminator="\r\n").encode("cp932")
    given.answer.write_bytes(content)
    found = {"rows": told.height, "given": told.height - told["pmh_id"].null_count()}
    measuring.say({**meter.stop(), **found})


if __name__ == "__main__":
    main()
