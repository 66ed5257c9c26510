"""The other national systems: PMH, NWS, オンライン資格確認等システム, 資格確認実績ログ.

Each is played by a counterpart that shares no code with koukan, and each has its share of trouble:
mistyped numbers, codes that come late, twice or not at all, persons whom the receiver of a push
refuses, log lines of payers whom nobody knows. They use the centre's folders.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import oqs
import pmh
import pyrage
import usage
from demonstration.commands import Commands
from demonstration.disclosure import Disclosure
from demonstration.people import OFFICE, SENDING, Beside
from demonstration.reissue import Reissue
from demonstration.transport import Transport

from koukan.samples.identity import NOBODY
from koukan.samples.population import Population
from koukan.samples.scenario import INSURERS

NWS = Path(__file__).resolve().parents[1] / "counterparts" / "nws.py"
LATE = 5  # of a hundred answers of NWS
REFUSAL = "2001"  # of one person, by the receiver of a push
PMH_PERSONS, PMH_ROWS = 400, 500
OF_PACKAGE = ("manifest.json", "manifest.json.sig")
LOG_LINES, STRANGERS = 2_000, 2
ISSUE, ACQUIRE, PROVIDE = "issue_pmh_ids", "acquire_codes", "provide_usage"
EXPORT, TAKE_IN = "export_online", "answer_online"


class National:
    """One run of it; `found` is known afterwards, and `wrong` names what is not as planned."""

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
        self._exchange = commands.root / "exchange"
        self.found: dict[str, int] = {}
        self.wrong: list[str] = []

    def run(self) -> None:
        self._pmh()
        self._codes()
        self._reissue()
        self._disclosure()
        self._online()
        self._usage()

    def _run(self, *jobs: str, **options: Any) -> None:
        self._commands.ask("run", *jobs, **options)

    # --- PMH-ID

    def _pmh(self) -> None:
        """Numbers that are known, unknown and mistyped; each comes back with what there is."""
        population = Population(self._seed)
        known, strangers = (
            population.numbers(np.arange(first, first + count)).to_list()
            for first, count in ((0, PMH_PERSONS), (NOBODY, PMH_PERSONS // 10))
        )
        partner = pmh.Pmh()
        fields = pmh.draw(self._seed, known, strangers, PMH_ROWS)
        partner.lay(self._exchange / "pmh" / "inbox" / "pmh_link", fields)
        self._run(ISSUE)
        wanted = sum(pmh.expected(fields, known))
        for path in sorted((self._exchange / "pmh" / "outbox").glob("PK_*.age")):
            into = self._beside.opened(path.stem)
            key = self._beside.system("pmh")
            self._open(path, key, into)
            (answer,) = (one for one in into.iterdir() if one.name not in OF_PACKAGE)
            partner.take(1, answer.read_bytes())
            given = sum(bool(line.rsplit(b",", 1)[1]) for line in answer.read_bytes().splitlines())
            if given != wanted:
                self.wrong.append("pmh")
            for each in (path.with_name(path.name + ".sig"), path):
                os.replace(each, path.parents[1] / "taken" / each.name)
        self._run(ISSUE)  # erases what was taken
        told = self._commands.ask("pmh", "status")
        self.found |= {"pmh_rows": len(fields), "pmh_given": wanted}
        if told["answers"][-1]["given"] != wanted:
            self.wrong.append("pmh counts")
        self._say("pmh", **self.found)

    # --- 機関別符号

    def _codes(self) -> None:
        """Asked for after one approval; some come late, some never, all of them twice."""
        self._ask_codes(("--late", str(LATE)), ("--doubly",))
        requests = self._commands.ask("codes", "status")["requests"]
        first = [one for one in requests if not one["reissue"]]
        asked = sum(one["rows"] for one in first)
        self.found |= {
            "codes_asked": asked,
            "codes_set": sum(one["set"] for one in first),
            "codes_failed": sum(one["failed"] for one in first),
        }
        if not asked or asked != self.found["codes_set"] + self.found["codes_failed"]:
            self.wrong.append("codes")
        self._say("codes", **self.found)

    def _reissue(self) -> None:
        """Some of those codes are given up for new ones, by a list."""
        reissue = Reissue(self._commands, self._beside, lambda: self._ask_codes(()))
        reissue.run()
        self.found |= reissue.found
        if reissue.wrong:
            self.wrong.append("reissue")
        self._say("reissue", **self.found)

    def _disclosure(self) -> None:
        """People ask for their cards by these codes, old ones among them."""
        link = Disclosure(self._commands, self._beside, self._open)
        link.run()
        self.found |= link.found
        if link.wrong:
            self.wrong.append("disclosure")
        self._say("disclosure", **self.found)

    def _ask_codes(self, *answers: tuple[str, ...]) -> None:
        """What is wanted is asked for after an approval, and answered, in so many files."""
        self._run(ACQUIRE)
        waiting = self._commands.ask("approval", "list")["approvals"]
        if waiting:
            numbers = [str(item["approval"]) for item in waiting]
            key = str(self._beside.person(SENDING))
            self._commands.show("approval", "approve", *numbers, "--key", key)
            self._run(ACQUIRE)
            for options in answers:
                self._nws(*options)
                self._run(ACQUIRE)

    def _nws(self, *options: str) -> None:
        command = [sys.executable, str(NWS), "--seed", str(self._seed), *options]
        command += ["--exchange", str(self._exchange), "--state", str(self._beside.others / "nws")]
        subprocess.run(command, stdout=subprocess.PIPE, check=True)

    # --- pushes

    def _online(self) -> None:
        """A push of which one person is refused; the next one tells that person again."""
        table = oqs.Table()
        identity = pyrage.x25519.Identity.from_str(self._beside.system("oqs").read_text().strip())
        for number in (1, 2):
            # By a process whose key opens no number.
            self._run(EXPORT, key=self._beside.online_key)
            came = self._pushed(number)
            if came is None:
                break
            content = pyrage.decrypt(came, [identity])
            table.take(content)
            said = oqs.Said(refused={1: REFUSAL}) if number == 1 else oqs.ALL
            name, answer = oqs.answer(content, came, number, said)
            (self._exchange / "oqs" / "inbox" / "oqs" / name).write_bytes(answer)
            self._run(TAKE_IN)
            if number == 1:
                self._commands.ask("online", "resend", "--refused")
        pushes = self._commands.ask("online", "status")["pushes"]
        self.found |= {
            "pushes": len(pushes),
            "pushed": sum(one["accepted"] for one in pushes),
            "push_refused": sum(one["refused"] for one in pushes),
        }
        standing = self._commands.ask("status")["online"]
        if standing["waiting"] or standing["refused"]:
            self.wrong.append("online")
        self._say("online", **self.found)

    def _pushed(self, number: int) -> bytes | None:
        """A push as it came; its receiver takes it away."""
        path = self._exchange / "oqs" / "outbox" / f"OQ_koukan_{number:06d}.csv.age"
        if not path.exists():
            return None
        came = path.read_bytes()
        for each in (path.with_name(path.name + ".sig"), path):
            each.unlink()
        return came

    # --- 資格確認実績ログ

    def _usage(self) -> None:
        """A log is split by payer; the office opens its share and joins it with its tickets."""
        payer = INSURERS[OFFICE][0].code
        log = usage.draw(self._seed, [payer], usage.payers(STRANGERS, first=99801), lines=LOG_LINES)
        wanted = usage.expected(log)
        usage.lay(self._exchange / "oqs" / "inbox" / "oqs", log)
        self._run(PROVIDE)
        for path in self._transport.collect("UX_*.age"):
            into = self._beside.opened(path.stem)
            self._open(path, self._beside.insurer(payer), into)
            lines = usage.lines_of(one.read_bytes() for one in sorted(into.glob("UX_*.csv")))
            if lines != wanted.by_payer[payer]:
                self.wrong.append("usage")
            self._say("usage_opened", file=path.name, count=len(lines))
        self._run("confirm_delivery")
        (told,) = self._commands.ask("usage", "status")["logs"]
        self.found |= {f"usage_{name}": told[name] for name in ("packaged", "held", "rejected")}
        figures = (len(wanted.by_payer[payer]), wanted.unknown.total(), wanted.twice + wanted.wrong)
        if figures != tuple(told[name] for name in ("packaged", "held", "rejected")):
            self.wrong.append("usage counts")
        self._say("usage", **self.found)

    def _open(self, path: Path, key: Path, into: Path) -> None:
        """As its owner does it: with the centre's public key and its own private one."""
        self._commands.ask(
            *("package", "open", str(path), "--key", str(key)),
            *("--signer", str(self._beside.signer), "--into", str(into)),
        )
