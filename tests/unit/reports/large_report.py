"""Reports many errors: `large_report.py FOLDER LINES CAUSES`. Prints what was reported and VmHWM.

The errors come from the bytes of a result file, a block at a time, as they do in the step.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from koukan.codecs import render
from koukan.formats import require_catalogue
from koukan.reports.errors import write_report
from koukan.reports.workbook import About
from koukan.rules.causes import errors_in
from koukan.shipped import formats_folder

BLOCK = 10_000  # lines
folder = Path(sys.argv[1])
lines, causes = int(sys.argv[2]), int(sys.argv[3])
catalogue = require_catalogue(formats_folder())
form = catalogue.formats["registration_result"]
reasons = [reason for code, reason in sorted(catalogue.reasons.items()) if code[0] == "R"]
codes = sorted(code for code in catalogue.reasons if code[0] == "R")
chosen = [(place % len(codes), place // len(codes)) for place in range(causes)]
words = pl.DataFrame(
    {
        "cause": range(causes),
        "processing_result_code": [codes[code] for code, _ in chosen],
        "field_label": [f"項目{field}" for _, field in chosen],
        "processing_result_text": [reasons[code].text for code, _ in chosen],
        "action_text": [reasons[code].action for code, _ in chosen],
    }
)


def blocks() -> Iterator[bytes]:
    for start in range(0, lines, BLOCK):
        numbers = pl.DataFrame({"line": range(start, min(start + BLOCK, lines))})
        rows = numbers.select(
            cause=pl.col("line") % causes,
            line_number=(pl.col("line") + 2).cast(pl.String),
            record_number=(pl.col("line") + 1).cast(pl.String).str.zfill(10),
            processing_result_class=pl.lit("2"),
        )
        yield render.records(form, "line_result", rows.join(words, on="cause", how="left"))


about = About("ER_large", (), dict.fromkeys(("received", "accepted", "rejected", "duplicate"), 0))
workbook, listing = (folder / f"{lines}-{causes}.{end}" for end in ("xlsx", "zip"))
found = write_report(workbook, listing, about, (errors_in(form, block) for block in blocks()), "ja")
status = Path("/proc/self/status").read_text("ascii").splitlines()
peak = next(line for line in status if line.startswith("VmHWM")).split()[1]
sys.stdout.write(f"{found.lines} {found.errors} {found.causes} {peak}\n")
