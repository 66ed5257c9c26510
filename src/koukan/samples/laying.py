"""Laying files as senders do, and reading what the earlier night came to."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl

from koukan.durable import publish
from koukan.errors import UsageError
from koukan.formats.model import Format
from koukan.samples.draws import Ints
from koukan.samples.expected import Counts, ExpectedFile, Outcome
from koukan.samples.population import PERSON, Population
from koukan.samples.registration import Frames, SampleInsurer, joined, registration_frames
from koukan.samples.scenario import SCENARIO, SampleSender
from koukan.samples.shares import shared_out
from koukan.samples.writing import PART, file_name, write_file

EARLIER_DAY, NIGHT_DAY = date(2026, 4, 1), date(2026, 4, 2)
ROOM = 12  # persons that the smallest part of a night must have


@dataclass
class Night:
    """What the steps of one night have in common; `files` grows with each laid file."""

    root: Path
    population: Population
    formats: Mapping[str, Format]
    day: date
    next_person: int
    files: list[ExpectedFile] = field(default_factory=list)

    def take(self, count: int) -> Ints:
        """Persons whom no file has named before."""
        self.next_person += count
        return np.arange(self.next_person - count, self.next_person, dtype=np.int64)

    def form(self, sender: SampleSender) -> Format:
        return self.formats[sender.format]

    def frames(
        self, sender: SampleSender, insurer: SampleInsurer, persons: Ints, first: int = 1
    ) -> Frames:
        """New registrations without a fault."""
        return registration_frames(
            self.form(sender),
            self.population.select(persons),
            insurer=insurer,
            as_of=self.day,
            first_record_number=first,
        )

    def rendered(
        self,
        sender: SampleSender,
        sequence: int,
        frames: Frames,
        *,
        control: Mapping[str, str] | None = None,
    ) -> tuple[str, bytes]:
        """Name and bytes of a whole file."""
        content = io.BytesIO()
        written = write_file(
            content,
            self.form(sender),
            frames,
            sender=sender.name,
            sequence=sequence,
            creation_date=self.day,
            control=control,
        )
        return written.name, content.getvalue()

    def inbox(self, sender: SampleSender) -> Path:
        folder = self.root / "exchange" / sender.name / "inbox" / sender.door
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return folder

    def lay(self, sender: SampleSender, name: str, content: bytes) -> None:
        """Write under a name that nobody takes, then give it the final one."""
        final = self.inbox(sender) / name
        part = final if name.endswith(PART) else final.with_name(name + PART)
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(content)
        if part != final:
            publish(part, final, length=len(content), replace=True)

    def expect(
        self,
        sender: SampleSender,
        name: str,
        outcome: Outcome,
        code: str | None = None,
        *,
        counts: Mapping[str, Counts] | None = None,
        faults: Mapping[str, int] | None = None,
    ) -> None:
        place = (sender.name, sender.door, name, sender.format)
        self.files.append(ExpectedFile(*place, outcome, code, counts or {}, faults or {}))


def earlier_persons(persons: int) -> dict[str, Ints]:
    """保険者コード -> the persons whom it registers in the earlier night.

    Raises:
        UsageError: too few persons for eleven insurers.
    """
    sizes = shared_out(persons, SCENARIO.weights)
    if sizes is None or min(sizes) < ROOM:
        raise UsageError("samples.too_small", code="R404")
    bounds = np.cumsum([0, *sizes])
    return {
        insurer.code: np.arange(bounds[place], bounds[place + 1], dtype=np.int64)
        for place, insurer in enumerate(SCENARIO.insurers)
    }


def earlier_file(
    night: Night, sender: SampleSender, persons: Mapping[str, Ints]
) -> tuple[str, bytes]:
    """A sender's file of the earlier night; the same bytes whenever it is made."""
    first, parts = 1, []
    for code in sender.insurers:
        parts.append(night.frames(sender, SCENARIO.insurer(code), persons[code], first))
        first += len(persons[code])
    return night.rendered(sender, 1, joined(parts))


def registered(
    root: Path, formats: Mapping[str, Format], persons: Mapping[str, Ints], population: Population
) -> dict[str, pl.DataFrame]:
    """Who has a member id after the earlier night, by its result files.

    Returns:
        保険者コード -> person, my_number, member_id.

    Raises:
        UsageError: a result file is missing.
    """
    found = {}
    for sender in SCENARIO.good_senders():
        stem = Path(file_name(formats[sender.format], sender.name, 1)).stem
        results = sorted((root / "exchange" / sender.name / "outbox").glob(f"RR_{stem}_*.csv"))
        if not results:
            raise UsageError("samples.no_results", sender=sender.name, file=f"RR_{stem}")
        members = _member_ids(results[-1], formats["registration_result"])
        everybody = np.concatenate([persons[code] for code in sender.insurers])
        named = everybody[members["record_number"].to_numpy() - 1]
        members = members.select(pl.Series(PERSON, named), "member_id")
        for code in sender.insurers:
            own = members.filter(pl.Series(np.isin(named, persons[code])))
            numbers = population.numbers(own[PERSON].to_numpy())
            found[code] = own.with_columns(my_number=numbers)
    return found


def results_of(
    root: Path, formats: Mapping[str, Format], sender: SampleSender, sequence: int
) -> list[tuple[int, str]]:
    """Record number and member id of everybody whom a sender's file registered.

    Raises:
        UsageError: its result file is missing.
    """
    stem = Path(file_name(formats[sender.format], sender.name, sequence)).stem
    results = sorted((root / "exchange" / sender.name / "outbox").glob(f"RR_{stem}_*.csv"))
    if not results:
        raise UsageError("samples.no_results", sender=sender.name, file=f"RR_{stem}")
    members = _member_ids(results[-1], formats["registration_result"])
    return [(int(number), str(member)) for number, member in members.iter_rows()]


def _member_ids(path: Path, form: Format) -> pl.DataFrame:
    """record_number, member_id of the accepted lines of a result file."""
    record = form.section("line_result")
    names = [item.name for item in form.fields(record)]
    content = path.read_bytes().decode(form.file.encoding)
    lines = pl.Series("line", content.split(form.file.line_end.decode())).to_frame()
    parts = pl.col("line").str.splitn(",", len(names))
    return (
        lines.filter(pl.col("line").str.starts_with(f"{record.code},"))
        .select(parts.struct.rename_fields(names))
        .unnest("line")
        .filter(pl.col("processing_result_class") == "1")
        .select(pl.col("record_number").cast(pl.Int64), "member_id")
        .unique()
        .sort("record_number")
    )
