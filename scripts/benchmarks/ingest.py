"""Measure the intake of one registration file against the floor and against peers.

  scripts/bench ingest                            # a million lines, 5 rounds
  scripts/bench ingest --rows 100000 --rounds 3 --no-peers
  scripts/bench ingest --insurers 50 --no-peers
  scripts/bench ingest --bad 0.5 --no-peers
  scripts/bench ingest --json >ingest.json

The input is one file in cp932 with all eight record types: new persons, nine tenths of them of a
健保 and the rest of a 福祉事務所 (医療券), or as many of each of --insurers; empty tables. In each
round floor, koukan and the peers run one after another, each as a process of its own. The ratio is
the median of the rounds' koukan / floor. Exit code 50: the counts are wrong.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any, NoReturn

import measuring

PEERS = ("duckdb", "pandas")
COUNTS = ("received", "accepted", "rejected", "duplicate")
PACKAGES = ("polars", "numpy", "pyarrow", "pandera", "deltalake", "duckdb", "pandas")
WRONG, USAGE = 50, 64
Result = dict[str, Any]


class WrongCounts(Exception):
    """Two that must agree do not."""


class Parser(argparse.ArgumentParser):
    """Ends in the exit code that koukan has for a wrong call."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(USAGE, f"{self.prog}: {message}\n")


