"""Measure 本人確認: stored questions to a request file, an answer to 1,000 insurers' packages.

  scripts/bench identity                          # a million questions, 3 rounds
  scripts/bench identity --rows 100000 --insurers 100 --rounds 1
  scripts/bench identity --json >identity.json

In each round koukan cuts the request, then takes an answer to all of it in, and the floor reads the
same two files, one after another, each in a process of its own. The ratio is the median of the
rounds' koukan / floor, koukan's being the sum of both its shares. Then ten questions are asked at
once, on the site as it is by then: two ticks, without settling and the start of processes.
Exit code 50: wrong counts.
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

from koukan.formats.load import require_catalogue
from koukan.formats.model import Field
from koukan.shipped import formats_folder

PACKAGES = ("polars", "numpy", "pyarrow", "pandera", "cryptography", "pyrage")
NEEDED = {
    "request": (
        "request_record_number",
        *("resident_name", "resident_name_kana", "birth_date", "sex", "address"),
    ),
    "answer": (
        *("request_record_number", "answer_class", "alive_status", "update_status"),
        *("change_presence", "my_number", "resident_name", "resident_name_kana", "birth_date"),
        *("sex", "address"),
    ),
}
Result = dict[str, Any]


def parse(arguments: list[str]) -> argparse.Namespace:
    head, text = (__doc__ or "").split("\n", 1)
    parser = Parser("scripts/bench identity", description=head, epilog=text)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--rows", type=int, default=1_000_000, help="questions")
    parser.add_argument("--insurers", type=int, default=1_000, help="each has a file and a package")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)
    if not 1 <= given.insurers <= min(given.rows, 1_000) or given.rounds < 1:
        parser.error("--insurers from 1 to 1,000 and to --rows, --rounds from 1")
    return given


def main() -> int:
    os.umask(0o077)
    given = parse(sys.argv[1:])
    with tempfile.TemporaryDirectory(prefix="koukan-bench-") as name:
        work = Path(name)
        options = ["--rows", str(given.rows), "--insurers", str(given.insurers)]
        options += ["--seed", str(given.seed)]
        try:
            print(f"storing {given.rows:,} questions …", file=sys.stderr)
            made = measuring.run("identity_site.py", "asked", work, *options)
            rounds = [one_round(given, work, made, at) for at in range(given.rounds)]
        except (WrongCounts, measuring.Failed) as problem:
            print(f"scripts/bench: {problem}", file=sys.stderr)
            return WRONG
    found = summary(made, rounds)
    print(json.dumps(found)) if given.json else show(found)
    return 0


def one_round(given: argparse.Namespace, work: Path, made: Result, at: int) -> dict[str, Result]:
    """Everybody once; the counts are compared at once."""
    root, keys = work / "root", work / "keys"
    shutil.copytree(work / "site", root, symlinks=True)
    os.sync()
    request = measuring.run("koukan_identity.py", "request", root, keys)
    laid = measuring.run("identity_site.py", "answered", work, root)
    files = [Path(laid["request"]), Path(laid["answer"])]
    os.sync()
    measuring.warm(files)
    answer = measuring.run("koukan_identity.py", "answer", root, keys, files[1])
    immediate = measuring.run("koukan_identity.py", "immediate", root, keys)
    if immediate["packages"] < 1:
        raise WrongCounts("the immediate questions came to no package")
    shutil.rmtree(root)
    os.sync()
    measuring.warm(files)
    layout = json.dumps(layouts(files))
    floor = measuring.run(
        "floor_identity.py", layout, *files, str(given.insurers), made["recipient"]
    )
    compare(made, answer, floor)
    both = request["seconds"] + answer["seconds"]
    print(
        f"round {at + 1} of {given.rounds}: floor {floor['seconds']:.2f} s, koukan {both:.2f} s",
        file=sys.stderr,
    )
    return {"floor": floor, "request": request, "answer": answer, "immediate": immediate}


def layouts(files: list[Path]) -> dict[str, Any]:
    """Where the floor finds the needed fields: bytes of first and last line, record, slices."""
    formats = require_catalogue(formats_folder()).formats
    found = {}
    for name in ("request", "answer"):
        form = formats[f"juki_net_{name}"]
        fields = form.fields(form.section(name))
        found[name] = {
            "head": _width(form.control),
            "tail": _width(form.end),
            "width": _width(fields),
            "fields": {item: _slice(fields, item) for item in NEEDED[name]},
        }
    for path, layout in zip(files, found.values(), strict=True):
        rest = path.stat().st_size - layout["head"] - layout["tail"]
        if rest % layout["width"]:
            raise WrongCounts(f"{path.name} is not of the layout that the floor is told")
    return found


def _width(fields: tuple[Field, ...]) -> int:
    return sum(item.slot for item in fields) + len(b"\r\n")


def _slice(fields: tuple[Field, ...], name: str) -> list[int]:
    place = 0
    for item in fields:
        if item.name == name:
            return [place, place + item.slot]
        place += item.slot
    raise KeyError(name)


def compare(made: Result, answer: Result, floor: Result) -> None:
    """Every question is answered, every insurer has its package."""
    questions, packages = answer["questions"], answer["packages"]
    if not questions["answered"] == questions["asked"] == made["asked"] == floor["rows"]:
        raise WrongCounts(f"questions: {questions}, the floor joined {floor['rows']}")
    if not packages["built"] == made["insurers"] == floor["packages"]:
        raise WrongCounts(f"packages: {packages}, the floor made {floor['packages']}")


def summary(made: Result, rounds: list[dict[str, Result]]) -> Result:
    """Times are medians over the rounds, memory is the highest of all."""
    floor = [each["floor"] for each in rounds]
    request, answer = ([each[name] for each in rounds] for name in ("request", "answer"))
    both = [one["seconds"] + two["seconds"] for one, two in zip(request, answer, strict=True)]
    ratios = [mine / other["seconds"] for mine, other in zip(both, floor, strict=True)]
    steps = {**request[0]["steps"], **answer[0]["steps"]}
    return {
        "floor_s": round(middle(floor, "seconds"), 3),
        "koukan_s": round(float(median(both)), 3),
        "ratio": round(median(ratios), 3),
        "ratios": [round(ratio, 3) for ratio in ratios],
        "peak_rss_mib": round(max(highest(request), highest(answer))),
        "floor_rss_mib": round(highest(floor)),
        "questions_per_s": round(made["asked"] / median(both)),
        "cpu_s": round(middle(request, "cpu_s") + middle(answer, "cpu_s"), 3),
        "floor_cpu_s": round(middle(floor, "cpu_s"), 3),
        "immediate_s": round(middle([each["immediate"] for each in rounds], "seconds"), 3),
        "immediate_cpu_s": round(middle([each["immediate"] for each in rounds], "cpu_s"), 3),
        "steps": {step: round(middle_step(rounds, step), 3) for step in steps},
        "rows": made["asked"],
        "packages": answer[0]["packages"]["built"],
        "versions": {"koukan": answer[0]["version"], "python": platform.python_version()}
        | {package: version(package) for package in PACKAGES},
        "cores": len(os.sched_getaffinity(0)),
    }


def middle_step(rounds: list[dict[str, Result]], step: str) -> float:
    share = "request" if step == "request" else "answer"
    return float(median(each[share]["steps"][step] for each in rounds))


def show(found: Result) -> None:
    """The same for people."""
    print(
        f"\n{found['rows']:,} questions, {found['packages']:,} packages, {found['cores']} cores\n"
    )
    print(f"{'':10}{'seconds':>10}{'CPU s':>10}{'MiB':>8}")
    rows = {
        "floor": ("floor_s", "floor_cpu_s", "floor_rss_mib"),
        "koukan": ("koukan_s", "cpu_s", "peak_rss_mib"),
    }
    for name, (seconds, cpu, memory) in rows.items():
        print(f"{name:10}{found[seconds]:>10.2f}{found[cpu]:>10.2f}{found[memory]:>8,}")
    print(f"\n{'step':12}{'seconds':>8}")
    for step, seconds in found["steps"].items():
        print(f"{step:12}{seconds:>8.2f}")
    print(
        f"\nan immediate file's two ticks: {found['immediate_s']:.2f} s, "
        f"{found['immediate_cpu_s']:.2f} s of CPU"
    )
    print(
        f"\nratio {found['ratio']:.2f}, the median of", *(f"{each:.2f}" for each in found["ratios"])
    )
    print(", ".join(f"{name} {number}" for name, number in found["versions"].items()))


if __name__ == "__main__":
    sys.exit(main())
