"""An independent tiny reader and judge: Python's csv module, dictionaries, nothing columnar."""

from __future__ import annotations

import csv
import io
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
import pytest

from koukan.formats.load import require_catalogue
from koukan.formats.model import Catalogue, Format
from koukan.rules.checks import rules_of
from koukan.shipped import formats_folder

Row = dict[str, str]


@dataclass
class Content:
    """A read file: values by field name, sections by record."""

    control: Row
    end: Row
    rows: list[tuple[str, Row]] = field(default_factory=list)  # section, values


def _values(line: bytes, names: list[str], slots: list[int] | None) -> Row:
    if slots is None:
        parts = next(csv.reader(io.StringIO(line.decode("cp932")), quoting=csv.QUOTE_NONE))
    else:
        assert len(line) == sum(slots)
        parts, position = [], 0
        for slot in slots:
            parts.append(line[position : position + slot].decode("cp932").rstrip(" "))
            position += slot
    return dict(zip(names, parts, strict=True))


def read_content(content: bytes, form: Format) -> Content:
    lines = content.split(b"\r\n")
    assert lines.pop() == b""
    fixed = form.file.syntax == "fixed"
    head = 10 if fixed else 11

    def parse(line: bytes, fields: tuple) -> Row:  # type: ignore[type-arg]
        slots = [item.slot for item in fields] if fixed else None
        return _values(line, [item.name for item in fields], slots)

    found = Content(parse(lines[0], form.control), parse(lines[-1], form.end))
    for line in lines[1:-1]:
        record = form.record(line[head : head + 2].decode())
        found.rows.append((record.section, parse(line, form.fields(record))))
    return found


@dataclass
class Judged:
    received: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    duplicate: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)  # persons by code


class Judge:
    """What becomes of a file's lines, said again in plain Python."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self.members: dict[tuple[str, str], str] = {}  # insurer, number -> member id

    def single(self, form: Format, rows: list[tuple[str, Row]]) -> list[set[str]]:
        """Codes of each line by itself."""
        codes: list[set[str]] = [set() for _ in rows]
        for record in form.records:
            at = [place for place, (section, _) in enumerate(rows) if section == record.section]
            names = [item.name for item in form.fields(record)]
            data = {name: [rows[place][1][name] or None for place in at] for name in names}
            frame = pl.DataFrame(data, schema=dict.fromkeys(names, pl.String))
            for rule in rules_of(form, record, self.catalogue.codes):
                for row in frame.select(rule.fails.alias("x"))["x"].arg_true():
                    codes[at[row]].add(rule.code)
        return codes

    def judge(self, form: Format, rows: list[tuple[str, Row]]) -> Judged:
        single, judged = self.single(form, rows), Judged()
        persons: dict[str, list[int]] = defaultdict(list)
        for place, (_, row) in enumerate(rows):
            persons[row["record_number"]].append(place)
        for places in persons.values():
            codes = set().union(*(single[place] for place in places))
            lines = [rows[place] for place in places]
            repeated = 0
            by_key: dict[tuple[str, ...], list[tuple[str, ...]]] = defaultdict(list)
            for section, row in lines:
                key = form.section(section).key
                identity = (section, row["insurer_code"], row["my_number"])
                by_key[(*identity, *(row[name] for name in key))].append(tuple(row.values()))
            if any(len(set(same)) > 1 for same in by_key.values()):
                codes.add("R301")
            repeated = sum(len(same) - 1 for same in by_key.values() if len(set(same)) == 1)
            if len({(row["insurer_code"], row["my_number"]) for _, row in lines}) > 1:
                codes.add("R303")
            found = {section for section, _ in lines}
            if not {item.section for item in form.records if item.required} <= found:
                codes.add("R304")
            offices = {
                row.get("public_payer_number")
                for section, row in lines
                if section == "qualification"
            }
            kind = "welfare" if any(offices) else "health_society"
            if any(kind not in (form.section(name).kinds or [kind]) for name in found):
                codes.add("R222")
            if len({row["process_type_code"] for _, row in lines}) > 1:
                codes.add("R305")
            if not codes:
                codes |= self._history(lines[0][1])
            insurer = lines[0][1]["insurer_code"]
            judged.received[insurer] += len(lines)
            judged.codes.update(codes | ({"D301"} if repeated else set()))
            if any(code.startswith("R") for code in codes):
                judged.rejected[insurer] += len(lines)
            else:
                judged.duplicate[insurer] += repeated
        return judged

    def _history(self, row: Row) -> set[str]:  # noqa: PLR0911 - one for each code
        own = self.members.get((row["insurer_code"], row["my_number"]))
        if not row["my_number"]:  # nobody here waited for a number before
            return {"W402"} if row["process_type_code"] == "1" else {"R405"}
        owners = {
            member: number
            for (insurer, number), member in self.members.items()
            if insurer == row["insurer_code"]
        }
        if row["process_type_code"] == "1":
            return {"W401"} if own else set()
        if not row["member_id"]:
            return set() if own else {"R403"}
        if row["member_id"] not in owners:
            return {"R401"}
        if owners[row["member_id"]] != row["my_number"]:
            return {"R402"}
        if row["new_insurer_code"] == row["insurer_code"]:
            return {"R407"}
        taken = {number for _, number in self.members}
        return {"R404"} if row["new_my_number"] in taken else set()


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    return require_catalogue(formats_folder())


@pytest.fixture(scope="session", params=["member_registration", "member_registration_fixed"])
def form(request: pytest.FixtureRequest, catalogue: Catalogue) -> Format:
    return catalogue.formats[request.param]


@pytest.fixture(scope="session")
def csv_form(catalogue: Catalogue) -> Format:
    return catalogue.formats["member_registration"]


@pytest.fixture(scope="session")
def read() -> Callable[[bytes, Format], Content]:
    return read_content


@pytest.fixture
def judge(catalogue: Catalogue) -> Judge:
    return Judge(catalogue)


@pytest.fixture(scope="session")
def answer() -> Callable[[Path], dict[tuple[str, str], str]]:
    """Takes every file from the inboxes and lays result files; returns the member ids it gave."""

    def take(root: Path) -> dict[tuple[str, str], str]:
        members: dict[tuple[str, str], str] = {}
        for number, path in enumerate(sorted((root / "exchange").glob("*/inbox/*/*"))):
            form = require_catalogue(formats_folder()).formats[
                "member_registration" if path.suffix == ".csv" else "member_registration_fixed"
            ]
            rows = [f"00,{number:010d},{path.name},20260401013000"]
            for line, (_, row) in enumerate(read_content(path.read_bytes(), form).rows):
                identity = (row["insurer_code"], row["my_number"])
                member = members.setdefault(identity, f"{7_000_000_000 + len(members):010d}")
                rows.append(f"21,{line + 2},{row['record_number']},1,{member},,,,")
            rows.append(f"21,{len(rows) + 1},0000000001,2,,R201,個人番号,説明,対処")
            rows.append(f"99,{len(rows) - 1:08d}")
            outbox = path.parents[2] / "outbox"
            outbox.mkdir(exist_ok=True)
            result = outbox / f"RR_{path.stem}_{number:010d}.csv"
            result.write_bytes(("\r\n".join(rows) + "\r\n").encode("cp932"))
            path.unlink()
        return members

    return take
