"""Measure the 資格履歴: a million persons and days at once, and one person alone.

  scripts/bench history                              # 3 million persons, 3 spells each
  scripts/bench history --persons 30000000 --folder /var/tmp/history
  scripts/bench history --nights 300 --json          # the same rows in many small files
  scripts/bench history --compacted 0                # only the first of the two histories
  scripts/bench history --merging nightly            # the second one's files merged every night

Two histories of the same rows are measured: one that few groups brought, and one that as many
nights brought as --compacted says, whose small files `compact_tables` has merged. The
history is laid first, by the tables' own code; with --folder it stays there for the next run.
Each round is a process of its own. `asof_s` is the first time that it asks, when every file's hash
is compared as well; `asof_again_s` the second time; `asof_known_s` as known at the end of a night.
`ratio` is what a file of --half-known lines of new registrations takes, half of whose persons stand
in the tables, in times of what it takes with empty ones. `write_amplification` is what a
registration of --registered lines adds to the tables, in sizes of one plain Parquet file of its
rows; `compacted.written` what nights and merging wrote together, in sizes of what the nights
brought.
Exit code 50: the answers are not those that were drawn.
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

PACKAGES = ("polars", "numpy", "pyarrow", "deltalake", "cryptography")
MOST_SPELLS, MOST_NIGHTS = 15, 3000
LINES_OF_A_PERSON = 3  # of a registration
Result = dict[str, Any]


def parse(arguments: list[str]) -> argparse.Namespace:
    head, text = (__doc__ or "").split("\n", 1)
    parser = Parser("scripts/bench history", description=head, epilog=text)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--persons", type=int, default=3_000_000)
    parser.add_argument("--spells", type=int, default=3, help="of each person")
    parser.add_argument("--nights", type=int, help="groups that brought them; as many as spells")
    parser.add_argument("--compacted", type=int, default=150, help="nights; 0: leave it out")
    parser.add_argument("--merging", choices=("once", "nightly"), default="once")
    parser.add_argument("--registered", type=int, default=300_000, help="lines; 0: leave it out")
    parser.add_argument("--half-known", type=int, help="lines, a million; 0: leave it out")
    parser.add_argument("--questions", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where the history is kept between runs")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)
    given.nights = given.nights or given.spells
    allowed = range(given.spells, MOST_NIGHTS + 1, max(given.spells, 1))
    if not 1 <= given.spells <= MOST_SPELLS or given.nights not in allowed:
        parser.error("--spells from 1 to 15, --nights a multiple of them up to 3,000")
    if given.compacted and given.compacted not in allowed:
        parser.error("--compacted a multiple of --spells up to 3,000, or 0")
    if given.registered and given.registered < 1_000:
        parser.error("--registered from 1,000, or 0")
    if given.half_known is None:
        given.half_known = min(1_000_000, given.persons)
    if given.half_known and not 1_000 <= given.half_known <= given.persons:
        parser.error("--half-known from 1,000 to as many as there are persons, or 0")
    if min(given.rounds, given.questions) < 1 or given.persons < 1_000:
        parser.error("--rounds and --questions from 1, --persons from 1,000")
    return given


def main() -> int:
    os.umask(0o077)
    given = parse(sys.argv[1:])
    with tempfile.TemporaryDirectory(prefix="koukan-bench-") as name:
        try:
            found = measured(given, given.folder or Path(name), given.nights)
            if given.compacted:
                kept = given.folder or Path(name)
                found["compacted"] = measured(given, kept, given.compacted, given.merging)
            if given.half_known:
                found |= half_known(given, given.folder or Path(name), Path(name) / "half-known")
            if given.registered:
                found |= registered(given, Path(name) / "registered")
        except measuring.Failed as problem:
            print(f"scripts/bench: {problem}", file=sys.stderr)
            return WRONG
    print(json.dumps(found)) if given.json else show(found)
    return 0


def measured(given: argparse.Namespace, kept: Path, nights: int, compact: str = "") -> Result:
    """One history.

    Raises:
        Failed: it did not answer what was drawn.
    """
    folder, made = laid(given, kept, nights, compact)
    rounds = [one_round(given, folder, at) for at in range(given.rounds)]
    wrong = [each for each in rounds if each["found"] != each["drawn"]]
    if wrong or made["spells"] != given.persons * given.spells:
        raise measuring.Failed("the answers are not those that were drawn")
    return summary(given, made, rounds)


def registered(given: argparse.Namespace, folder: Path) -> Result:
    """What one registration adds to the tables."""
    options = ["--rows", str(given.registered), "--seed", str(given.seed)]
    found = measuring.run("koukan_written.py", folder, *options)
    return {
        "write_amplification": round(found["bytes"] / found["plain_bytes"], 2),
        "registered_rows": found["rows"],
    }


def half_known(given: argparse.Namespace, kept: Path, work: Path) -> Result:
    """The same file into the tables and into empty ones, one after the other.

    Raises:
        Failed: its lines did not come to what they must.
    """
    folder, _ = laid(given, kept, given.nights, "")
    work.mkdir()
    persons, sequence = given.half_known // LINES_OF_A_PERSON, str(given.nights + 1)
    options = ["--rows", str(given.half_known), "--seed", str(given.seed), "--sequence", sequence]
    first = str(given.persons - persons // 2)
    made = measuring.run("koukan_register.py", "write", work, *options, "--first", first)
    rounds = []
    for at in range(given.rounds):
        both = []
        for new, site in ((persons, None), (persons - persons // 2, folder)):
            space = work / "space"
            space.mkdir()
            if site is not None:
                copied(site, space)
            arguments = ["run", space, work / made["file"], "--sequence", sequence]
            found = measuring.run("koukan_register.py", *arguments)
            if (found["accepted"], found["new_numbers"]) != (made["lines"], new):
                raise measuring.Failed("the lines did not come to what was drawn")
            both.append(found)
            shutil.rmtree(space)
        rounds.append(both)
        times = " and ".join(f"{found['seconds']:.2f} s" for found in both)
        print(f"round {at + 1} of {given.rounds}: registered in {times}", file=sys.stderr)
    middle = {
        name: [round(median(both[at][name] for both in rounds), 3) for at in (0, 1)]
        for name in ("seconds", "cpu_s")
    }
    return {
        "ratio": round(median(full["seconds"] / empty["seconds"] for empty, full in rounds), 3),
        "half_known_lines": made["lines"],
        "half_known_s": middle["seconds"],
        "half_known_cpu_s": middle["cpu_s"],
        "half_known_rss_mib": round(max(found["rss_mib"] for both in rounds for found in both)),
        "half_known_steps_s": [
            {step: round(spent, 3) for step, spent in found["steps"].items()}
            for found in rounds[-1]
        ],
    }


def copied(folder: Path, space: Path) -> None:
    """A site that may be changed: data files never are, so they are linked; in the page cache."""

    def linked(source: str, target: str) -> None:
        if source.endswith(".parquet") and "_delta_log" not in source:
            os.link(source, target)
        else:
            shutil.copy2(source, target)

    shutil.copytree(folder, space, copy_function=linked, dirs_exist_ok=True)
    measuring.warm(sorted((space / "site" / "tables").rglob("*.parquet")))


def laid(given: argparse.Namespace, kept: Path, nights: int, compact: str) -> tuple[Path, Result]:
    """The history in its folder: one that was laid whole has a note beside it."""
    name = f"{given.persons}-{given.spells}-{nights}-{given.seed}"
    folder = kept / (f"{name}-{compact}" if compact else name)
    note = folder / "made.json"
    if note.is_file():
        found: Result = json.loads(note.read_text(encoding="utf-8"))
        if "numbers" in found:  # laid before there was a vault in it: laid anew
            return folder, found
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, mode=0o700)
    print(f"laying the history of {given.persons:,} persons …", file=sys.stderr)
    options = [
        str(one)
        for name in ("persons", "spells", "seed")
        for one in (f"--{name}", getattr(given, name))
    ]
    options += ["--nights", str(nights), "--compact", compact]
    made = measuring.run("history_site.py", folder, *options)
    os.sync()
    note.write_text(json.dumps(made), encoding="utf-8")
    return folder, made


def one_round(given: argparse.Namespace, folder: Path, at: int) -> Result:
    """Ask once; the files are in the page cache."""
    measuring.warm(sorted((folder / "site" / "tables").rglob("*.parquet")))
    options = [
        str(one)
        for name in ("persons", "spells", "questions", "seed")
        for one in (f"--{name}", getattr(given, name))
    ]
    found = measuring.run("koukan_history.py", folder, *options)
    print(
        f"round {at + 1} of {given.rounds}: {found['first']['seconds']:.2f} s, "
        f"again {found['again']['seconds']:.2f} s, one {found['ones']['member_ms']:.1f} ms",
        file=sys.stderr,
    )
    return found


def summary(given: argparse.Namespace, made: Result, rounds: list[Result]) -> Result:
    """Times are medians over the rounds, memory is the highest of all."""

    def middle(*names: str) -> float:
        return median(each[names[0]][names[1]] for each in rounds)

    merged = made["compact"]
    both = merged["bytes"] + merged["brought_bytes"]
    written = {
        "nights": merged["nights"],
        "written": round(both / merged["brought_bytes"], 2),
        "merging_s": round(merged["seconds"], 1),
        "merging_longest_s": round(merged["longest_s"], 1),
        "merging_rss_mib": round(merged["rss_mib"]),
    }
    return (written if merged["runs"] else {}) | {
        "asof_s": round(middle("first", "seconds"), 3),
        "asof_again_s": round(middle("again", "seconds"), 3),
        "asof_known_s": round(middle("known", "seconds"), 3),
        "asof_cpu_s": round(middle("first", "cpu_s"), 3),
        "one_ms": round(middle("ones", "member_ms"), 1),
        "one_link_ms": round(middle("ones", "link_ms"), 1),
        "peak_rss_mib": round(max(each["rss_mib"] for each in rounds)),
        "persons": given.persons,
        "spells": made["spells"],
        "questions": given.questions,
        "answers": rounds[0]["found"]["answers"],
        "files": made["files"],
        "history_mib": round(made["bytes"] / 1024**2),
        "versions": {"koukan": rounds[0]["version"], "python": platform.python_version()}
        | {package: version(package) for package in PACKAGES},
        "cores": len(os.sched_getaffinity(0)),
    }


def show(found: Result) -> None:
    """The same for people."""
    show_one(found)
    if "compacted" in found:
        merged = found["compacted"]
        print(
            f"\nthe same brought by {merged['nights']:,} nights, small files merged: written "
            f"{merged['written']} times, {merged['merging_s']} s in all, at most "
            f"{merged['merging_longest_s']} s and {merged['merging_rss_mib']:,} MiB at once"
        )
        show_one(merged)
    if "ratio" in found:
        empty, full = found["half_known_s"]
        print(
            f"\n{found['half_known_lines']:,} lines, half of whose persons stand in the tables: "
            f"{full:.2f} s, with empty tables {empty:.2f} s; ratio {found['ratio']:.2f}"
        )
    if "write_amplification" in found:
        print(
            f"\na registration of {found['registered_rows']:,} lines adds "
            f"{found['write_amplification']} times its rows as plain Parquet"
        )


def show_one(found: Result) -> None:
    """One history."""
    print(
        f"\n{found['persons']:,} persons, {found['spells']:,} spells in {found['files']:,} files, "
        f"{found['history_mib']:,} MiB, {found['cores']} cores\n"
    )
    print(
        f"{found['questions']:,} persons and days: {found['asof_s']:.2f} s "
        f"(again {found['asof_again_s']:.2f} s, as once known {found['asof_known_s']:.2f} s)"
    )
    print(f"one person: {found['one_ms']:.1f} ms (by link number {found['one_link_ms']:.1f} ms)")
    print(f"memory: {found['peak_rss_mib']:,} MiB")
    print(", ".join(f"{name} {number}" for name, number in found["versions"].items()))


if __name__ == "__main__":
    sys.exit(main())
