"""OQS as it makes its logs of checked qualifications (資格確認実績ログ), and what comes of them.

It shares no code with the centre and knows the layout by itself: the seven items, control and end
record, names, and how the last digits of payers, recipients and institutions are found. A drawn log
has offices of very different size, payers whom nobody knows, lines twice and lines that are wrong;
`expected` sorts them out one by one, as the centre must. A correction is a log of its own version.
"""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

WEIGHTS = (2, 1)  # in turns from the right; two-digit products count as the sum of their digits
RIGHT, UNKNOWN, TWICE, WRONG = "right", "unknown", "twice", "wrong"


class Line(NamedTuple):
    """The seven items, as they stand in a file."""

    payer: str
    recipient: str
    institution: str
    day: str
    method: str
    processed: str
    entrusted: str

    def text(self) -> str:
        return ",".join(self)


@dataclass(frozen=True)
class Log:
    """One version of a log; every line with what it is drawn to be."""

    number: int
    version: int
    lines: tuple[tuple[Line, str], ...]


@dataclass
class Expected:
    """What the centre must come to: by payer its lines in their order, and the rest in numbers."""

    by_payer: dict[str, list[Line]] = field(default_factory=dict)
    unknown: Counter[str] = field(default_factory=Counter)  # payer -> lines
    twice: int = 0
    wrong: int = 0


def check_digit(body: str) -> int:
    """The last digit of 公費負担者番号, 受給者番号 and 医療機関コード."""
    total = 0
    for place, digit in enumerate(reversed(body)):
        product = int(digit) * WEIGHTS[place % 2]
        total += product // 10 + product % 10
    return -total % 10


def with_check_digit(body: str) -> str:
    return f"{body}{check_digit(body)}"


def payers(count: int, *, first: int = 99601) -> list[str]:
    """公費負担者番号 of offices of prefecture 99, which does not exist."""
    return [with_check_digit(f"12{first + place:05d}") for place in range(count)]


def draw(
    seed: int,
    known: Sequence[str],
    strangers: Sequence[str],
    *,
    lines: int,
    number: int = 1,
    version: int = 1,
) -> Log:
    """A log of so many lines of known payers and of strangers, some of them twice or wrong."""
    drawn = random.Random(f"{seed}/{number}/{version}")  # noqa: S311 - not for secrets
    whom = [*known, *strangers]
    shares = [1 / (place + 1) for place in range(len(whom))]  # the first has most lines
    drawn.shuffle(shares)
    found: list[tuple[Line, str]] = []
    for place in range(lines):
        (payer,) = drawn.choices(whom, shares)
        line = drawn_line(drawn, payer, place)
        kind = RIGHT if payer in known else UNKNOWN
        chance = drawn.random()
        if chance < 0.02:
            line, kind = spoilt(drawn, line), WRONG
        elif chance < 0.05 and found:
            line, before = drawn.choice(found)
            kind = WRONG if before == WRONG else TWICE
        found.append((line, kind))
    return Log(number, version, tuple(found))


def drawn_line(drawn: random.Random, payer: str, place: int) -> Line:
    """A line that no other line of its log repeats: its second is its place."""
    day = f"202605{drawn.randint(1, 31):02d}"
    second = place % 86_400
    moment = f"{second // 3600:02d}{second // 60 % 60:02d}{second % 60:02d}"
    return Line(
        payer,
        with_check_digit(f"{drawn.randrange(10**4):06d}"),
        with_check_digit(f"1319{drawn.randrange(40):05d}"),
        day,
        drawn.choice("123"),
        day + moment,
        drawn.choice("01"),
    )


def spoilt(drawn: random.Random, line: Line) -> Line:
    """The line with one item that no rule lets pass."""
    other = f"{line.payer[:-1]}{(int(line.payer[-1]) + 1) % 10}"
    return drawn.choice(
        [
            line._replace(payer=other),
            line._replace(recipient=""),
            line._replace(institution=line.institution[:-1]),
            line._replace(day="20260231"),
            line._replace(method="9"),
            line._replace(processed=f"{line.day}240000"),
            line._replace(entrusted="X"),
        ]
    )


def expected(log: Log) -> Expected:
    """Line by line, whose each is."""
    found = Expected()
    for line, kind in log.lines:
        if kind == RIGHT:
            found.by_payer.setdefault(line.payer, []).append(line)
        elif kind == UNKNOWN:
            found.unknown[line.payer] += 1
        elif kind == TWICE:
            found.twice += 1
        else:
            found.wrong += 1
    return found


def content(log: Log, *, sender: str = "oqs", sequence: int = 1, day: str = "20260601") -> bytes:
    """The file, byte for byte as it is laid."""
    rows = len(log.lines)
    head = (
        f"0000000000,00,UL202604,{sender},{sequence:06d},{day},{log.number:010d},{log.version:02d}"
    )
    body = (f"{place:010d},75,{line.text()}" for place, (line, _) in enumerate(log.lines, 1))
    total = rows * (rows + 1) // 2 % 10**18
    end = f"9999999999,99,{rows:08d},{rows:08d},{total:018d}"
    return "".join(f"{line}\r\n" for line in (head, *body, end)).encode("cp932")


def lay(
    folder: Path, log: Log, *, sender: str = "oqs", sequence: int = 1, marker: bool = False
) -> Path:
    """Lay a log out under its growing name, then its own; with a marker behind it, if wanted."""
    path = folder / f"UL_{sender}_{sequence:06d}.csv"
    whole = content(log, sender=sender, sequence=sequence)
    growing = path.with_name(f"{path.name}.part")
    growing.write_bytes(whole)
    growing.rename(path)
    if marker:
        told = f"{hashlib.sha256(whole).hexdigest()} {len(whole)} {whole.count(10)}\n"
        path.with_name(f"{path.name}.done").write_text(told, encoding="ascii")
    return path


def lines_of(files: Iterable[bytes]) -> list[Line]:
    """The lines of files that an office took out of its packages, read anew.

    Raises:
        ValueError: one is not of the layout that was agreed on.
    """
    found = []
    for whole in files:
        head, *body, end = whole.decode("cp932").split("\r\n")[:-1]
        if not head.startswith("00,") or end != f"99,{len(body):08d}":
            raise ValueError("control or end record")
        for text in body:
            kind, *items = text.split(",")
            if kind != "76":
                raise ValueError("a line that nobody agreed on")
            found.append(Line(*items))
    return found
