"""A golden case: what is sent in, written as differences from the samples of the format.

`fixtures/<format>/<case>/case.toml` says who sends which files; a person of a file has the lines
that every person needs, with the samples of the required fields, unless the case says otherwise.
Nothing in it is a 個人番号 or an issued number. What stands for one is filled in by the runner:

    {number:1}  a 個人番号, the same one everywhere in the case; {wrong:1} with another digit
    {member:1}  the first 被保険者枝番 that the case's results told, {member:2} the next
    {insurer:a} 保険者コード of the insurer that the case calls a
    {reception:1} 受付番号 of the case's first file
"""

from __future__ import annotations

import gzip
import re
import tomllib
from collections.abc import Callable
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Literal

import numpy as np
from plain_files import Plain, shipped_format
from pydantic import BaseModel, ConfigDict

from koukan.formats import Format
from koukan.rules.checkdigits import complete
from koukan.samples.scenario import INSURERS

FIXTURES = Path(__file__).parents[2] / "fixtures"
SYNTAXES = {"member_registration": "csv", "member_registration_fixed": "fixed"}
PLACEHOLDER = re.compile(r"\{(number|wrong|member|insurer|reception):(\w+)\}")
NEWLINES = {"crlf": b"\r\n", "lf": b"\n", "cr": b"\r"}
NUMBERS = {insurer.kind: insurer.number for insurer, _ in INSURERS.values()}
OFFICE = {  # what a welfare office says where others name a 保険者番号
    "member_class_code": "4",
    "welfare_office_name": "架空市福祉事務所",
    "public_payer_number": "12131231",
    "recipient_number": "0000018",
}
NATIONAL = "juki_net"  # a kind of sender that is no insurer

Fill = Callable[[str], str]


class Strict(BaseModel):
    """A misspelt key in a case is a mistake."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Person(Strict):
    """Lines of one レコード識別番号; whatever else is given is named after the section."""

    model_config = ConfigDict(frozen=True, extra="allow")

    process: str = "1"
    number: str = "{number:1}"
    member: str = ""
    insurer: str = "a"
    record_number: str = ""  # else persons are counted
    lines: tuple[str | dict[str, str], ...] = ("basic", "qualification", "certificate")
    all: dict[str, str] = {}  # in every line
    times: int = 1  # so many persons; {number:1} then is another one for each

    def given(self, section: str) -> dict[str, str]:
        found = (self.model_extra or {}).get(section, {})
        assert isinstance(found, dict)
        return found


class Edit(Strict):
    """Bytes of one line replaced, or put at its end where nothing is to be found."""

    line: int  # from 1; below 0 from the end
    find: str = ""
    put: str = ""
    put_hex: str = ""


class File(Strict):
    """One file, good unless something spoils it; it is taken in by a run of its own."""

    sender: str = "a"
    person: tuple[Person, ...] = ()
    format: str = ""
    sequence: int = 0  # else the sender's next one
    name: str = ""
    door: str = ""
    together: bool = False  # by the same run as the file before
    control: dict[str, str] = {}
    end: dict[str, str] = {}
    drop: tuple[int, ...] = ()  # lines
    edit: tuple[Edit, ...] = ()
    newline: Literal["crlf", "lf", "cr"] = "crlf"
    encoding: str = "cp932"
    tail_hex: str = ""  # behind everything
    cut: int = 0  # bytes that are missing at the end
    gzip: bool = False
    empty: bool = False
    same_as: int = 0  # the bytes of an earlier file, from 1


class Sender(Strict):
    """Who may speak for which of the case's insurers; it has every door that they may use."""

    insurers: tuple[str, ...] = ()
    system: str = ""


class Case(Strict):
    """All of a case; `name` is its folder's."""

    name: str
    format: str
    title: str
    title_en: str
    shows: tuple[str, ...] = ()  # variants of events, see test_golden
    insurers: dict[str, str] = {"a": "health_society"}  # letter -> kind
    senders: dict[str, Sender] = {"a": Sender(insurers=("a",))}
    file: tuple[File, ...]

    @property
    def folder(self) -> Path:
        return FIXTURES / self.format / self.name

    @property
    def expected(self) -> Path:
        return self.folder / "expected.txt"

    def sender(self, letter: str) -> str:
        """The name of a sender, which nobody else's case has."""
        return f"{self.prefix}-{letter}"

    @cached_property
    def prefix(self) -> str:
        return ("f-" if SYNTAXES[self.format] == "fixed" else "") + self.name

    def my_number(self, label: str, times: int = 0) -> str:
        """A number of nobody with the right check digit, drawn from the label."""
        drawn = sha256(f"{self.prefix} {label} {times or ''}".encode()).digest()
        body = int.from_bytes(drawn[:8], "big") % 10**11
        return f"{complete('my_number', np.array([body])).item():012d}"

    @cached_property
    def waves(self) -> list[list[int]]:
        """Positions of files by the run that takes them in."""
        found: list[list[int]] = []
        for place, file in enumerate(self.file):
            if file.together and found:
                found[-1].append(place)
            else:
                found.append([place])
        return found


