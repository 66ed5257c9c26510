"""All golden cases in one centre: each with senders and insurers of its own, run by run.

The first run takes every case's first file, the second every second one, and so on, so cases cost
little; they share groups, tables and vault, and must not show it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from centres import LIMITS, Place
from golden.cases import NATIONAL, PLACEHOLDER, Case, content, file_name

from koukan.engine.centre import Centre
from koukan.engine.initialise import initialise
from koukan.formats.model import Catalogue

DOORS = ("dedicated_terminal", "server_link")
NHI = "nhi_aggregation"
ANSWER = re.compile(r"([A-Z]{2})_(?P<name>.+)_(?P<reception>[0-9]{10})\.csv")
JOB = "register_members"


@dataclass
class Labels:
    """What stands for an issued number in expected files: P1, P2 in order of appearance."""

    letter: str
    found: dict[int, str] = field(default_factory=dict)

    def __call__(self, number: int | None) -> str:
        if number is None:
            return "-"
        return self.found.setdefault(number, f"{self.letter}{len(self.found) + 1}")


@dataclass
class Told:
    """What a case has shown so far."""

    case: Case
    codes: dict[str, str]  # letter -> 保険者コード
    members: Labels = field(default_factory=lambda: Labels("M"))
    persons: Labels = field(default_factory=lambda: Labels("P"))
    receptions: Labels = field(default_factory=lambda: Labels("#"))
    sent: list[tuple[str, bytes]] = field(default_factory=list)

    def fill(self, text: str) -> str:
        """Numbers in place of what stands for them."""

        def number(kind: str, label: str) -> str:
            if kind == "insurer":
                return self.codes[label]
            if kind == "reception":
                names = {name: told for told, name in self.receptions.found.items()}
                return f"{names[f'#{label}']:010d}"
            if kind == "member":
                names = {name: told for told, name in self.members.found.items()}
                assert f"M{label}" in names, f"{self.case.prefix}: no member {label} so far"
                return f"{names[f'M{label}']:010d}"
            right = self.case.my_number(label)
            return right if kind == "number" else right[:-1] + str((int(right[-1]) + 1) % 10)

        return PLACEHOLDER.sub(lambda found: number(found[1], found[2]), text)

    def by_reception(self, row: dict[str, Any]) -> tuple[int, int]:
        """An order that does not depend on which numbers were issued."""
        return row["reception"], list(self.members.found).index(row["member_id"])

    def by_day(self, row: dict[str, Any]) -> tuple[date, str, int]:
        place = list(self.members.found).index(row["member_id"])
        return row["qualification_date"], row["insurer_code"], place

    def insurer(self, code: str) -> str:
        return next((letter for letter, known in self.codes.items() if known == code), code)


@dataclass
class Golden:
    """One centre with every case in it."""

    place: Place
    told: dict[str, Told]

    @classmethod
    def laid(cls, root: Path, cases: list[Case]) -> Golden:
        codes = iter(range(99_000_001, 99_999_999))
        told = {
            case.prefix: Told(case, {letter: f"{next(codes)}" for letter in case.insurers})
            for case in cases
        }
        place = Place(root / "root", root / "batch.key")
        place.root.mkdir(parents=True)
        place.write_site(site(list(told.values())))
        initialise(place.root, place.key)
        return cls(place, told)

    def run(self) -> None:
        """Every wave of files, one run for each."""
        waves = max(len(one.case.waves) for one in self.told.values())
        for wave in range(waves):
            for one in self.told.values():
                if wave < len(one.case.waves):
                    self._lay(one, one.case.waves[wave])
            self.place.run(JOB)
            self.place.now += timedelta(days=1)
            with self.place.opened() as centre:
                self._look(centre)

    def _lay(self, one: Told, files: list[int]) -> None:
        for place in files:
            file = one.case.file[place]
            sender = one.case.sender(file.sender)
            door = file.door or _doors(one.case, file.sender)[0]
            folder = self.place.root / "exchange" / sender / "inbox" / door
            name, laid = file_name(one.case, place), content(one.case, place, one.fill)
            (folder / name).write_bytes(laid)
            one.sent.append((name, laid))

    def _look(self, centre: Centre) -> None:
        """Name receptions and 被保険者枝番 in the order in which they come."""
        owner = {
            one.case.sender(letter): one
            for one in self.told.values()
            for letter in one.case.senders
        }
        for reception in centre.ledger.receptions():
            owner[reception.sender].receptions(reception.number)
        for one in self.told.values():
            for _, name, lines in self.answers(one, centre.catalogue):
                if name.startswith("RR_"):
                    for line in lines:
                        if line.get("member_id"):
                            one.members(int(line["member_id"]))

    def answers(
        self, one: Told, catalogue: Catalogue
    ) -> Iterator[tuple[str, str, list[dict[str, str]]]]:
        """What lies in the outboxes, by reception: label, name, lines by field."""
        paths = [
            path
            for letter in sorted(one.case.senders)
            for path in self.place.outbox(one.case.sender(letter)).iterdir()
        ]
        for path in sorted(paths, key=lambda path: (path.stem[-10:], path.name)):
            found = ANSWER.fullmatch(path.name)
            assert found is not None, path.name
            label = one.receptions.found[int(found["reception"])]
            kinds = {"AK": "acknowledgement", "RR": "registration_result"}
            form = catalogue.formats[kinds[found[1]]]
            lines = path.read_bytes().decode(form.file.encoding).split("\r\n")
            assert lines.pop() == ""
            records = {record.code: form.fields(record) for record in form.records}
            told = []
            for line in lines:
                values = line.split(",")
                code = values[0] if values[0] in records else values[1]
                items = records.get(code)
                if items is None:
                    items = form.end if line is lines[-1] else form.control
                assert len(items) == len(values), path.name
                told.append({item.name: value for item, value in zip(items, values, strict=True)})
            yield label, path.name, told


def _doors(case: Case, letter: str) -> tuple[str, ...]:
    sender = case.senders[letter]
    if sender.system:
        return (NATIONAL, *DOORS, NHI)
    kinds = {case.insurers[insurer] for insurer in sender.insurers}
    return (NHI, *DOORS) if kinds == {"municipal_nhi"} else (*DOORS, NHI)


def site(told: list[Told]) -> str:
    """A site.toml with the insurers and senders of all cases."""
    parts = ['buckets = 1\nlanguage = "ja"']
    for one in told:
        for letter, kind in one.case.insurers.items():
            title = f"{one.case.prefix} {letter}"
            parts.append(
                f'[[insurer]]\ncode = "{one.codes[letter]}"\nkind = "{kind}"\ntitle = "{title}"'
            )
        for letter, sender in one.case.senders.items():
            name = one.case.sender(letter)
            speaks = [one.codes[insurer] for insurer in sender.insurers]
            doors = list(_doors(one.case, letter))
            system = f'\nsystem = "{sender.system}"' if sender.system else ""
            parts.append(
                f'[[sender]]\nname = "{name}"\ntitle = "{name}"\ndoors = {doors}\n'
                f"insurers = {speaks}{system}"
            )
    return "\n\n".join(parts) + LIMITS
