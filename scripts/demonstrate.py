"""The demonstration: an earlier night, one with everything that goes wrong, one with every event.

Everything runs through the commands that an operator uses, each in a process of its own; what is
shown comes from their JSON. The input is synthetic and seeded, and the generator knows what must
become of every file, the counterpart of every question; so the demonstration ends with 0 only when
all of it did.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from demonstration import people
from demonstration.commands import Commands
from demonstration.identity import IdentityNight
from demonstration.morning import Morning
from demonstration.national import National
from demonstration.sizes import least
from demonstration.transport import Transport, opened
from demonstration.wanted import differing
from demonstration.words import WORDS

from koukan.samples.events import lay_events, lay_registrations
from koukan.samples.expected import ExpectedFile
from koukan.samples.identity import lay_questions, write_population
from koukan.samples.night import lay_earlier_night, lay_night

REGISTER = "register_members"
USAGE = 64


class Demonstration:
    """One root, keys and other parties' folders beside it, and the commands run on them."""

    def __init__(self, root: Path, arguments: argparse.Namespace) -> None:
        self.arguments = arguments
        self.beside = people.Beside(root)
        self.commands = Commands(root, self.beside.batch_key, arguments.lang, arguments.json)
        self.words = WORDS[arguments.lang]

    def say(self, key: str, **values: object) -> None:
        print(self.words[key].format(**values), file=sys.stderr, flush=True)

    def run(self) -> int:
        """The whole of it; 0 when everything ended as planned."""
        root = self.commands.root
        self.say("site", root=root, keys=self.beside.keys)
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        with opened(root, self.beside, self.commands, self.say) as transport:
            return self.show(transport)

    def show(self, transport: Transport) -> int:
        """Everything after the site is there."""
        arguments, root, insurers = self.arguments, self.commands.root, transport.insurers
        self.prepare(transport)
        planned = lay_night(insurers, arguments.seed, arguments.lines, arguments.persons)
        asking = lay_questions(insurers, arguments.seed, arguments.questions, arguments.persons)
        transport.send()
        lines = planned.summary()["records"]["received"]
        files = len(planned.files) + len(asking.files)
        self.say("lay", files=files, lines=lines, questions=arguments.questions)
        known = max(planned.persons, asking.persons)
        write_population(self.beside.register, arguments.seed, known)
        self.say("night")
        night = self.commands.ask("run", REGISTER)
        if not arguments.json:
            self.commands.show("status", "--insurers")
        identity = IdentityNight(self.commands, self.beside, transport, arguments.seed, self.say)
        receptions = identity.run()
        told, numbers = self.second_night(transport, known)
        morning = Morning(self.commands)
        self.say("morning")
        morning.run()
        national = National(self.commands, self.beside, transport, arguments.seed, self.say)
        self.say("national")
        national.run()
        self.say("verify")
        laid = [*planned.files, *asking.files, *told]
        problems = self.commands.ask("ledger", "verify")["problems"]
        digest = self.commands.ask("ledger", "digest")["digest"]
        numbers += [*night["jobs"][0]["receptions"], *receptions]
        found = [
            *differing(root, self.beside.batch_key, laid, numbers),
            *identity.differing(),
            *national.wrong,
        ]
        balanced = bool(night["summary"]["ledger_balanced"]) and not problems
        seconds = float(night["jobs"][0]["seconds"]) + identity.seconds
        self.tell(night["summary"], identity, found, balanced=balanced, seconds=seconds)
        self.say("reports", **morning.found)
        self.say("digest", digest=digest)
        if arguments.json:
            result = {
                **{name: night["summary"][name] for name in ("receptions", "records", "insurers")},
                "questions": identity.questions,
                "packages": identity.packages,
                "morning": morning.found,
                "national": national.found,
                "ledger_balanced": balanced,
                "as_planned": not found,
                "digest": digest,
                "seconds": seconds,
                "root": str(root),
            }
            print(json.dumps(result, ensure_ascii=False, indent=2))
        else:
            self.farewell()
        return 0 if balanced and not found else 50

    def second_night(
        self, transport: Transport, first_person: int
    ) -> tuple[list[ExpectedFile], list[int]]:
        """Every event; the files, and their receptions."""
        files: list[ExpectedFile] = []
        numbers: list[int] = []
        self.say("events")
        for lay in (lay_registrations, lay_events):
            transport.look()
            files += lay(transport.insurers, self.arguments.seed, first_person).files
            transport.send()
            (done,) = self.commands.ask("run", REGISTER)["jobs"]
            numbers += [int(number) for number in done["receptions"]]
        return files, numbers

    def prepare(self, transport: Transport) -> None:
        """The centre and its earlier night."""
        self.commands.show("init")
        self.beside.signer.write_text(self.commands.ask("package", "key")["key"] + "\n")
        self.say("earlier", count=self.arguments.persons)
        lay_earlier_night(transport.insurers, self.arguments.seed, self.arguments.persons)
        transport.send()
        self.commands.ask("run", REGISTER)
        transport.look()

    def tell(
        self,
        summary: dict[str, Any],
        identity: IdentityNight,
        found: list[str],
        *,
        balanced: bool,
        seconds: float,
    ) -> None:
        """The sums, and whether all is as planned."""
        self.say("files", **summary["receptions"])
        self.say("lines", **summary["records"])
        self.say("questions", **identity.questions)
        self.say("packages", **identity.packages)
        if found:
            self.say("differs", names=", ".join(found))
        if not balanced:
            self.say("unbalanced")
        if not found and balanced:
            self.say("planned", seconds=seconds)

    def farewell(self) -> None:
        """The next commands to try."""
        self.say("next")
        koukan = self.commands.program
        print(
            f"  export KOUKAN_ROOT={self.commands.root} KOUKAN_KEY_FILE={self.beside.batch_key}\n"
            f"  {koukan} status\n  {koukan} show 11\n  {koukan} explain H101\n"
            f"  {koukan} package list"
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--root", type=Path, help="folder of the centre (default: a temporary one)")
    parser.add_argument("--json", action="store_true", help="one summary on standard output")
    parser.add_argument("--lines", type=int, default=200_000, help="lines received in the night")
    parser.add_argument("--persons", type=int, default=20_000, help="persons registered before")
    parser.add_argument("--questions", type=int, default=20_000, help="bulk questions asked")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--lang", choices=sorted(WORDS), default=os.environ.get("KOUKAN_LANG", "ja")
    )
    arguments = parser.parse_args()
    small = [
        (name, needed)
        for name, needed in least(arguments.persons).items()
        if getattr(arguments, name) < needed
    ]
    for name, needed in small:
        print(WORDS[arguments.lang]["too_small"].format(name=name, least=needed), file=sys.stderr)
    if small:
        return USAGE
    os.umask(0o077)
    root = arguments.root or Path(tempfile.mkdtemp(prefix="koukan-demo-")) / "centre"
    return Demonstration(root.resolve(), arguments).run()


if __name__ == "__main__":
    raise SystemExit(main())
