"""Measure PMH-ID: a request of a million numbers against a vault of many persons.

  scripts/bench pmh                                    # a million of 3 million persons, 3 rounds
  scripts/bench pmh --rows 1000000 --persons 30000000 --json
  scripts/bench pmh --folder /var/tmp/pmh              # where the vault is kept between runs

The vault is laid first, by the table's own code, and with --folder it stays there for the next run.
In each round the floor decodes the request, joins it with plain Parquet of as many numbers and
encodes the answer; koukan answers it from the inbox to the package in PMH's outbox, twice, each in
a process of its own. `ratio` is the median of the rounds' koukan / floor where all need a new
PMH-ID, `ratio_again` where everybody has one. Exit code 50: wrong counts.
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
from ingest import WRONG, Parser, WrongCounts, highest, middle

PACKAGES = ("polars", "numpy", "pyarrow", "cryptography", "pyrage")
KEPT_WITH_IT = "keys.parquet"
Result = dict[str, Any]


def parse(arguments: list[str]) -> argparse.Namespace:
    head, text = (__doc__ or "").split("\n", 1)
    parser = Parser("scripts/bench pmh", description=head, epilog=text)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--rows", type=int, default=1_000_000, help="numbers that PMH asks for")
    parser.add_argument("--persons", type=int, default=3_000_000, help="in the vault")
    parser.add_argument("--files", type=int, default=3, help="of each of the vault's 64 buckets")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where the vault is kept between runs")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)
    if not 1 <= given.rows <= given.persons or min(given.files, given.rounds) < 1:
        parser.error("--rows from 1 to --persons, --files and --rounds from 1")
    return given


def main() -> int:
    os.umask(0o077)
    given = parse(sys.argv[1:])
    with tempfile.TemporaryDirectory(prefix="koukan-bench-") as name:
        work = Path(name)
        try:
            folder, made = laid(given, given.folder or work)
            options = ["--rows", str(given.rows), *shape(given)]
            asked = measuring.run("pmh_site.py", "request", folder, work / "request.csv", *options)
            rounds = [one_round(given, folder, work, at) for at in range(given.rounds)]
            compare(asked, rounds)
        except (WrongCounts, measuring.Failed) as problem:
            print(f"scripts/bench: {problem}", file=sys.stderr)
            return WRONG
    found = summary(given, made, rounds)
    print(json.dumps(found)) if given.json else show(found)
    return 0


def shape(given: argparse.Namespace) -> list[str]:
    return ["--persons", str(given.persons), "--seed", str(given.seed)]


def laid(given: argparse.Namespace, kept: Path) -> tuple[Path, Result]:
    """The vault in its folder: one that was laid whole has a note beside it."""
    folder = kept / f"{given.persons}-{given.files}-{given.seed}"
    note = folder / "made.json"
    if note.is_file():
        found: Result = json.loads(note.read_text(encoding="utf-8"))
        return folder, found
    shutil.rmtree(folder, ignore_errors=True)
    print(f"laying the vault of {given.persons:,} persons …", file=sys.stderr)
    options = [*shape(given), "--files", str(given.files)]
    made = measuring.run("pmh_site.py", "site", folder, *options)
    os.sync()
    note.write_text(json.dumps(made), encoding="utf-8")
    return folder, made


def one_round(given: argparse.Namespace, folder: Path, work: Path, at: int) -> dict[str, Result]:
    """Everybody once; the vault's files are linked, not copied, since nobody writes to them."""
    root, keys = work / "root", folder / "keys"
    shutil.copytree(folder / "site", root, symlinks=True, copy_function=linked)
    request, answer = work / "request.csv", work / "answer.csv"
    measuring.warm([request, folder / KEPT_WITH_IT])
    floor = measuring.run("floor_pmh.py", request, folder / KEPT_WITH_IT, answer)
    measuring.warm([request, *sorted((root / "tables" / "vault").rglob("*.parquet"))])
    first = measuring.run("koukan_pmh.py", root, keys, request, "1")
    again = measuring.run("koukan_pmh.py", root, keys, request, "2")
    shutil.rmtree(root)
    answer.unlink()
    os.sync()
    print(
        f"round {at + 1} of {given.rounds}: floor {floor['seconds']:.2f} s, "
        f"koukan {first['seconds']:.2f} s, again {again['seconds']:.2f} s",
        file=sys.stderr,
    )
    return {"floor": floor, "first": first, "again": again}


