"""Measure pushes to オンライン資格確認等システム: of a night's hundredth, and of everybody.

  scripts/bench online                               # 300,000 persons
  scripts/bench online --persons 10000000 --folder /var/tmp/online --json
  scripts/bench online --rounds 1 --only delta

The site is laid first, by the tables' own code; with --folder it stays there for the next run. In
each round floor and koukan run one after another, each as a process of its own: the floor reads the
same columns from plain Parquet and writes plain CSV (for a night behind a semi-join with its keys),
koukan restates, renders, encrypts and signs. `ratio` and `full_ratio` are medians of the rounds'
koukan / floor. Exit code 50: a push does not hold what the floor has written.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import measuring
from ingest import WRONG, Parser

PACKAGES = ("polars", "numpy", "pyarrow", "cryptography", "pyrage")
KINDS = {"delta": "", "full": "full_"}
Result = dict[str, Any]


def parse(arguments: list[str]) -> argparse.Namespace:
    head, text = (__doc__ or "").split("\n", 1)
    parser = Parser("scripts/bench online", description=head, epilog=text)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--persons", type=int, default=300_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=tuple(KINDS), help="one of the two pushes")
    parser.add_argument("--folder", type=Path, help="where the site is kept between runs")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)
    if given.rounds < 1 or given.persons < 1_000:
        parser.error("--rounds from 1, --persons from 1,000")
    return given


def main() -> int:
    os.umask(0o077)
    given = parse(sys.argv[1:])
    with tempfile.TemporaryDirectory(prefix="koukan-bench-") as name:
        kept = given.folder or Path(name)
        try:
            folder, made = laid(given, kept)
            kinds = [given.only] if given.only else list(KINDS)
            rounds = [
                {kind: one_round(folder, made, kind) for kind in kinds} for _ in range(given.rounds)
            ]
        except measuring.Failed as problem:
            print(f"scripts/bench: {problem}", file=sys.stderr)
            return WRONG
    found = summary(made, rounds)
    print(json.dumps(found)) if given.json else show(found)
    return 0


def laid(given: argparse.Namespace, kept: Path) -> tuple[Path, Result]:
    """The site in its folder: one that was laid whole has a note beside it."""
    folder = kept / f"online-{given.persons}-{given.seed}"
    note = folder / "made.json"
    if note.is_file():
        found: Result = json.loads(note.read_text(encoding="utf-8"))
        return folder, found
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, mode=0o700)
    print(f"laying the history of {given.persons:,} persons …", file=sys.stderr)
    options = ["--persons", str(given.persons), "--seed", str(given.seed)]
    made = measuring.run("online_site.py", folder, *options)
    shutil.copytree(folder / "site" / "ledger", folder / "ledger")
    os.sync()
    note.write_text(json.dumps(made), encoding="utf-8")
    return folder, made


def as_laid(folder: Path) -> None:
    """What a push has left goes: its files, its keys, and what the ledger knows of it."""
    site = folder / "site"
    for place in ("pushes", "keyring/random/push", "exchange/oqs/outbox", "ledger"):
        shutil.rmtree(site / place, ignore_errors=True)
    shutil.copytree(folder / "ledger", site / "ledger")
    (site / "pushes").mkdir(mode=0o700)


def one_round(folder: Path, made: Result, kind: str) -> Result:
    """Floor and koukan; what they read is in the page cache, as far as it has room.

    Raises:
        Failed: the push does not hold what the floor has written.
    """
    target = folder / "floor"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    measuring.warm(sorted((folder / "plain").glob("*.parquet")))
    columns = json.dumps(made["sections"])
    floor = measuring.run("floor_online.py", folder / "plain", target, kind, columns)
    shutil.rmtree(target)
    as_laid(folder)
    measuring.warm(sorted((folder / "site" / "tables").rglob("*.parquet")))
    found = measuring.run("koukan_online.py", folder, kind)
    as_laid(folder)
    persons = made["persons"] if kind == "full" else made["changed"]
    lines = made["changed"] if kind == "delta" else 0
    # The floor of a night also writes what was said of its persons before.
    wanted = floor["lines"] - len(made["sections"]) * (lines or made["changed"])
    if (found["persons"], found["rows"] - found["persons"]) != (persons, wanted):
        raise measuring.Failed(f"a push of {kind} does not hold what it should")
    print(
        f"{kind}: floor {floor['seconds']:.2f} s ({floor['cpu_s']:.2f} s of CPU), koukan "
        f"{found['seconds']:.2f} s ({found['cpu_s']:.2f} s), {found['rss_mib']:,.0f} MiB",
        file=sys.stderr,
    )
    return {"floor": floor, "koukan": found}


def summary(made: Result, rounds: list[Result]) -> Result:
    """Times are medians over the rounds, memory is the highest of all."""
    found: Result = {}
    for kind in rounds[0]:
        pairs = [(each[kind]["floor"], each[kind]["koukan"]) for each in rounds]
        prefix = KINDS[kind]
        for name, key in (("ratio", "seconds"), ("cpu_ratio", "cpu_s")):
            found[prefix + name] = round(median(own[key] / floor[key] for floor, own in pairs), 2)
        for name, place in (("floor", 0), ("koukan", 1)):
            for key in ("seconds", "cpu_s"):
                told = "s" if key == "seconds" else key
                middle = median(pair[place][key] for pair in pairs)
                found[f"{prefix}{name}_{told}"] = round(middle, 2)
        found[f"{prefix}peak_rss_mib"] = round(max(own["rss_mib"] for _, own in pairs))
        found[f"{prefix}rows"] = pairs[0][1]["rows"]
    return found | {
        "persons": made["persons"],
        "changed": made["changed"],
        "files": made["files"],
        "history_mib": round(made["bytes"] / 1024**2),
        "versions": {"python": platform.python_version()}
        | {package: version(package) for package in PACKAGES},
        "cores": len(os.sched_getaffinity(0)),
    }


def show(found: Result) -> None:
    """The same for people."""
    print(f"{found['persons']:,} persons in {found['files']:,} files, {found['cores']} cores")
    for kind, prefix in KINDS.items():
        if f"{prefix}ratio" in found:
            own = {name.removeprefix(prefix): told for name, told in found.items()}
            print(
                f"{kind}: {own['rows']:,} lines, {own['koukan_s']:.2f} s, {own['ratio']:.2f} times "
                f"the floor's {own['floor_s']:.2f} s (CPU {own['cpu_ratio']:.2f} times), "
                f"{own['peak_rss_mib']:,} MiB"
            )
    print(", ".join(f"{name} {number}" for name, number in found["versions"].items()))


if __name__ == "__main__":
    sys.exit(main())
