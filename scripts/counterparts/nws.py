"""Plays 住基ネット and 情報提供ネットワークシステム for 機関別符号: takes requests, returns codes.

  nws.py --exchange ROOT/exchange --state DIR --seed 1
  nws.py … --late 30      # so many of a hundred answers are kept for the next call
  nws.py … --doubly       # whatever was answered before is answered once more
  nws.py … --wrongly      # of what was answered before: a stranger's, others', second codes

Each call takes the request files that lie in the outbox of 住基ネット and lays one answer file into
the inbox of NWS. A number gets the same code whenever it is asked for, and another one if it is a
reissue; some get none (処理結果詳細コード 1001), some none for now (9001). All is drawn by the
seed. It shares no code with koukan. The state holds invented numbers in plain: this is a program
for tests and demonstrations. One JSON line of counts on stdout; exit code 65 where a request is not
as the documentation says (formats/README.md).
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from pathlib import Path

import polars as pl

DONE, REFUSED = 0, 65
REQUEST_NAME = re.compile(r"JC_koukan_([0-9]{6})\.dat")
CONTROL, RECORD, END = 10 + 2 + 8 + 32 + 6 + 8, 10 + 2 + 16 + 12 + 1, 10 + 2 + 8 + 8 + 18
FIELDS = (
    ("line", 0, 10),
    ("type", 10, 2),
    ("number", 12, 16),
    ("my_number", 28, 12),
    ("reissue", 40, 1),
)
LAYOUT = "0" * 10 + "00JC202604"
LINE_END = "\r\n"
TEXT = {"0000": "正常", "1001": "住民票コードなし", "9001": "一時的に処理できない"}
NEVER, NOT_NOW = 4, 4  # of a hundred
ROWS = {"number": pl.String, "class": pl.String, "code": pl.String, "detail": pl.String}
ISSUED = {"my_number": pl.String, "epoch": pl.Int64}


class Refused(Exception):
    """A request that is not as the documentation says; the text tells where, never a value."""


def read_request(path: Path) -> pl.DataFrame:
    """number, my_number, reissue; checked throughout."""
    lines = path.read_bytes().decode("cp932").split(LINE_END)
    if lines.pop() != "" or [len(lines[0]), len(lines[-1])] != [CONTROL, END]:
        raise Refused("control or end record")
    rows = pl.DataFrame({"text": lines[1:-1]}, schema={"text": pl.String})
    if not (rows["text"].str.len_bytes() == RECORD).all() or not lines[0].startswith(LAYOUT):
        raise Refused("length of a record, or layout")
    found = rows.select(
        pl.col("text").str.slice(start, length).alias(name) for name, start, length in FIELDS
    )
    counted = pl.int_range(1, pl.len() + 1).cast(pl.String).str.zfill(10)
    whole = found.select(
        (pl.col("line") == counted).all()
        & (pl.col("type") == "82").all()
        & pl.col("number").str.contains("^[0-9]{16}$").all()
        & pl.col("my_number").str.contains("^[0-9]{12}$").all()
        & pl.col("reissue").is_in(["0", "1"]).all()
        & pl.col("number").is_unique().all()
    ).item()
    if not whole or lines[-1][12:20] != f"{rows.height:08d}":
        raise Refused("a record")
    return found.select("number", "my_number", "reissue")


class State:
    """What was answered, what is kept for later, and how many codes each number has had."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.folder = folder

    def read(self, name: str, schema: dict[str, type[pl.DataType]]) -> pl.DataFrame:
        path = self.folder / f"{name}.csv"
        return pl.read_csv(path, schema=schema) if path.exists() else pl.DataFrame(schema=schema)

    def write(self, name: str, frame: pl.DataFrame) -> None:
        frame.write_csv(self.folder / f"{name}.csv")

    def next_sequence(self) -> int:
        path = self.folder / "sequence"
        number = int(path.read_text()) + 1 if path.exists() else 1
        path.write_text(str(number))
        return number


