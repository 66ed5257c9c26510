"""Life courses on a real site: statements become files, result files become answers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import polars as pl
from centres import DAY, JOB, LIMITS, Place
from life_acts import SENDERS
from slow_registry import File, Statement, Told

from koukan.engine.centre import Centre, format_folders
from koukan.engine.initialise import initialise
from koukan.formats import Catalogue, require_catalogue
from koukan.formats.model import Format, Record
from koukan.ledger import Reception
from koukan.samples.scenario import INSURERS, SCENARIO, SampleSender, Scenario, site_toml
from koukan.samples.writing import write_file

NAMES = tuple(dict.fromkeys(name for names in SENDERS.values() for name in names))
CODES = {name: INSURERS[name][0].code for name in NAMES}
KINDS = {INSURERS[name][0].code: INSURERS[name][0].kind for name in NAMES}
SPEAKS_FOR = {sender: tuple(CODES[name] for name in names) for sender, names in SENDERS.items()}
NOBODYS = "0000000001"  # a 被保険者枝番 that is nobody's
ACCEPTED, REJECTED, DUPLICATE = "1", "2", "3"  # 処理結果区分
Row = dict[str, str | None]


def scenario() -> Scenario:
    """The samples' insurers and senders, and one sender more who speaks for three."""
    known = {sender.name: sender for sender in SCENARIO.senders}
    union = SampleSender("kenpo-union", "架空健康保険連合", ("server_link",), ())
    senders = [known.get(name, union) for name in SENDERS]
    return Scenario(
        insurers=tuple(INSURERS[name][0] for name in NAMES),
        weights=(1.0,) * len(NAMES),
        senders=tuple(
            SampleSender(one.name, one.title, one.doors, SPEAKS_FOR[one.name], one.format)
            for one in senders
        ),
    )


class Line(NamedTuple):
    """What a result file says of a line."""

    fate: str
    member: str | None
    codes: frozenset[str]


