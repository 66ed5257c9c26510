"""マイナポータル asks through NWS: everybody's card by code, also by codes that were given up.

Then one of the staff looks at what was recorded.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Callable
from pathlib import Path

import portal
from demonstration.commands import Commands
from demonstration.people import RECORDING, Beside

ANSWER, AT, BEFORE = "answer_disclosure", "20260401093000", "19990401093000"
ASKED = 300
SINCE, UNTIL = "2000-01-01", "2099-12-31"


class Disclosure:
    """Once on a root; `found` is told on every run, and `wrong` when it is not as planned.

    Args:
        open_package: takes a package's files out: package, private key, folder.
    """

    def __init__(
        self,
        commands: Commands,
        beside: Beside,
        open_package: Callable[[Path, Path, Path], None],
    ) -> None:
        self._commands, self._beside, self._open = commands, beside, open_package
        self._exchange = commands.root / "exchange" / "nws"
        self.found: dict[str, int] = {}
        self.wrong = False

    def run(self) -> None:
        partner = portal.Portal()
        codes = self._codes()
        asked = [partner.ask(code, AT) for code in codes]
        asked += [partner.ask(codes[0], BEFORE), partner.ask("S" * 20, AT)]
        partner.lay(self._exchange / "inbox" / "nws", asked)
        self._commands.ask("run", ANSWER)
        cards = None
        for path in sorted((self._exchange / "outbox").glob("PK_*.age")):
            cards = self._read(partner, path)
        self._commands.ask("run", ANSWER)  # erases what was taken
        told = self._commands.ask("disclosure", "status")
        (one,) = told["answers"]
        self.found = {
            "disclosure_asked": one["rows"],
            "disclosure_given": one["given"],
            "disclosure_recorded": one["records"],
        }
        reasons = told["reasons"]
        self.wrong = (
            one["rows"] != len(asked)
            or one["given"] + sum(reasons.values()) != one["rows"]
            or not {"R711", "R712"} <= reasons.keys()
            or not 0 < one["records"] <= (one["records"] if cards is None else cards)
            or not self._recorded(one["records"])
        )

    def _codes(self) -> list[str]:
        """Codes that NWS has given, the oldest first; some of them were given up since."""
        with (self._beside.others / "nws" / "answered.csv").open(encoding="utf-8") as file:
            given = [row["code"] for row in csv.DictReader(file) if row["class"] == "1"]
        return list(dict.fromkeys(given))[-ASKED:]

    def _read(self, partner: portal.Portal, path: Path) -> int:
        """The portal opens the package and takes its answer; how many cards it has."""
        into = self._beside.opened(path.stem)
        self._open(path, self._beside.system("nws"), into)
        (answer,) = into.glob("SA_*.csv")
        found = partner.take(1, answer.read_bytes())
        for each in (path.with_name(path.name + ".sig"), path):
            os.replace(each, path.parents[1] / "taken" / each.name)
        return sum(len(items) for _, items in found)

    def _recorded(self, count: int) -> bool:
        """Whether one of the staff sees as many records of anybody, and never a code."""
        key = str(self._beside.person(RECORDING))
        days = ("--since", SINCE, "--until", UNTIL)
        screen = self._commands.read("records", "period", *days, "--person-key", key)
        codes = self._codes()
        return screen.count("■") > count and not any(code in screen for code in codes)
