"""Plays 住基ネット: takes requests from the exchange's outbox and answers them from a register.

  juki_net.py --register population.csv --exchange ROOT/exchange/juki-net --state DIR --seed 1
  juki_net.py … --tick 2      # only if tick 2 has not been; a tick that was killed goes on
  juki_net.py … --expect      # what koukan must come to, of all that was asked so far

Each call is a tick: it takes what lies in the outbox and lays the answer files that are due into
the inbox. It shares no code with koukan, so a mistake on one side shows on the other. Some answers
are late, wrong or given twice on purpose (deciding.py); all is drawn by the seed. The register and
the state are invented persons in plain: this is a program for tests and demonstrations.

One JSON line of counts on stdout. Exit codes: 0 done, 20 another run has the state, 64 wrong usage,
65 a request was refused and left where it is.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import polars as pl
from deciding import Part, plan, written
from expecting import Expected, expected, total
from fixed_width import BLOCK, REQUEST_NAME, Head, Refused, read_request
from keeping import Busy, State, hash_of, take_away
from register import find, read_register

DONE, BUSY, USAGE, REFUSED = 0, 20, 64, 65
DOOR = "juki_net"


class Parser(argparse.ArgumentParser):
    """Ends in the exit code of a wrong call."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(USAGE, f"{self.prog}: {message}\n")


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    head, text = (__doc__ or "").split("\n", 1)
    parser = Parser("juki_net.py", description=head, epilog=text)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--register", type=Path, required=True, help="the residents, as CSV")
    parser.add_argument("--exchange", type=Path, required=True, help="the folder of 住基ネット")
    parser.add_argument("--state", type=Path, required=True, help="this program's own folder")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tick", type=int, help="the number of the tick; the next by default")
    parser.add_argument("--expect", action="store_true", help="tell what must come of it, only")
    return parser.parse_args(arguments)


class JukiNet:
    """One call."""

    def __init__(self, arguments: argparse.Namespace, state: State) -> None:
        self.outbox = arguments.exchange / "outbox"
        self.inbox = arguments.exchange / "inbox" / DOOR
        self.path, self.seed, self.state = arguments.register, arguments.seed, state
        self._register: pl.DataFrame | None = None

    @property
    def register(self) -> pl.DataFrame:
        """Read when it is needed: most ticks do not."""
        if self._register is None:
            self._register = read_register(self.path)
        return self._register

    def requests(self) -> list[Path]:
        """Whole request files in the outbox, by name."""
        if not self.outbox.is_dir():
            return []
        return sorted(path for path in self.outbox.iterdir() if REQUEST_NAME.fullmatch(path.name))

    def planned(self, path: Path) -> tuple[Head, list[Part], Expected]:
        """The answers to a request and what they must come to; nothing is changed."""
        head, asked = read_request(path)
        found = find(self.register, asked)
        parts = plan(path.name, head, found, seed=self.seed)
        return head, parts, expected(self.register, found, parts)

    def take(self, path: Path, tick: int) -> int:
        """Take one request; its questions."""
        sha256 = hash_of(path)
        head, parts, known = self.planned(path)
        due = []
        for number, part in enumerate(parts):
            blocks = (written(self.register, some) for some in part.lines.iter_slices(BLOCK))
            due.append((tick + part.due, self.state.ready(path.name, number, blocks)))
        self.state.know(path, sha256, head, known.plain(), due)
        return head.rows

    def tick(self, number: int) -> tuple[dict[str, Any], int]:
        """Take, number, lay; what was done and the exit code."""
        self.state.begin(number)
        self.inbox.mkdir(parents=True, exist_ok=True, mode=0o700)
        questions, refused = [], []
        for path in self.requests():
            try:
                known = self.state.hash_of_request(path.name)
                if known is None:
                    questions.append(self.take(path, number))
                    known = self.state.hash_of_request(path.name)
                take_away(path, str(known))
            except Refused as reason:
                refused.append(path.name)
                print(f"{path.name}: {reason}", file=sys.stderr)
        self.state.number(number)
        files, rows = self.state.lay(self.inbox)
        self.state.end(number)
        report = {
            "tick": number,
            "idle": not (questions or refused or files),
            "requests": len(questions),
            "questions": sum(questions),
            "refused": len(refused),
            "files": files,
            "rows": rows,
            "waiting_files": self.state.waiting(),
        }
        return report, REFUSED if refused else DONE

    def expect(self) -> dict[str, Any]:
        """Totals over the requests that were taken and those that lie in the outbox."""
        return total([*self.state.expected(), *self._untaken()]).plain()

    def _untaken(self) -> Iterator[dict[str, Any]]:
        for path in self.requests():
            if self.state.hash_of_request(path.name) is None:
                yield self.planned(path)[2].plain()


def run(arguments: argparse.Namespace, state: State) -> tuple[dict[str, Any], int]:
    """What to print, and the exit code."""
    counterpart, last = JukiNet(arguments, state), state.last_tick()
    if arguments.expect:
        return counterpart.expect(), DONE
    number = last + 1 if arguments.tick is None else arguments.tick
    if number <= last:
        return {"tick": number, "idle": True, "ended_before": True}, DONE
    if number > last + 1:
        return {"tick": number, "next": last + 1}, USAGE
    return counterpart.tick(number)


def main() -> int:
    os.umask(0o077)
    arguments = parse()
    try:
        state = State(arguments.state)
    except Busy:
        print(json.dumps({"busy": True}))
        return BUSY
    try:
        report, code = run(arguments, state)
    except Refused as reason:
        print(reason, file=sys.stderr)
        return REFUSED
    finally:
        state.close()
    print(json.dumps(report, ensure_ascii=False))
    return code


if __name__ == "__main__":
    raise SystemExit(main())