@dataclass
class Site:
    """A centre in a folder, and what its senders remember of it."""

    place: Place
    scenario: Scenario = field(default_factory=scenario)
    catalogue: Catalogue = field(default_factory=lambda: require_catalogue(*format_folders(None)))
    members: dict[int, str] = field(default_factory=dict)  # serial -> 被保険者枝番 answered
    sequences: dict[str, int] = field(default_factory=dict)
    laid: dict[str, File] = field(default_factory=dict)  # by name
    again: set[str] = field(default_factory=set)  # names under which known bytes came once more
    contents: dict[str, bytes] = field(default_factory=dict)
    nights: int = 0

    @classmethod
    def new(cls, folder: Path) -> Site:
        site = cls(Place(folder / "root", folder / "keys" / "batch.key"))
        site.place.root.mkdir(parents=True)
        site.place.write_site(f"buckets = 2\n{site_toml(site.scenario)}{LIMITS}")
        initialise(site.place.root, site.place.key)
        return site

    @contextmanager
    def opened(self) -> Iterator[Centre]:
        with self.place.opened() as centre:
            yield centre

    def night_falls(self) -> str:
        """The next night begins; its name."""
        self.place.now = DAY.replace(hour=12) + timedelta(days=self.nights)
        self.nights += 1
        return self.place.now.strftime("%Y-%m-%d")

    # --- what senders do

    def form(self, sender: str) -> Format:
        return self.catalogue.formats[self.scenario.sender(sender).format]

    def inbox(self, sender: str) -> Path:
        return self.place.root / "exchange" / sender / "inbox" / self.scenario.sender(sender).door

    def lay(self, file: File) -> Path:
        """The file in its sender's inbox, under the next number."""
        sequence = self.sequences.get(file.sender, 0) + 1
        self.sequences[file.sender] = sequence
        form = self.form(file.sender)
        written = write_file(
            self.inbox(file.sender),
            form,
            self.frames(form, file),
            sender=file.sender,
            sequence=sequence,
            creation_date=self.place.now.date(),
        )
        self.laid[written.name] = file
        path = self.inbox(file.sender) / written.name
        self.contents[written.name] = path.read_bytes()
        return path

    def lay_again(self, name: str, *, renamed: bool) -> None:
        """The same bytes once more, under the same name or one that stands far off."""
        sender = self.laid[name].sender
        other = re.sub("[0-9]{6}", f"{900_000 + len(self.again):06d}", name) if renamed else name
        self.again.add(other)
        (self.inbox(sender) / other).write_bytes(self.contents[name])

    def frames(self, form: Format, file: File) -> dict[str, pl.DataFrame]:
        rows: dict[str, list[Row]] = {record.section: [] for record in form.records}
        number = 0
        for statement in file.statements:
            for _ in range(2 if statement.repeated else 1):
                number += 1
                for section, row in self.lines(form, statement, number):
                    rows[section].append(row)
        return {
            record.section: pl.DataFrame(
                rows[record.section],
                schema=dict.fromkeys((item.name for item in form.fields(record)), pl.String),
            )
            for record in form.records
        }

    def lines(self, form: Format, statement: Statement, number: int) -> Iterator[tuple[str, Row]]:
        """A person's lines, section by section, with every field of the format."""
        common = self.common(statement, number)
        told = iter(statement.told)
        tickets = iter(statement.tickets)
        for section in statement.sections:
            record = form.section(section)
            own: Row = {}
            if section == "basic":
                own = {
                    "death_flag": "1" if statement.dead else "0",
                    "member_class_code": statement.member_class,
                }
            elif section == "qualification":
                own = qualification(next(told), statement.insurer)
            elif section == "certificate":
                begin = text(statement.told[0].begin)
                own = {"issue_date": begin, "valid_from_date": begin, "valid_to_date": None}
                own["certificate_class"] = "07" if KINDS[statement.insurer] == "welfare" else "06"
            else:
                month = next(tickets)
                own = {"ticket_number": f"{statement.serial:06d}{month}", "treatment_month": month}
                own |= {"start_date": f"{month}01", "end_date": f"{month}28"}
            yield section, filled(form, record, {**common, **own})

    def common(self, statement: Statement, number: int) -> Row:
        return {
            "record_number": f"{number:010d}",
            "process_type_code": str(statement.process),
            "insurer_code": statement.insurer,
            "member_id": self.member(statement.member),
            "my_number": statement.number,
            "new_my_number": statement.new_number,
            "access_group_code": "A0000001",
            "new_member_id": self.member(statement.new_member),
            "new_insurer_code": statement.new_insurer,
        }

    def member(self, serial: int | None) -> str | None:
        """What a sender writes who means the answer to a statement."""
        return None if serial is None else self.members.get(serial, NOBODYS)

    # --- what the centre does

    def run(self, job: str = JOB) -> list[Reception]:
        """Take in what lies there; the accepted files in the order in which they count."""
        with self.opened() as centre:
            before = centre.ledger.newest()
        self.place.run(job)
        with self.opened() as centre:
            found = [one for one in centre.ledger.receptions() if one.number > before]
        return sorted(found, key=lambda one: one.number)

    def answers(self, reception: Reception) -> dict[int, Line]:
        """A result file by line number; remembers whom it names."""
        (path,) = (self.place.root / "exchange" / reception.sender / "outbox").glob(
            f"RR_*_{reception.number:010d}.csv"
        )
        found: dict[int, Line] = {}
        for line in path.read_bytes().decode("cp932").splitlines():
            parts = line.split(",")
            if parts[0] == "21":
                number, fate, member, code = int(parts[1]), parts[3], parts[4], parts[5]
                codes = found[number].codes if number in found else frozenset()
                found[number] = Line(fate, member or None, codes | ({code} - {""}))
        return found


def filled(form: Format, record: Record, given: Mapping[str, str | None]) -> Row:
    """A row with a sample for whatever the format asks for and nobody gives."""
    row: Row = {}
    for item in form.fields(record):
        default = item.sample if item.required else None
        row[item.name] = given.get(item.name, default)
    row["record_type_code"] = record.code
    return row


def qualification(told: Told, insurer: str) -> Row:
    sample = next(one for one, _ in INSURERS.values() if one.code == insurer)
    own: Row = {
        "qualification_date": text(told.begin),
        "disqualification_date": None if told.end is None else text(told.end),
        "loss_reason": told.reason,
    }
    if sample.welfare:
        return own | {"public_payer_number": sample.number, "recipient_number": "0000018"}
    return own | {"insurer_number": sample.number}


def text(day: object) -> str:
    return f"{day:%Y%m%d}"