def answers(asked: pl.DataFrame, state: State, seed: int) -> pl.DataFrame:
    """ROWS: what is returned for each line of a request."""
    issued = state.read("issued", ISSUED)
    whole = asked.join(issued, on="my_number", how="left", maintain_order="left").with_columns(
        epoch=pl.col("epoch").fill_null(0) + (pl.col("reissue") == "1").cast(pl.Int64)
    )
    known = whole.select("my_number", "epoch")
    state.write("issued", pl.concat([known, issued.join(known, on="my_number", how="anti")]))
    drawn = pl.col("my_number").hash(seed) % 100
    again = pl.col("number").hash(seed + 1) % 100
    detail = (
        pl.when(drawn < NEVER)
        .then(pl.lit("1001"))
        .when(again < NOT_NOW)
        .then(pl.lit("9001"))
        .otherwise(pl.lit("0000"))
    )
    text = pl.struct("my_number", "epoch").hash(seed + 2).cast(pl.String).str.zfill(20)
    return whole.with_columns(detail=detail, code="N" + text).select(
        "number",
        pl.when(pl.col("detail") == "0000").then(pl.lit("1")).otherwise(pl.lit("2")).alias("class"),
        pl.when(pl.col("detail") == "0000").then("code").alias("code"),
        "detail",
    )


def wrong(given: pl.DataFrame) -> pl.DataFrame:
    """Rows that nobody may take in: a stranger's, another person's code, a second code."""
    good = given.filter(pl.col("class") == "1")
    stranger = good.head(1).with_columns(number=pl.lit("9" * 16))
    others = good.head(2).with_columns(number=pl.col("number").reverse())
    others = others if good.height > 2 else good.clear()
    second = good.tail(1).with_columns(code="Z" + pl.col("code").str.slice(1))
    return pl.concat([stranger, others, second])


def lay(inbox: Path, rows: pl.DataFrame, sequence: int) -> None:
    """One answer file, under another name first."""
    lines = [f"{'0' * 10},00,NC202604,nws,{sequence:06d},20260401"]
    counted = pl.int_range(1, pl.len() + 1)
    shown = rows.select(
        pl.concat_str(
            counted.cast(pl.String).str.zfill(10),
            pl.lit("83"),
            "number",
            "class",
            pl.col("code").fill_null(""),
            "detail",
            pl.col("detail").replace(TEXT),
            separator=",",
        )
    )
    lines += shown.to_series().to_list()
    total = rows.height * (rows.height + 1) // 2
    count = f"{rows.height:08d}"
    lines.append(f"{'9' * 10},99,{count},{count},{total:018d}")
    final = inbox / f"NC_nws_{sequence:06d}.csv"
    part = final.with_name(final.name + ".part")
    part.write_bytes("".join(line + LINE_END for line in lines).encode("cp932"))
    part.replace(final)


def run(arguments: argparse.Namespace) -> tuple[dict[str, int], int]:
    """What to print, and the exit code."""
    state = State(arguments.state)
    outbox = arguments.exchange / "juki-net" / "outbox"
    inbox = arguments.exchange / "nws" / "inbox" / "nws"
    kept, before = state.read("late", ROWS), state.read("answered", ROWS)
    parts, refused = [kept], 0
    for path in sorted(one for one in outbox.iterdir() if REQUEST_NAME.fullmatch(one.name)):
        try:
            found = answers(read_request(path), state, arguments.seed)
        except Refused as reason:
            print(f"{path.name}: {reason}", file=sys.stderr)
            refused += 1
            continue
        late = pl.col("number").hash(arguments.seed + 3) % 100 < arguments.late
        parts.append(found.filter(~late))
        state.write("late", found.filter(late))
        path.unlink()
    if len(parts) == 1:
        state.write("late", kept.clear())
    given = pl.concat(parts)
    rows = [given]
    rows += [before] if arguments.doubly else []
    rows += [wrong(before)] if arguments.wrongly else []
    whole = pl.concat(rows)
    state.write("answered", pl.concat([before, given]))
    if whole.height:
        lay(inbox, whole, state.next_sequence())
    told = {"requests": len(parts) - 1, "rows": whole.height, "refused": refused}
    return told, REFUSED if refused else DONE


def main() -> int:
    os.umask(0o077)
    head, text = (__doc__ or "").split("\n", 1)
    parser = argparse.ArgumentParser("nws.py", description=head, epilog=text)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--exchange", type=Path, required=True, help="the exchange of the centre")
    parser.add_argument("--state", type=Path, required=True, help="this program's own folder")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--late", type=int, default=0, metavar="PERCENT")
    parser.add_argument("--doubly", action="store_true")
    parser.add_argument("--wrongly", action="store_true")
    report, code = run(parser.parse_args())
    print(json.dumps(report))
    return code


if __name__ == "__main__":
    raise SystemExit(main())
