"""Small centres made by hand for tests: real keys, a real ledger, files of invented persons."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from koukan.engine.centre import Centre, format_folders, open_centre
from koukan.engine.initialise import initialise
from koukan.engine.run import Ran, run_job
from koukan.formats import require_catalogue
from koukan.ledger import Ledger
from koukan.samples.bulk import write_bulk
from koukan.samples.scenario import INSURERS, SCENARIO, site_toml
from koukan.tables.table import DataFile

DAY = datetime(2026, 4, 1, 1, 0, tzinfo=UTC)
LIMITS = "\n[limits]\nsettle_seconds = 0.0\n"
JOB = "register_members"


@dataclass
class Place:
    """A centre's root and key, opened as often as a test likes; `now` is its clock."""

    root: Path
    key: Path
    now: datetime = DAY

    def initialised(self, *, buckets: int = 4) -> Place:
        self.root.mkdir(parents=True, exist_ok=True)
        self.write_site(f"buckets = {buckets}\n{site_toml()}{LIMITS}")
        initialise(self.root, self.key)
        return self

    def write_site(self, text: str) -> None:
        (self.root / "site.toml").write_text(text, encoding="utf-8")

    @contextmanager
    def opened(self) -> Iterator[Centre]:
        centre = open_centre(self.root, self.key, clock=lambda: self.now)
        try:
            yield centre
        finally:
            centre.close()

    def run(self, job: str = JOB) -> Ran:
        with self.opened() as centre:
            return run_job(centre, job)

    def inbox(self, sender: str) -> Path:
        return self.root / "exchange" / sender / "inbox" / SCENARIO.sender(sender).door

    def outbox(self, sender: str) -> Path:
        return self.root / "exchange" / sender / "outbox"


def lay(
    place: Place,
    sender: str,
    sequence: int,
    *,
    persons: int,
    first_person: int = 0,
    bad_persons: int = 0,
    insurer: str | None = None,
    codes: Sequence[str] | None = None,
) -> Path:
    """A file of newly registered persons in the sender's inbox."""
    form = require_catalogue(*format_folders(None)).formats[SCENARIO.sender(sender).format]
    written = write_bulk(
        place.inbox(sender),
        form,
        seed=7,
        insurer=INSURERS[insurer or sender][0],
        persons=persons,
        sender=sender,
        as_of=date(2026, 4, 1),
        sequence=sequence,
        first_person=first_person,
        bad_persons=bad_persons,
        codes=codes,
    )
    return place.inbox(sender) / written.file.name


def vouch(centre: Centre, table: str, files: Sequence[DataFile], group: int = 99) -> None:
    """Let the ledger know data files that a test has written by hand."""
    named = [
        {
            "name": table,
            "path": file.path,
            "partition": "{}",
            "rows": file.rows,
            "size": file.size,
            "sha256": file.sha256,
        }
        for file in files
    ]
    with centre.ledger.begin() as transaction:
        Ledger.put_group_files(transaction, group, named)
