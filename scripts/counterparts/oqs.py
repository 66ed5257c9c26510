"""A stand-in for オンライン資格確認等システム: its own table, by replay of what it is sent.

It shares no code with the centre and knows the layouts by itself: which fields each line has, in
which order. It takes pushes in the order of their numbers and refuses one that is out of turn, cut,
of another layout, or whose end record has other sums; whatever line it does not know is refused.
Its answers (処理結果電文) are whole, or partial, late, double or wrong, as they are ordered.
"""

from __future__ import annotations

import hashlib
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

Line = tuple[str, ...]
FIELDS = {"65": 5, "01": 12, "02": 16, "03": 14, "05": 20}  # how many fields each line has
PERSON, REPLACE, FULL = "65", "1", "2"
CLASS, LINK, ACTION = 6, 2, 3  # places of fields in their lines


class Refused(Exception):
    """A push that is not taken, and why."""


@dataclass
class Table:
    """What the receiver has: 紐付番号 -> its lines without their number, sorted."""

    persons: dict[str, list[Line]] = field(default_factory=dict)
    taken: int = 0  # number of the last push

    def take(self, content: bytes, *, skipped: bool = False) -> int:
        """Take one push in; how many persons it told of.

        Args:
            skipped: numbers before it may be missing (a lost push that was told again).

        Raises:
            Refused: nothing was changed.
        """
        if not content.endswith(b"\r\n"):
            raise Refused("it is cut")
        head, *lines, end = (tuple(line.split(",")) for line in content.decode().split("\r\n")[:-1])
        if head[:4] != ("0" * 10, "00", "OQ202604", "koukan") or end[:2] != ("9" * 10, "99"):
            raise Refused("control or end record")
        sequence = int(head[4])
        if sequence <= self.taken or (sequence != self.taken + 1 and not skipped):
            raise Refused("it is out of turn")
        told = [line for line in lines if line[1] == PERSON]
        total = sum(int(line[0]) for line in lines) % 10**18
        if tuple(map(int, end[2:])) != (len(lines), len(told), total):
            raise Refused("other sums")
        self._replace(lines, told, whole=head[CLASS] == FULL)
        self.taken = sequence
        return len(told)

    def _replace(self, lines: list[Line], told: list[Line], *, whole: bool) -> None:
        found: dict[str, list[Line]] = {}
        numbers = {}
        for line in told:
            if line[LINK] in numbers:
                raise Refused("a person stands there twice")
            numbers[line[LINK]] = line[0]
            if line[ACTION] == REPLACE:
                found[line[LINK]] = []
        for line in lines:
            if FIELDS.get(line[1]) != len(line):
                raise Refused("a line that nobody agreed on")
            if line[LINK] not in found and line[1] != PERSON:
                raise Refused("a line of nobody")
            if numbers.get(line[LINK]) != line[0]:
                raise Refused("a line under another number")
            if line[LINK] in found:
                found[line[LINK]].append(line[1:])
        if whole:
            self.persons = {}
        for link in numbers:
            self.persons.pop(link, None)
        self.persons |= {link: sorted(own) for link, own in found.items()}


def opened(path: Path, key: Path, age: str = "age") -> bytes:
    """A push decrypted with the receiver's own key, by the program age."""
    command = [age, "-d", "-i", str(key), str(path)]
    return subprocess.run(command, check=True, capture_output=True).stdout


# --- what it answers


@dataclass(frozen=True)
class Said:
    """A 処理結果電文 as it is to be: what is left out or put in makes it partial or wrong.

    Args:
        refused: number of a person in the push -> code; everybody else is taken in.
        only: numbers that are answered for; None: all.
        also: further lines (number, record type, code), as they are to stand there.
        whole: the code by which all of the push is refused.
        persons: how many it says that it counted; None: how many there are.
        sha512: of what it says that it received; None: of the push.
        push: which push it says that it answers; 0: the one that it was.
        taken_count: how many lines of persons taken in it says that it has; None: the right one.
    """

    refused: dict[int, str] = field(default_factory=dict)
    only: frozenset[int] | None = None
    also: tuple[tuple[int, str, str], ...] = ()
    whole: str = ""
    persons: int | None = None
    sha512: str | None = None
    push: int = 0
    taken_count: int | None = None


ALL = Said()
TAKEN, REFUSED = "66", "67"


def answer(content: bytes, came: bytes, sequence: int, said: Said = ALL) -> tuple[str, bytes]:
    """Name and content of the answer to a push that `came` encrypted; its number is ours."""
    head, *lines, _ = (line.split(",") for line in content.decode().split("\r\n")[:-1])
    numbers = [int(line[0]) for line in lines if line[1] == PERSON]
    told = [
        (number, REFUSED if number in said.refused else TAKEN, said.refused.get(number, "0000"))
        for number in numbers
        if not said.whole and (said.only is None or number in said.only)
    ]
    told += said.also
    count = len(numbers) if said.persons is None else said.persons
    control = (
        *("0" * 10, "00", "OA202604", "oqs", f"{sequence:06d}", "20260402"),
        f"{said.push or int(head[4]):06d}",
        said.sha512 or hashlib.sha512(came).hexdigest(),
        "2" if said.whole else "1",
        *((said.whole, "") if said.whole else ("", f"{count:010d}")),
    )
    taken = sum(kind == TAKEN for _, kind, _ in told)
    counts = (len(told), taken if said.taken_count is None else said.taken_count)
    total = sum(number for number, _, _ in told) % 10**18
    end = ("9" * 10, "99", *(f"{one:08d}" for one in (*counts, len(told) - taken)), f"{total:018d}")
    body = [(f"{number:010d}", kind, code) for number, kind, code in told]
    text = "".join(",".join(line) + "\r\n" for line in (control, *body, end))
    return f"OA_oqs_{sequence:06d}.csv", text.encode("cp932")
