"""機関別符号 that are compromised: staff list whose codes go, and see what became of every line.

An administrator and a second person copy out whose codes are set; of that copy a few are listed.
Who lists is not who approves that the request leaves.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from demonstration.commands import Commands
from demonstration.people import ADMINISTERING, OFFICE, REISSUING, Beside

from koukan.samples.scenario import INSURERS

LISTED = 5
MEDIUM, REASON = "USB-001", "符号危殆化"
SET, FAILED = "set", "failed"


class Reissue:
    """Once on a root; `found` is told on every run, and `wrong` when it is not as planned.

    Args:
        ask: runs the job, has what waits for an approval approved, lets NWS answer.
    """

    def __init__(self, commands: Commands, beside: Beside, ask: Callable[[], None]) -> None:
        self._commands, self._beside, self._ask = commands, beside, ask
        self.found: dict[str, int] = {}
        self.wrong = False

    def run(self) -> None:
        ends: Counter[str] | None = None
        if not self._lists():
            ends = self._reissued(self._listed())
        (one,) = self._lists()
        requests = self._commands.ask("codes", "status")["requests"]
        mine = [item for item in requests if item["reissue"]]
        self.found = {
            "reissue_listed": one["rows"],
            "reissue_set": sum(item["set"] for item in mine),
            "reissue_failed": sum(item["failed"] for item in mine),
        }
        counted = Counter({SET: self.found["reissue_set"], FAILED: self.found["reissue_failed"]})
        self.wrong = (
            one["state"] != "erased"
            or not one["rows"] == one["persons"] == counted.total()
            or (ends is not None and +counted != ends)
        )

    def _lists(self) -> list[dict[str, object]]:
        found: list[dict[str, object]] = self._commands.ask("codes", "reissue", "list")["lists"]
        return found

    def _listed(self) -> int:
        """Register a list of some of the persons on the medium; its number."""
        administrator, second = (
            str(self._beside.person(name)) for name in (ADMINISTERING, REISSUING)
        )
        copied = self._beside.others / "medium.csv"
        self._commands.ask("media", "approve", MEDIUM, "--person-key", administrator)
        self._commands.ask(
            *("codes", "reissue", "extract", INSURERS[OFFICE][0].code, "--medium", MEDIUM),
            *("--reason", REASON, "--output", str(copied)),
            *("--person-key", administrator, "--second-key", second),
        )
        some = self._beside.others / "reissue.csv"
        lines = copied.read_text("ascii").splitlines(keepends=True)
        some.write_text("".join(lines[:LISTED]), "ascii")
        copied.unlink()
        self._commands.ask("media", "destroyed", MEDIUM, "--person-key", administrator)
        told = self._commands.ask("codes", "reissue", "register", str(some), "--person-key", second)
        some.unlink()
        return int(told["list"])

    def _reissued(self, number: int) -> Counter[str]:
        """The ends of the list's lines when everything of it was answered."""
        self._ask()
        key = str(self._beside.person(REISSUING))
        checked = self._commands.ask("codes", "reissue", "check", str(number), "--person-key", key)
        self._commands.ask("run", "acquire_codes")  # the list is done with, and destroyed
        return Counter(line["end"] for line in checked["lines"])
