"""Measure a night of many small registration files, and say where its time goes.

  scripts/bench small-files                     # 3,000 files of 100 lines from 300 senders
  scripts/bench small-files --files 300 --lines 50
  scripts/bench small-files --json >small-files.json

All files lie in the inboxes of one fresh site when one run of the job begins: every file is picked
up, judged, committed and answered, and each is durable when the run says so. The clock stands still
while the site is made. Exit code 50: a file was not accepted, or its answers are not in the outbox.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any, NoReturn

import measuring

WRONG, USAGE = 50, 64
PACKAGES = ("polars", "numpy", "pyarrow", "deltalake", "sqlalchemy")
Result = dict[str, Any]


class Parser(argparse.ArgumentParser):
    """Ends in the exit code that koukan has for a wrong call."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(USAGE, f"{self.prog}: {message}\n")


def parse(arguments: list[str]) -> argparse.Namespace:
    head, text = (__doc__ or "").split("\n", 1)
    parser = Parser("scripts/bench small-files", description=head, epilog=text)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--files", type=int, default=3_000)
    parser.add_argument("--lines", type=int, default=100, help="of each file, as nearly as may be")
    parser.add_argument("--senders", type=int, default=300, help="each with an insurer of its own")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    given = parser.parse_args(arguments)
    if given.files < 1 or given.lines < 4 or not 1 <= given.senders <= 1_000:
        parser.error("--files from 1, --lines from 4, --senders from 1 to 1000")
    return given


def main() -> int:
    os.umask(0o077)
    given = parse(sys.argv[1:])
    print(f"writing {given.files:,} files of {given.lines:,} lines …", file=sys.stderr)
    shape = [str(value) for value in (given.files, given.lines, given.senders, given.seed)]
    with tempfile.TemporaryDirectory(prefix="koukan-bench-") as name:
        try:
            found = measuring.run("koukan_small_files.py", Path(name), *shape)
        except measuring.Failed as problem:
            print(f"scripts/bench: {problem}", file=sys.stderr)
            return WRONG
    wrong = [what for what in ("accepted_files", "answered_files") if found[what] != given.files]
    if wrong or found["accepted"] != found["lines"]:
        print(f"scripts/bench: of {given.files} files: {found}", file=sys.stderr)
        return WRONG
    report = summary(given.files, found)
    if given.json:
        print(json.dumps(report))
    else:
        show(report)
    return 0


def summary(files: int, found: Result) -> Result:
    return {
        "files": files,
        "files_per_s": round(files / found["seconds"], 1),
        "koukan_s": round(found["seconds"], 3),
        "cpu_s": round(found["cpu_s"], 3),
        "peak_rss_mib": round(found["rss_mib"]),
        **{
            name: {step: round(seconds, 3) for step, seconds in found[name].items()}
            for name in ("steps", "steps_cpu_s")
        },
        **{name: found[name] for name in ("lines", "accepted", "groups", "data_files", "fsyncs")},
        "versions": {"koukan": found["version"], "python": platform.python_version()}
        | {package: version(package) for package in PACKAGES},
        "cores": len(os.sched_getaffinity(0)),
    }


def show(found: Result) -> None:
    """The same for people."""
    print(f"\n{found['files']:,} files, {found['lines']:,} lines, {found['cores']} cores")
    print(f"{found['files_per_s']:,.0f} files a second: {found['koukan_s']:.2f} s", end="")
    print(f" ({found['cpu_s']:.2f} s of CPU), {found['peak_rss_mib']:,} MiB")
    print(f"{found['groups']} groups, {found['data_files']:,} data files, ", end="")
    print(f"{found['fsyncs']:,} fsyncs\n\n{'step':12}{'seconds':>8}{'CPU s':>8}{'ms a file':>11}")
    for step, seconds in found["steps"].items():
        print(f"{step:12}{seconds:>8.2f}{found['steps_cpu_s'][step]:>8.2f}", end="")
        print(f"{seconds / found['files'] * 1000:>11.2f}")
    print("\n" + ", ".join(f"{name} {number}" for name, number in found["versions"].items()))


if __name__ == "__main__":
    sys.exit(main())