def parse(arguments: list[str]) -> argparse.Namespace:
    head, text = (__doc__ or "").split("\n", 1)
    parser = Parser("scripts/bench ingest", description=head, epilog=text)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    whole = argparse.BooleanOptionalAction
    parser.add_argument("--rows", type=int, default=1_000_000, help="lines, as nearly as may be")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peers", action=whole, default=True, help="run duckdb and pandas too")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--bad", type=float, default=0.002, help="share of persons with a fault")
    parser.add_argument("--insurers", type=int, default=2, help="in the one file")
    parser.add_argument("--folder", type=Path, help="keep inputs here and use them again")
    given = parser.parse_args(arguments)
    if given.rows < 8 or given.rounds < 1 or not 0 <= given.bad <= 1:
        parser.error("--rows from 8, --rounds from 1, --bad from 0 to 1")
    if not 0 < given.insurers <= min(given.rows // 8, 1000):
        parser.error("--insurers from 1 to 1000, and eight lines for each")
    return given


def main() -> int:
    os.umask(0o077)
    given = parse(sys.argv[1:])
    with tempfile.TemporaryDirectory(prefix="koukan-bench-") as name:
        work = Path(name)
        try:
            folder, made = prepared(given, work)
            rounds = [one_round(given, folder, made, work, at) for at in range(given.rounds)]
        except (WrongCounts, measuring.Failed) as problem:
            print(f"scripts/bench: {problem}", file=sys.stderr)
            return WRONG
    found = summary(made, rounds)
    if given.json:
        print(json.dumps(found))
    else:
        show(found)
    return 0


def prepared(given: argparse.Namespace, work: Path) -> tuple[Path, Result]:
    """The folder with the input, made unless it is there, and what was said when it was made."""
    name = f"input-{given.rows}-{given.seed}-{given.bad:g}-{given.insurers}"
    folder = (given.folder or work) / name
    note = folder / "made.json"
    if not note.exists():
        print(f"writing a file of {given.rows:,} lines …", file=sys.stderr)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        options = ["--rows", str(given.rows), "--seed", str(given.seed)]
        options += ["--bad", str(given.bad), "--insurers", str(given.insurers)]
        note.write_text(json.dumps(measuring.run("sample_input.py", folder, *options)))
    made: Result = json.loads(note.read_text())
    return folder, made


def one_round(
    given: argparse.Namespace, folder: Path, made: Result, work: Path, at: int
) -> dict[str, Result]:
    """Everybody once; the counts are compared at once."""
    file = folder / made["file"]
    sections = [folder / name for name in made["sections"]]
    found = {}
    with emptied(work) as space:
        measuring.warm(sections)
        found["floor"] = measuring.run("floor.py", space, *sections)
    with emptied(work) as space:
        laid = copied(file, space)  # koukan takes it away
        measuring.warm([laid])
        found["koukan"] = measuring.run("koukan_run.py", space, json.dumps(made), laid)
    compare(made, found["koukan"], found["floor"])
    for peer in PEERS if given.peers else ():
        with emptied(work) as space:
            measuring.warm([file])
            found[peer] = measuring.run(f"{peer}_peer.py", file, space)
        agree(peer, found[peer], found["koukan"])
    times = ", ".join(f"{name} {result['seconds']:.2f} s" for name, result in found.items())
    print(f"round {at + 1} of {given.rounds}: {times}", file=sys.stderr)
    return found


@contextmanager
def emptied(work: Path) -> Iterator[Path]:
    """A folder of a run's own. Removed at once: what it wrote must not burden the next."""
    space = work / "space"
    space.mkdir()
    yield space
    shutil.rmtree(space)


def copied(file: Path, space: Path) -> Path:
    """A copy of the input that is on the disk before anything is measured."""
    target = space / file.name
    shutil.copyfile(file, target)
    with target.open("rb") as copy:
        os.fsync(copy.fileno())
    return target


def compare(made: Result, koukan: Result, floor: Result) -> None:
    """koukan accounts for every line, as the generator of the file says it must."""
    expected = {name: made["expected"][name] for name in COUNTS}
    counts = {name: koukan[name] for name in COUNTS}
    if koukan["outcome"] != "accepted":
        raise WrongCounts(f"the file was not accepted: {koukan['outcome']} {koukan['code']}")
    if counts != expected:
        raise WrongCounts(f"koukan counted {counts}, expected were {expected}")
    rows = made["expected"]["received"]
    if sum(koukan[name] for name in COUNTS[1:]) != rows:
        raise WrongCounts(f"koukan's counts {counts} do not add up to {rows}")
    # The result file has a control and an end record besides.
    if koukan["result_lines"] != rows + 2 or floor["rows"] != rows:
        raise WrongCounts(f"lines: result {koukan['result_lines']}, floor {floor['rows']}")


def agree(name: str, peer: Result, koukan: Result) -> None:
    """A peer came to the same counts, and to the same lines by code."""
    for what in (*COUNTS, "codes"):
        if peer[what] != koukan[what]:
            raise WrongCounts(f"{what}: {name} has {peer[what]}, koukan {koukan[what]}")


def summary(made: Result, rounds: list[dict[str, Result]]) -> Result:
    """Times are medians over the rounds, memory is the highest of all."""
    koukan = [each["koukan"] for each in rounds]
    ratios = [each["koukan"]["seconds"] / each["floor"]["seconds"] for each in rounds]
    rows = made["expected"]["received"]
    seconds = middle(koukan, "seconds")
    peers = {
        name: {
            "seconds": round(middle([each[name] for each in rounds], "seconds"), 3),
            "checked_s": round(middle([each[name] for each in rounds], "checked_s"), 3),
            "cpu_s": round(middle([each[name] for each in rounds], "cpu_s"), 3),
            "peak_rss_mib": round(highest([each[name] for each in rounds])),
            **{count: rounds[0][name][count] for count in COUNTS[1:]},
        }
        for name in PEERS
        if name in rounds[0]
    }
    floor = [each["floor"] for each in rounds]
    return {
        "floor_s": round(middle(floor, "seconds"), 3),
        "koukan_s": round(seconds, 3),
        "ratio": round(median(ratios), 3),
        "ratios": [round(ratio, 3) for ratio in ratios],
        "peak_rss_mib": round(highest(koukan)),
        "floor_rss_mib": round(highest(floor)),
        "records_per_s": round(rows / seconds),
        "cpu_s": round(middle(koukan, "cpu_s"), 3),
        "floor_cpu_s": round(middle(floor, "cpu_s"), 3),
        **{
            name: {
                step: round(median(each[name][step] for each in koukan), 3)
                for step in koukan[0][name]
            }
            for name in ("steps", "steps_cpu_s")
        },
        "rows": rows,
        **{name: koukan[0][name] for name in COUNTS[1:]},
        "codes": koukan[0]["codes"],
        "bytes": made["bytes"],
        "peers": peers,
        "versions": {"koukan": koukan[0]["version"], "python": platform.python_version()}
        | {package: version(package) for package in PACKAGES},
        "cores": len(os.sched_getaffinity(0)),
    }


def middle(results: list[Result], name: str) -> float:
    return float(median(result[name] for result in results))


def highest(results: list[Result]) -> float:
    return float(max(result["rss_mib"] for result in results))


def show(found: Result) -> None:
    """The same for people."""
    table = {"floor": ("floor_s", "floor_cpu_s", "floor_rss_mib")}
    table["koukan"] = ("koukan_s", "cpu_s", "peak_rss_mib")
    rows = {name: [found[key] for key in keys] for name, keys in table.items()}
    for name, peer in found["peers"].items():
        rows[name] = [peer[key] for key in ("seconds", "cpu_s", "peak_rss_mib")]
    print(f"\n{found['rows']:,} lines, {found['bytes'] / 1e6:.1f} MB, {found['cores']} cores\n")
    print(f"{'':10}{'seconds':>10}{'CPU s':>10}{'MiB':>8}{'/ floor':>10}")
    for name, (seconds, cpu, memory) in rows.items():
        share = found["ratio"] if name == "koukan" else seconds / found["floor_s"]
        print(f"{name:10}{seconds:>10.2f}{cpu:>10.2f}{memory:>8,}{share:>10.2f}")
    for name, peer in found["peers"].items():
        print(f"{name}: {peer['checked_s']:.2f} s of these to check, the rest to write")
    print(f"\n{'step':12}{'seconds':>8}{'CPU s':>8}")
    for step, seconds in found["steps"].items():
        print(f"{step:12}{seconds:>8.2f}{found['steps_cpu_s'][step]:>8.2f}")
    counts = ", ".join(f"{name} {found[name]:,}" for name in COUNTS[1:])
    print(f"\n{counts}; {found['records_per_s']:,} records a second")
    print(
        f"ratio {found['ratio']:.2f}, the median of", *(f"{each:.2f}" for each in found["ratios"])
    )
    print(", ".join(f"{name} {number}" for name, number in found["versions"].items()))


if __name__ == "__main__":
    sys.exit(main())
