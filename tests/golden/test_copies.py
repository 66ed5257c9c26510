"""Golden cases of copies (副本): what an insurer says and asks, and all that comes of it.

`fixtures/copy_registration/<case>.toml` has files of an insurer, one after another; a line is a
person, 副本登録区分, and what differs from an ordinary copy. `fixtures/copy_query/<case>.toml` has
whom it `asks` for afterwards (`""`: everybody). `?` is nobody, `other` another insurer's member.
The text beside a case says what became of every line and what stands; `pytest tests/golden
--update` writes it anew.
"""

from __future__ import annotations

import tomllib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from centres import JOB, Place, lay
from copies_site import DEPOSIT, RETURN, Copy, ask, code, opened, results, site, tell, told
from histories import member_ids
from package_support import program

from koukan.engine import copies
from koukan.engine.centre import Centre
from koukan.rules.copies import DELETED, KEY

FIXTURES = Path(__file__).parents[2] / "fixtures"
CASES = {
    f"{folder}/{path.stem}": tomllib.loads(path.read_text("utf-8"))
    for folder in ("copy_registration", "copy_query")
    for path in sorted((FIXTURES / folder).glob("*.toml"))
}
USUAL = "kenpo-a"
NOBODY = "0" * 10


def sender(name: str) -> str:
    return str(CASES[name].get("sender", USUAL))


def labels(case: dict[str, Any]) -> list[str]:
    """The persons of a case, who are nobody else's."""
    said = [line["who"] for file in case["file"] for line in file["lines"]]
    return sorted({*said, *case.get("asks", ())} - {"?", "other", ""})


@dataclass
class Cases:
    """All cases in one centre, file by file."""

    place: Place
    members: dict[tuple[str, str], str] = field(default_factory=dict)
    told: dict[str, list[str]] = field(default_factory=lambda: {name: [] for name in CASES})
    sequences: Counter[str] = field(default_factory=Counter)

    def run(self) -> None:
        known = {one: iter(member_ids(self.place, one)) for one in (USUAL, "kyokai")}
        self.members = {
            (name, who): next(known[sender(name)]) for name in CASES for who in labels(CASES[name])
        }
        other = member_ids(self.place, "kenpo-b")[-1]
        self.members |= {(name, "other"): other for name in CASES}
        for round_ in range(max(len(case["file"]) for case in CASES.values())):
            self.tell(round_)
        for name in CASES:
            self.told[name] += self.standing(name)
        self.ask()

    def member(self, name: str, who: str) -> str:
        return self.members.get((name, who), NOBODY if who else "")

    def tell(self, round_: int) -> None:
        laid = {}
        for name, case in CASES.items():
            if round_ >= len(case["file"]):
                continue
            lines = [self.copy(name, line) for line in case["file"][round_]["lines"]]
            laid[name] = self.next(sender(name))
            tell(self.place, lines, laid[name], sender(name))
        self.place.run(DEPOSIT)
        for name, sequence in laid.items():
            lines = CASES[name]["file"][round_]["lines"]
            codes = results(self.place, sequence, sender(name))
            self.told[name].append(f"file {round_ + 1}")
            for line, found in zip(lines, codes, strict=True):
                self.told[name].append(f"{line['who']} {line['said']} {found or '-'}")

    def copy(self, name: str, line: dict[str, Any]) -> Copy:
        given = {key: value for key, value in line.items() if key != "who"}
        found = Copy(self.member(name, line["who"]))._replace(**given)
        if line["said"] == DELETED:
            empty = found.deleted()
            return empty._replace(content=tuple(line.get("content", ())))
        return found

    def next(self, of: str) -> int:
        self.sequences[of] += 1
        return self.sequences[of]

    def standing(self, name: str) -> list[str]:
        """What stands of the persons of a case."""
        who = {member: one for (case, one), member in self.members.items() if case == name}
        with self.place.opened() as centre:
            found = standing_of(centre, sender(name), list(who))
        lines = [f"{who[f'{row[0]:010d}']} {' '.join(filter(None, row[1:]))}" for row in found]
        return ["stands", *sorted(lines)]

    def ask(self) -> None:
        """What the cases ask for, each in a file of its own."""
        laid, numbers = {}, Counter[str]()
        for name, case in CASES.items():
            if "asks" in case:
                numbers[sender(name)] += 1
                laid[name] = numbers[sender(name)]
                asked = [self.member(name, who) for who in case["asks"]]
                ask(self.place, asked, laid[name], sender(name))
        self.place.run(RETURN)
        given = opened(self.place)  # of those whose insurer has a key
        for name, sequence in laid.items():
            codes = results(self.place, sequence, sender(name), "QA_CV")
            asks = zip(CASES[name]["asks"], codes, strict=True)
            self.told[name] += ["asks", *(f"{who or 'all'} {found or '-'}" for who, found in asks)]
            who = {member: one for (case, one), member in self.members.items() if case == name}
            if sender(name) == USUAL:
                lines = [f"{who[line[0]]} {' '.join(line[1:])}" for line in told(given.pop(0))]
                self.told[name] += ["given", *sorted(lines)]


def standing_of(centre: Centre, of: str, members: list[str]) -> list[tuple[Any, ...]]:
    own = pl.Series(members).cast(pl.Int64)
    content = [f"content_{number}" for number in range(1, 7)]
    return copies.standing_of(centre, code(of), own).select(*KEY, *content).rows()


@pytest.fixture(scope="module")
def came(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What each case came to."""
    program("age", "age")
    needed = sum(len(labels(case)) for case in CASES.values())
    place = site(tmp_path_factory.mktemp("copies"), persons=2 * needed)
    lay(place, "kyokai", 1, persons=2, first_person=5 * needed)
    place.run(JOB)
    found = Cases(place)
    found.run()
    return {name: "".join(f"{line}\n" for line in lines) for name, lines in found.told.items()}


@pytest.mark.parametrize("name", CASES)
def test_a_case_comes_to_what_it_says(
    name: str, came: dict[str, str], pytestconfig: pytest.Config
) -> None:
    path = FIXTURES / f"{name}.txt"
    if pytestconfig.getoption("update"):
        path.write_text(came[name], encoding="utf-8")
    assert came[name] == path.read_text("utf-8")


def test_every_code_has_a_case(came: dict[str, str]) -> None:
    shown = Counter(word for text in came.values() for word in text.split())
    for word in ("R207", "R228", "R229", "R230", "R308", "R504", "R506", "R507", "R508", "D301"):
        assert shown[word], word
    for name in CASES:
        wanted = name.partition("/")[2].upper()
        if wanted[0] == "R" and wanted[1:].isdigit():
            assert wanted in came[name], name