def load(folder: Path) -> Case:
    values = tomllib.loads((folder / "case.toml").read_text(encoding="utf-8"))
    return Case.model_validate({**values, "name": folder.name, "format": folder.parent.name})


def cases() -> list[Case]:
    return [load(path.parent) for path in sorted(FIXTURES.glob("*/*/case.toml"))]


def file_name(case: Case, place: int) -> str:
    """As the format has it, counted for each sender and format."""
    file = case.file[place]
    if file.name:
        return file.name.replace("{sender}", case.sender(file.sender))
    form = _form(case, file)
    prefix, _, rest = form.file.example.partition("_")
    return f"{prefix}_{case.sender(file.sender)}_{_sequence(case, place):06d}{Path(rest).suffix}"


def _form(case: Case, file: File) -> Format:
    return shipped_format(SYNTAXES[file.format or case.format])


def _sequence(case: Case, place: int) -> int:
    """The number given, or one more than the sender's file before it."""
    file = case.file[place]
    if file.sequence:
        return file.sequence
    earlier = [
        number
        for number, other in enumerate(case.file[:place])
        if (other.sender, other.format) == (file.sender, file.format) and not other.same_as
    ]
    return _sequence(case, earlier[-1]) + 1 if earlier else 1


def content(case: Case, place: int, fill: Fill) -> bytes:
    """The bytes of a file of the case."""
    file = case.file[place]
    if file.same_as:
        return content(case, file.same_as - 1, fill)
    if file.empty:
        return b""
    form = _form(case, file)
    control = {
        "sender": case.sender(file.sender),
        "file_sequence": f"{_sequence(case, place):06d}",
        **{name: fill(value) for name, value in file.control.items()},
    }
    lines = Plain(form, tuple(_lines(case, file, form, fill)), control, file.end).all_lines()
    for edit in file.edit:
        at = edit.line - 1 if edit.line > 0 else edit.line
        lines[at] = _edited(lines[at], edit, form, fill)
    kept = [line for number, line in enumerate(lines, 1) if number not in file.drop]
    whole = b"".join(line + NEWLINES[file.newline] for line in kept)
    if file.encoding != form.file.encoding:
        whole = whole.decode(form.file.encoding).encode(file.encoding)
    whole = whole[: len(whole) - file.cut] + bytes.fromhex(file.tail_hex)
    return gzip.compress(whole, mtime=0) if file.gzip else whole


def _edited(line: bytes, edit: Edit, form: Format, fill: Fill) -> bytes:
    put = bytes.fromhex(edit.put_hex) or fill(edit.put).encode(form.file.encoding)
    if not edit.find:
        return line + put
    find = fill(edit.find).encode(form.file.encoding)
    assert find in line, f"{edit.find} does not stand in line {edit.line}"
    return line.replace(find, put, 1)


def _lines(case: Case, file: File, form: Format, fill: Fill) -> list[tuple[str, dict[str, str]]]:
    found = []
    count = 0
    for person in file.person:
        for _ in range(person.times):
            count += 1
            own = case.my_number(f"of many {count}") if person.times > 1 else fill(person.number)
            common = {
                "record_number": person.record_number or f"{count:010d}",
                "process_type_code": person.process,
                "insurer_code": fill(f"{{insurer:{person.insurer}}}"),
                "member_id": fill(person.member),
                "my_number": own,
            }
            for line in person.lines:
                values = {"section": line} if isinstance(line, str) else dict(line)
                section = values.pop("section")
                kind = case.insurers[person.insurer]
                said = {**person.all, **person.given(section), **values}
                good = _sample(form, section, kind)
                filled = {name: fill(value) for name, value in said.items()}
                assert not set(filled) - set(good), set(filled) - set(good)
                found.append((section, {**good, **common, **filled}))
    return found


def _sample(form: Format, section: str, kind: str) -> dict[str, str]:
    """What is required of a line of this section, and the numbers of the insurer."""
    record = form.section(section)
    good = {item.name: item.sample if item.required else "" for item in form.fields(record)}
    good["record_type_code"] = record.code
    if kind == "welfare":
        good |= {name: value for name, value in OFFICE.items() if name in good}
    elif section in ("qualification", "certificate"):
        good["insurer_number"] = NUMBERS.get(kind, "")
    return good
