"""PMH as it asks for PMH-IDs and reads what it gets, and a register of who must have which.

It shares no code with the centre and knows the layout by itself: control and end record of a
request, the two items of an answer. Requests are drawn: numbers of persons that it knows of, of
strangers, twice, late, and wrong in ways that a person mistypes. Whatever comes back is held
against what was asked, byte for byte and in order, and against every answer before: one person,
one PMH-ID, for good.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

DIGITS = 16
WEIGHTS = (6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2)  # of the eleven digits of a 個人番号
WRONG = ("short", "long", "digit", "letter", "blank", "space")


class Refused(Exception):
    """An answer that PMH does not take, and why."""


@dataclass
class Pmh:
    """Its table: number -> PMH-ID, as the answers so far have told it."""

    known: dict[str, str] = field(default_factory=dict)
    asked: dict[int, list[str]] = field(default_factory=dict)  # by sequence, as laid
    sequence: int = 0

    def request(self, fields: Sequence[str]) -> tuple[str, bytes]:
        """Name and content of its next request."""
        self.sequence += 1
        self.asked[self.sequence] = list(fields)
        rows = len(fields)
        lines = [f"0000000000,00,PM202604,pmh,{self.sequence:06d},20260401"]
        lines += [f"{place:010d},72,{text}" for place, text in enumerate(fields, 1)]
        total = rows * (rows + 1) // 2 % 10**18
        lines.append(f"9999999999,99,{rows:08d},{rows:08d},{total:018d}")
        content = "".join(f"{line}\r\n" for line in lines).encode("cp932")
        return f"PM_pmh_{self.sequence:06d}.csv", content

    def lay(self, folder: Path, fields: Sequence[str], *, twice: bool = False) -> Path:
        """Lay its next request out; twice: once more under the next number, byte for byte."""
        name, content = self.request(fields)
        path = folder / name
        path.write_bytes(content)
        if twice:
            self.sequence += 1
            other = f"PM_pmh_{self.sequence:06d}.csv"
            path.with_name(other).write_bytes(content)
        return path

    def take(self, sequence: int, content: bytes) -> dict[str, str]:
        """Read one answer; what it told anew.

        Raises:
            Refused: it is not the answer to that request, or contradicts an earlier one.
        """
        if content and not content.endswith(b"\r\n"):
            raise Refused("it is cut")
        lines = content.decode("ascii").split("\r\n")[:-1]
        told = [tuple(line.rsplit(",", 1)) for line in lines]
        if [pair[0] for pair in told] != self.asked[sequence]:
            raise Refused("other numbers than were asked, or in another order")
        found: dict[str, str] = {}
        for number, pmh_id in told:
            if not pmh_id:
                continue
            if len(pmh_id) != DIGITS or not pmh_id.isdigit():
                raise Refused("no PMH-ID")
            if not right(number):
                raise Refused("a PMH-ID of what is no number")
            if found.setdefault(number, pmh_id) != pmh_id:
                raise Refused("a number with two PMH-IDs")
        for number, pmh_id in found.items():
            if self.known.setdefault(number, pmh_id) != pmh_id:
                raise Refused("another PMH-ID than before")
        if len(set(self.known.values())) != len(self.known):
            raise Refused("two numbers with one PMH-ID")
        return found


def receipt(packages: Iterable[tuple[str, str]], sequence: int) -> tuple[str, bytes]:
    """PMH's 受領確認: name and archive hash of each package that it has opened."""
    given = list(packages)
    rows = len(given)
    lines = [f"0000000000,00,PC202604,pmh,{sequence:06d},20260401"]
    lines += [f"{place:010d},74,{name},{sha}" for place, (name, sha) in enumerate(given, 1)]
    total = rows * (rows + 1) // 2 % 10**18
    lines.append(f"9999999999,99,{rows:08d},{rows:08d},{total:018d}")
    content = "".join(f"{line}\r\n" for line in lines).encode("ascii")
    return f"PC_pmh_{sequence:06d}.csv", content


def right(number: str) -> bool:
    """Twelve digits, the last of which is the check digit of the others."""
    return len(number) == 12 and number.isascii() and number.isdigit() and _checked(number)


def _checked(number: str) -> bool:
    rest = sum(int(digit) * weight for digit, weight in zip(number, WEIGHTS, strict=False)) % 11
    return int(number[-1]) == (0 if rest <= 1 else 11 - rest)


def mistyped(drawn: random.Random, number: str, how: str) -> str:
    """The number as somebody gets it wrong."""
    place = drawn.randrange(len(number))
    return {
        "short": number[:-1],
        "long": number + "0",
        "digit": number[:-1] + str((int(number[-1]) + 1) % 10),
        "letter": number[:place] + "O" + number[place + 1 :],
        "blank": "",
        "space": f" {number}",
    }[how]


def draw(seed: int, persons: Sequence[str], strangers: Sequence[str], rows: int) -> list[str]:
    """Fields of a request: most are persons, some strangers, some wrong, some there twice."""
    drawn = random.Random(f"pmh {seed}")  # noqa: S311 - not for secrets
    fields = []
    for _ in range(rows):
        chance = drawn.random()
        if chance < 0.1:
            fields.append(drawn.choice(strangers))
        elif chance < 0.25:
            fields.append(mistyped(drawn, drawn.choice(persons), drawn.choice(WRONG)))
        else:
            fields.append(drawn.choice(persons))
    return fields


def expected(fields: Iterable[str], persons: Iterable[str]) -> list[bool]:
    """Line by line, whether there is a PMH-ID to give."""
    known = set(persons)
    return [text in known for text in fields]
