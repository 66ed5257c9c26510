"""マイナポータル as it asks through NWS for people's qualifications and reads what it gets.

It shares no code with the centre and knows the layouts by itself: control and end record of a
request and of an answer, and the nine items that an answer's line has. It knows people by the codes
that NWS gave them and by the cards that they have shown it, so whatever comes back is held against
what was asked, line by line, and against the cards that were good on the day asked for.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

ANSWERED, NOTHING, WRONG = "1", "2", "9"
FIELDS = 11  # of an answer's line
WHO = ("自己情報開示", "健康保険証の利用の申込み", "マイナポータル")  # 事務, 手続, 部署


class Refused(Exception):
    """An answer that the portal does not take, and why."""


class Card(NamedTuple):
    """What a person may link, with the days on which it was good: from, and the first day out."""

    insurer_number: str
    symbol: str
    number: str
    branch: str
    payer: str
    recipient: str
    begins: str  # YYYYMMDD
    ends: str = "99999999"

    @property
    def items(self) -> tuple[str, ...]:
        return self[:6]


class Asked(NamedTuple):
    """One request, as it goes into a line."""

    number: str
    branch: str
    code: str
    task: str
    procedure: str
    department: str
    at: str  # YYYYMMDDhhmmss
    nondisclosure: str = ""
    error: str = ""


@dataclass
class Portal:
    """What it asked, file by file, and what it was told."""

    asked: dict[int, list[Asked]] = field(default_factory=dict)
    told: dict[tuple[str, str], list[tuple[str, ...]]] = field(default_factory=dict)
    sequence: int = 0
    number: int = 0

    def ask(self, code: str, at: str, **more: str) -> Asked:
        """A request under a number of its own."""
        self.number += 1
        return Asked(f"{self.number:016d}", "0001", code, *WHO, at, **more)

    def request(self, asked: Iterable[Asked]) -> tuple[str, bytes]:
        """Name and content of the next file of requests."""
        self.sequence += 1
        mine = self.asked[self.sequence] = list(asked)
        lines = [f"0000000000,00,SD202604,nws,{self.sequence:06d},20260401"]
        lines += [",".join((f"{place:010d}", "91", *one)) for place, one in enumerate(mine, 1)]
        rows, total = len(mine), len(mine) * (len(mine) + 1) // 2
        lines.append(f"9999999999,99,{rows:08d},{rows:08d},{total:018d}")
        content = "".join(f"{line}\r\n" for line in lines).encode("cp932")
        return f"SD_nws_{self.sequence:06d}.csv", content

    def lay(self, folder: Path, asked: Iterable[Asked]) -> Path:
        """Lay the next file of requests out."""
        name, content = self.request(asked)
        path = folder / name
        path.write_bytes(content)
        return path

    def take(self, sequence: int, content: bytes) -> list[tuple[str, list[tuple[str, ...]]]]:
        """Read one answer: of each line that was asked its class and what was told.

        Raises:
            Refused: it is not the answer to that file.
        """
        lines = content.decode("utf-8").split("\r\n")
        if lines.pop() != "" or len(lines) < 2:
            raise Refused("it is cut")
        head, *body, last = (line.split(",") for line in lines)
        if head[0] != "00" or head[2] != f"SD_nws_{sequence:06d}.csv":
            raise Refused("an answer to another file")
        if last != ["99", f"{len(body):08d}"]:
            raise Refused("other counts")
        asked = self.asked[sequence]
        found: list[tuple[str, list[tuple[str, ...]]]] = [("", []) for _ in asked]
        for line in body:
            if len(line) != FIELDS or line[1] != "92":
                raise Refused("another layout")
            self._line(asked, found, line)
        if any(not kind for kind, _ in found):
            raise Refused("a request without an answer")
        return found

    def _line(
        self,
        asked: Sequence[Asked],
        found: list[tuple[str, list[tuple[str, ...]]]],
        line: Sequence[str],
    ) -> None:
        place, kind, items = int(line[0]) - 1, line[4], tuple(line[5:])
        before, told = found[place]
        if kind != WRONG and (line[2], line[3]) != (asked[place].number, asked[place].branch):
            raise Refused("another request than was asked")
        if before not in ("", kind) or (before and kind != ANSWERED):
            raise Refused("two answers to one request")
        if any(items) != (kind == ANSWERED):
            raise Refused("items where there are none, or none where there are")
        found[place] = kind, [*told, items] if any(items) else told
        self.told[asked[place].number, asked[place].branch] = found[place][1]


def expected(cards: Mapping[str, Sequence[Card]], asked: Asked) -> list[tuple[str, ...]]:
    """The cards that were good on the day of a request, in order."""
    day = asked.at[:8]
    good = (card for card in cards.get(asked.code, ()) if card.begins <= day < card.ends)
    return sorted(card.items for card in good)


def draw(
    portal: Portal, seed: int, codes: Sequence[str], days: Sequence[str], rows: int
) -> list[Asked]:
    """Requests: of people, some of them twice, and some of strangers."""
    drawn = random.Random(f"portal {seed}")  # noqa: S311 - not for secrets
    asked = []
    for _ in range(rows):
        stranger = drawn.random() < 0.1
        code = f"S{drawn.randrange(10**18):019d}" if stranger else drawn.choice(codes)
        asked.append(portal.ask(code, f"{drawn.choice(days)}{drawn.randrange(24):02d}0000"))
    return asked


def receipt(packages: Iterable[tuple[str, str]], sequence: int) -> tuple[str, bytes]:
    """NWS's 受領確認: name and archive hash of each package that it has opened."""
    given = list(packages)
    rows = len(given)
    lines = [f"0000000000,00,NR202604,nws,{sequence:06d},20260401"]
    lines += [f"{place:010d},93,{name},{sha}" for place, (name, sha) in enumerate(given, 1)]
    total = rows * (rows + 1) // 2
    lines.append(f"9999999999,99,{rows:08d},{rows:08d},{total:018d}")
    content = "".join(f"{line}\r\n" for line in lines).encode("ascii")
    return f"NR_nws_{sequence:06d}.csv", content
