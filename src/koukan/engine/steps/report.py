"""report: 誤り一覧 for every registration file that had rejected lines, from its sealed result.

In a job of its own, behind the night: nobody's registration waits for it. Both files are made in
the private folder for what is temporary, proved against the ledger, laid out, and then known to it.
Killed anywhere, the same files are made again; once the result's retention is over, none are.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import polars as pl

from koukan.engine.centre import Centre
from koukan.engine.receipts import outbound_name, shown_time
from koukan.engine.results import BLOCK, told_of
from koukan.engine.seen import Seen
from koukan.engine.steps.erase import due
from koukan.errors import LedgerUnbalanced, SecretError
from koukan.flows import registration
from koukan.flows.results import ERROR_LISTING, ERROR_REPORT
from koukan.ledger import Ledger, Reception
from koukan.ledger.outboxes import unreported
from koukan.reports.errors import Reported, write_report
from koukan.reports.workbook import COUNTS, About
from koukan.rules.causes import errors_in
from koukan.sites import Job

LANGUAGE = "ja"  # clerks' files are Japanese


class Laid(NamedTuple):
    """A reception's report as it was laid out: (kind, name, SHA-256); nothing when it is over."""

    reception: int
    files: tuple[tuple[str, str, str], ...]
    errors: int


def run(centre: Centre, job: Job) -> None:
    """Lay out the reports that no sender has got yet."""
    waiting = unreported(centre.ledger, registration.FORMATS, ERROR_REPORT)
    if not waiting:
        return
    with centre.log.operation("report", job=job.name) as operation:
        lay_out(centre, waiting)
        operation.note(files=len(waiting))


def lay_out(centre: Centre, receptions: list[int]) -> None:
    """Make reports, lay them out, let the ledger know them."""
    for done, laid in enumerate(centre.workers.map(lay, receptions), 1):
        reception = centre.ledger.reception(laid.reception)
        with centre.ledger.begin() as transaction:
            for kind, name, digest in laid.files:
                Ledger.put_laid_out(
                    transaction,
                    {
                        "reception": reception.number,
                        "kind": kind,
                        "sender": reception.sender,
                        "name": name,
                        "sha256": digest,
                        "lines": laid.errors,
                    },
                )
        centre.observe("reported", step="report", done=done, total=len(receptions))


def lay(centre: Centre, number: int) -> Laid:
    """Task: make one report and lay it out."""
    reception = centre.ledger.reception(number)
    folder = centre.folder("temporary")
    names = {kind: outbound_name(kind, reception) for kind in (ERROR_REPORT, ERROR_LISTING)}
    paths = {
        kind: folder / f"report-{number:010d}{Path(name).suffix}" for kind, name in names.items()
    }
    try:
        reported = write(centre, reception, paths[ERROR_REPORT], paths[ERROR_LISTING])
        if reported is None:
            return Laid(number, (), 0)
        files = []
        for kind, path in paths.items():
            with path.open("rb") as file:
                digest = Seen(iter(lambda: file.read(BLOCK), b""))
                for _ in digest:
                    pass
            with path.open("rb") as file:
                blocks = iter(lambda: file.read(BLOCK), b"")
                centre.outbox(reception.sender).stream(names[kind], blocks, digest.sha256)
            centre.observe("report laid out", step="report")
            files.append((kind, names[kind], digest.sha256))
    finally:
        for path in paths.values():
            path.unlink(missing_ok=True)
    return Laid(number, tuple(files), reported.errors)


def write(centre: Centre, reception: Reception, workbook: Path, listing: Path) -> Reported | None:
    """Both files of a reception, or None when its result is being erased.

    Raises:
        SealBroken: the sealed result was altered.
        IntegrityError: it is not the one that was committed.
        LedgerUnbalanced: it rejects other lines than the ledger counts.
    """
    counts = centre.ledger.counts(reception.number)
    sums = {name: sum(getattr(item, name) for item in counts) for name in COUNTS}
    try:
        found = write_report(
            workbook, listing, about(reception, sums), errors_of(centre, reception), LANGUAGE
        )
    except SecretError as error:
        if error.key != "keys.key_absent" or not due(centre, reception):
            raise
        return None
    if found.lines != sums["rejected"]:
        raise LedgerUnbalanced("engine.report_lines", reception=reception.number)
    return found


def about(reception: Reception, counts: dict[str, int]) -> About:
    stem = Path(outbound_name(ERROR_REPORT, reception)).stem
    facts = (
        ("reports.errors.reception", f"{reception.number:010d}"),
        ("reports.errors.file", reception.file_name),
        ("reports.errors.received_at", shown_time(reception.received_at)),
    )
    return About(stem, facts, counts)


def errors_of(centre: Centre, reception: Reception) -> Iterator[pl.DataFrame]:
    """The errors that a reception's sealed result tells of, block by block.

    Raises IntegrityError behind the last one when the result is another.
    """
    return told_of(centre, reception, errors_in)