def linked(source: str, target: str) -> str:
    """Data files are shared; everything else is the round's own."""
    if source.endswith(".parquet"):
        os.link(os.path.realpath(source), target)
    else:
        shutil.copy2(source, target)
    return target


def compare(asked: Result, rounds: list[dict[str, Result]]) -> None:
    """Whoever is known has a PMH-ID, new the first time and never again."""
    for each in rounds:
        floor, first, again = each["floor"], each["first"], each["again"]
        rows = {floor["rows"], first["rows"], again["rows"]}
        given = {floor["given"], first["given"], again["given"]}
        if rows != {asked["rows"]} or given != {asked["known"]}:
            raise WrongCounts(f"rows {sorted(rows)}, given {sorted(given)}, asked {asked}")
        if first["fresh"] != asked["known"] or again["fresh"]:
            raise WrongCounts(f"issued {first['fresh']}, then {again['fresh']}")
        if {first["state"], again["state"]} != {"laid_out"}:
            raise WrongCounts("an answer was not laid out")


def summary(given: argparse.Namespace, made: Result, rounds: list[dict[str, Result]]) -> Result:
    """Times are medians over the rounds, memory is the highest of all."""
    floor, first, again = ([each[name] for each in rounds] for name in ("floor", "first", "again"))

    def ratios(mine: list[Result]) -> list[float]:
        both = zip(mine, floor, strict=True)
        return [round(one["seconds"] / other["seconds"], 3) for one, other in both]

    return {
        "floor_s": round(middle(floor, "seconds"), 3),
        "koukan_s": round(middle(first, "seconds"), 3),
        "again_s": round(middle(again, "seconds"), 3),
        "ratio": round(median(ratios(first)), 3),
        "ratios": ratios(first),
        "ratio_again": round(median(ratios(again)), 3),
        "peak_rss_mib": round(max(highest(first), highest(again))),
        "floor_rss_mib": round(highest(floor)),
        "cpu_s": round(middle(first, "cpu_s"), 3),
        "again_cpu_s": round(middle(again, "cpu_s"), 3),
        "floor_cpu_s": round(middle(floor, "cpu_s"), 3),
        "steps": {
            step: round(median(each["steps"][step] for each in first), 3)
            for step in first[0]["steps"]
        },
        "rows": given.rows,
        "persons": made["persons"],
        "files": made["files"],
        "vault_mib": round(made["bytes"] / 1024**2),
        "versions": {"koukan": first[0]["version"], "python": platform.python_version()}
        | {package: version(package) for package in PACKAGES},
        "cores": len(os.sched_getaffinity(0)),
    }


def show(found: Result) -> None:
    """The same for people."""
    print(
        f"\n{found['rows']:,} numbers, {found['persons']:,} persons in {found['files']} files of "
        f"{found['vault_mib']:,} MiB, {found['cores']} cores\n"
    )
    print(f"{'':10}{'seconds':>10}{'CPU s':>10}")
    for name, key in (("floor", "floor_"), ("koukan", ""), ("again", "again_")):
        seconds = found["koukan_s" if name == "koukan" else f"{name}_s"]
        print(f"{name:10}{seconds:>10.2f}{found[f'{key}cpu_s']:>10.2f}")
    print(f"\n{'step':12}{'seconds':>8}")
    for step, seconds in found["steps"].items():
        print(f"{step:12}{seconds:>8.2f}")
    print(f"\nmemory {found['peak_rss_mib']:,} MiB (floor {found['floor_rss_mib']:,})")
    print(
        f"ratio {found['ratio']:.2f}, the median of",
        *(f"{each:.2f}" for each in found["ratios"]),
        f"(again {found['ratio_again']:.2f})",
    )
    print(", ".join(f"{name} {number}" for name, number in found["versions"].items()))


if __name__ == "__main__":
    sys.exit(main())
