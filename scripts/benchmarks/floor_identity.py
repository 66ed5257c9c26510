"""The floor: the least that reconciling costs, with the same threads. Imports nothing of koukan.

Request and answer lie ready as fixed-width cp932 bytes. Both are cut into pieces; of each, two at a
time, the fields that are needed are sliced, decoded with Python's codec and split into columns; one
polars join; the joined lines as text, cut into as many parts as there are insurers, each encrypted
with pyrage. Nothing is checked, compared, kept or signed, and nothing is written.
"""

from __future__ import annotations

import argparse
import io
import json
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import measuring
import numpy as np
import polars as pl
import pyrage

PIECE = 30_000  # records
SEPARATOR = 0x1F


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("layout", type=json.loads, help="of request and answer, see identity.py")
    parser.add_argument("request", type=Path)
    parser.add_argument("answer", type=Path)
    parser.add_argument("insurers", type=int)
    parser.add_argument("recipient")
    given = parser.parse_args()
    recipient = pyrage.x25519.Recipient.from_str(given.recipient)
    meter = measuring.Meter()
    with ThreadPoolExecutor(2) as pool:
        asked = read(pool, given.request, given.layout["request"])
        answered = read(pool, given.answer, given.layout["answer"])
        joined = asked.join(answered, on="request_record_number", suffix="_returned")
        content = joined.write_csv(include_header=False).encode("cp932", "replace")
        parts = np.linspace(0, len(content), given.insurers + 1).astype(int).tolist()
        spans = list(pairwise(parts))
        sizes = pool.map(
            lambda span: len(pyrage.encrypt(content[span[0] : span[1]], [recipient])), spans
        )
        total = sum(sizes)
    cost = meter.stop()
    measuring.say({**cost, "rows": joined.height, "packages": len(spans), "encrypted": total})


def read(pool: ThreadPoolExecutor, path: Path, layout: dict[str, Any]) -> pl.DataFrame:
    """The needed fields of all records but the first and the last line."""
    content = np.fromfile(path, np.uint8)
    width = layout["width"]
    body = content[layout["head"] : len(content) - layout["tail"]].reshape(-1, width)
    starts = range(0, len(body), PIECE)
    frames = pool.map(lambda start: split(body[start : start + PIECE], layout["fields"]), starts)
    return pl.concat(frames)


def split(records: np.ndarray, fields: dict[str, list[int]]) -> pl.DataFrame:  # type: ignore[type-arg]
    """Slices of fixed-width records as columns of strings."""
    width = sum(stop - start + 1 for start, stop in fields.values())
    table = np.full((len(records), width), SEPARATOR, np.uint8)
    place = 0
    for start, stop in fields.values():
        table[:, place : place + stop - start] = records[:, start:stop]
        place += stop - start + 1
    table[:, -1] = 10
    text = table.tobytes().decode("cp932").encode()
    head = chr(SEPARATOR).join(fields).encode() + b"\n"
    frame = pl.read_csv(
        io.BytesIO(head + text),
        separator=chr(SEPARATOR),
        infer_schema=False,
        quote_char=None,
    )
    return frame.select(pl.all().str.strip_chars_end(" "))


if __name__ == "__main__":
    main()
