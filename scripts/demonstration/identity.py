"""The night's second half: questions go out, answers come back, packages are handed over, all goes.

Two persons approve, each in a process of its own and with its own key; 住基ネット is played by a
program that shares no code with koukan (`scripts/counterparts/`), and says itself what koukan must
come to.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from demonstration.commands import Commands
from demonstration.people import DECIDING, SENDING, STORING, Beside
from demonstration.transport import Transport

ASK, ANSWER, DELIVER = "ask_identity", "answer_identity", "confirm_delivery"
COUNTERPART = Path(__file__).resolve().parents[1] / "counterparts" / "juki_net.py"
TICKS = 3  # the counterpart answers over at least so many
MOST_TICKS = 10
SHOWN = "kenpo-a"  # whose first package is opened and shown
SUMS = ("asked", "answered", "unanswered", "ambiguous")


class IdentityNight:
    """One run of it; `questions`, `packages` and `seconds` are known afterwards."""

    def __init__(
        self,
        commands: Commands,
        beside: Beside,
        transport: Transport,
        seed: int,
        say: Callable[..., None],
    ) -> None:
        self._commands, self._beside, self._seed, self._say = commands, beside, seed, say
        self._transport = transport
        self._shown = False
        self.seconds = 0.0
        self.questions: dict[str, int] = {}
        self.packages: dict[str, int] = {}
        self.withheld = 0  # answers that nobody has decided about

    def run(self) -> list[int]:
        """The whole of it; the receptions of the questions."""
        self._say("ask")
        (asked,) = self._jobs(ASK)
        self._say("people", keys=self._beside.keys)
        self._approve(SENDING)
        self._jobs(ASK)
        for tick in range(1, MOST_TICKS + 1):
            played = self._counterpart()
            self._say("tick", **played)
            self._jobs(DELIVER, ANSWER)  # what was collected goes before more is answered
            if self._approve(STORING):
                self._jobs(ANSWER)
            self._collect()
            if tick >= TICKS and played["idle"] and not played["waiting_files"]:
                break
        self._decide()
        self._jobs(DELIVER)
        page = self._commands.ask("status")["identity"]
        self.questions = {name: page["questions"][name] for name in SUMS}
        self.packages = page["packages"]
        self.withheld = int(page["withheld"]["rows"])
        return [int(number) for number in asked["receptions"]]

    def _decide(self) -> None:
        """What is withheld: of the shortest list one line is refused, all others are released."""
        listed = self._commands.ask("identity", "withheld")["withheld"]
        by_file: dict[str, list[str]] = {}
        for item in listed:
            by_file.setdefault(str(item["reception"]), []).append(str(item["line_number"]))
        self._say("withheld", count=len(listed), files=len(by_file))
        shown = min(by_file, key=lambda number: len(by_file[number]), default=None)
        if shown is None:
            return
        self._commands.show("identity", "withheld", shown)
        first, *rest = by_file.pop(shown)
        self._commands.ask("identity", "refuse", shown, "--line", first)
        lines = [text for line in rest for text in ("--line", line)]
        if lines:
            self._commands.ask("identity", "release", shown, *lines)
        for number in by_file:
            self._commands.ask("identity", "release", number)
        self._approve(DECIDING)
        self._jobs(ANSWER)
        self._collect()

    def differing(self) -> list[str]:
        """What koukan came to otherwise than the counterpart says."""
        expected = self._counterpart("--expect")
        found = [name for name in SUMS if self.questions[name] != expected[name]]
        found += [] if self.packages["erased"] == self.packages["built"] else ["packages"]
        found += ["withheld"] if self.withheld else []
        return found

    def _jobs(self, *names: str) -> list[dict[str, Any]]:
        done = self._commands.ask("run", *names)["jobs"]
        self.seconds += sum(float(job["seconds"]) for job in done)
        return [dict(job) for job in done]

    def _approve(self, person: str) -> bool:
        """Everything that waits for this person; whether there was anything."""
        waiting = self._commands.ask("approval", "list")["approvals"]
        if waiting:
            numbers = [str(item["approval"]) for item in waiting]
            key = str(self._beside.person(person))
            self._commands.show("approval", "approve", *numbers, "--key", key)
        return bool(waiting)

    def _counterpart(self, *options: str) -> dict[str, Any]:
        command = [sys.executable, str(COUNTERPART), "--seed", str(self._seed), *options]
        command += ["--register", str(self._beside.register)]
        command += ["--exchange", str(self._commands.root / "exchange" / "juki-net")]
        command += ["--state", str(self._beside.partner_state)]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
        return dict(json.loads(done.stdout))

    def _collect(self) -> None:
        """Every insurer collects its packages; the first of one of them is opened and shown."""
        for path in self._transport.collect("PK_*.age"):
            if path.parents[1].name == SHOWN and not self._shown:
                self._open(path)

    def _open(self, path: Path) -> None:
        """As the insurer does it: no site, no key of the centre, its public key only."""
        listed = self._commands.ask("package", "list")["packages"]
        insurer = next(item["insurer"] for item in listed if item["package"] == path.name)
        into = self._beside.opened(path.stem)
        self._say("open", file=path.name)
        self._commands.show(
            *("package", "open", str(path), "--key", str(self._beside.insurer(insurer))),
            *("--signer", str(self._beside.signer), "--into", str(into)),
        )
        for result in sorted(into.glob("*.csv")):
            lines = result.read_text(encoding="cp932").splitlines()[1:4]
            self._say("lines_of_result", lines="\n  ".join(lines))
        self._shown = True
