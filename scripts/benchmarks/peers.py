"""What the peers share: the layout as the TOML says it, check digits, and the split by record type.

Nothing of koukan is imported here: a peer that used its rules would prove nothing by agreeing.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import measuring
import numpy as np
import numpy.typing as npt

FORMATS = Path(__file__).resolve().parents[2] / "formats"
COMMON = ("insurer_code", "my_number", "member_id", "new_my_number")  # one person, one of each
# Classes of characters.
PRIVATE = "\ufffd\ue000-\uf8ff"  # undecodable, or private to the sender
INVISIBLE = r"\p{Cc}\p{Cf}\p{Zl}\p{Zp}〓"
KANA = "ァ-ヺー・ヽヾ　（）．，－’"
EARLIEST = "18680101"
YEAR_MONTH = "[0-9]{4}(0[1-9]|1[0-2])"
UNCERTAIN = "[0-9]{4}(0[0-9]|1[0-2])00|0000(0[0-9]|1[0-2])(0[0-9]|[12][0-9]|3[01])|[0-9]{4}0000"


@dataclass(frozen=True)
class CheckDigit:
    """The last digit of a number: `digits[sum of weighted body digits mod len(digits)]`."""

    code: str
    weights: tuple[int, ...]  # from the lowest body digit up
    folded: bool  # the digits of a two-digit product are added
    digits: tuple[int, ...]
    unjudged_from: str = ""  # numbers from here on carry none that can be relied on


ELEVEN = (0, 0, *range(9, 0, -1))
LUHN = (0, *range(9, 0, -1))
CHECK_DIGITS = {
    "my_number_check_digit": CheckDigit("R201", (2, 3, 4, 5, 6, 7, 2, 3, 4, 5, 6), False, ELEVEN),
    "insurer_check_digit": CheckDigit("R202", (2, 1, 2, 1, 2, 1, 2), True, LUHN),
    "municipality_check_digit": CheckDigit("R203", (2, 3, 4, 5, 6), False, (1, 0, *ELEVEN[2:])),
    "public_payer_check_digit": CheckDigit("R204", (2, 1, 2, 1, 2, 1, 2), True, LUHN, "80"),
    "recipient_check_digit": CheckDigit("R205", (2, 1, 2, 1, 2, 1), True, LUHN),
    "institution_check_digit": CheckDigit("R206", (2, 1, 2, 1, 2, 1, 2, 1, 2), True, LUHN),
}


@dataclass(frozen=True)
class Field:
    """One field; lengths in characters."""

    name: str
    type: str
    longest: int
    shortest: int
    required: bool
    uncertain: bool
    codes: tuple[str, ...]
    checks: tuple[str, ...]

    @property
    def is_day(self) -> bool:
        return self.type == "date" and not self.uncertain

    @property
    def is_month(self) -> bool:
        return "year_month" in self.checks

    @property
    def digits(self) -> list[CheckDigit]:
        return [CHECK_DIGITS[each] for each in self.checks if each in CHECK_DIGITS]


@dataclass(frozen=True)
class Section:
    """One record type; `checks` are the rules across its fields, as the TOML gives them."""

    code: str
    name: str
    required: bool  # of every person
    key: tuple[str, ...]
    fields: tuple[Field, ...]
    checks: tuple[dict[str, Any], ...]

    @property
    def names(self) -> list[str]:
        return [field.name for field in self.fields]


def sections() -> list[Section]:
    """The record types of the registration file."""
    form = tomllib.loads((FORMATS / "member_registration.toml").read_text(encoding="utf-8"))
    return [
        Section(
            record["code"],
            record["section"],
            record.get("required", True),
            tuple(record["key"]),
            tuple(_field(item) for item in form["common"] + record["own"]),
            (*form["checks"], *record.get("checks", ())),
        )
        for record in form["records"]
    ]


def _field(item: dict[str, Any]) -> Field:
    codes: tuple[str, ...] = ()
    if "codes" in item:
        listed = tomllib.loads((FORMATS / f"codes/{item['codes']}.toml").read_text("utf-8"))
        codes = tuple(listed["values"])
    whole = item["length"] if item["type"] in ("digits", "date") else 1
    return Field(
        name=item["name"],
        type=item["type"],
        longest=item["length"],
        shortest=item.get("min_length", whole),
        required=item.get("required", False),
        uncertain=item.get("uncertain", False),
        codes=codes,
        checks=tuple(item.get("checks", ())),
    )


def split(content: bytes, codes: list[str]) -> dict[str, tuple[npt.NDArray[np.int64], bytes]]:
    """Record type -> numbers of its lines in the file, and the lines in UTF-8."""
    lines = content.split(b"\r\n")[1:-2]  # without control and end record
    types = np.array([line[11:13] for line in lines])
    parts = {}
    for code in codes:
        numbers = np.flatnonzero(types == code.encode())
        part = b"\n".join([lines[number] for number in numbers.tolist()])
        text = part.decode("cp932", errors="replace")
        # Python decodes two bytes that cp932 does not define.
        text = text.replace("\x80", "\ufffd").replace("\xa0", "\ufffd")
        parts[code] = numbers + 2, text.encode()
    return parts


def measured(work: Callable[[Path, Path, measuring.Meter], dict[str, Any]]) -> None:
    """The body of a peer's program: FILE FOLDER, and one JSON document on stdout.

    Args:
        work: reads the file, writes the accepted lines of each section and the findings into the
            folder, and says received, rejected, duplicate, lines by code, and checked_s: the time
            until all was known and nothing written yet.
    """
    file, folder = map(Path, sys.argv[1:])
    meter = measuring.Meter()
    counts = work(file, folder, meter)
    cost = meter.stop()
    accepted = counts["received"] - counts["rejected"] - counts["duplicate"]
    measuring.say({**cost, "accepted": accepted, **counts})
