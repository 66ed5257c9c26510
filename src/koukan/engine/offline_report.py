"""誤り一覧 of the offline checker: the same files and words as the centre's, before sending."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import polars as pl

from koukan import durable
from koukan.engine.offline import Report
from koukan.errors import UsageError
from koukan.exchange.folder import safe_name
from koukan.reports.errors import Reported, write_report
from koukan.reports.workbook import About

PART = 50_000  # errors that are worked on at a time
WORKBOOK, LISTING = ".xlsx", ".zip"


class Targets(NamedTuple):
    """The two files of a report; they differ in their ends only."""

    workbook: Path
    listing: Path


def targets_of(workbook: Path, file: Path) -> Targets:
    """Where the report of a file may be written.

    Raises:
        UsageError: the name does not end in .xlsx, there is no such folder, or a file would be
            overwritten that is no earlier report.
    """
    listing = workbook.with_suffix(LISTING)
    if workbook.suffix != WORKBOOK:
        raise UsageError("offline.report_name", path=safe_name(workbook.name))
    if not workbook.parent.is_dir():
        raise UsageError("offline.report_nowhere", path=safe_name(workbook.parent.name))
    strange = [path for path in (workbook, listing) if path.exists() and path.samefile(file)]
    if listing.exists() and not workbook.exists():
        strange.append(listing)
    if strange:
        raise UsageError("offline.report_taken", path=safe_name(strange[0].name))
    return Targets(workbook, listing)


def write_offline(
    targets: Targets, file: Path, report: Report, refusal: str | None, language: str
) -> Reported:
    """Write what was found as 誤り一覧; an earlier one of these names is replaced.

    Args:
        targets: from `targets_of`.
        file: which was checked.
        refusal: why the whole file would be refused, in words.
    """
    facts = [("reports.errors.file", file.name), ("reports.errors.checked", "koukan validate")]
    if refusal is not None:
        facts.append(("reports.errors.refused", refusal))
    about = About(targets.workbook.stem, tuple(facts), report.counts)
    folder = durable.temporary_name(targets.workbook)
    folder.mkdir(mode=0o700)
    try:
        made = Targets(*(folder / path.name for path in targets))
        found = write_report(*made, about, errors_of(report), language)
        for temporary, final in zip(made, targets, strict=True):
            durable.publish(temporary, final, replace=True)
    finally:
        shutil.rmtree(folder)
    return found


def errors_of(report: Report) -> Iterator[pl.DataFrame]:
    """The errors among a file's findings, as the result file of the centre would tell them."""
    for part in report.findings.parts(PART):
        yield part.filter(pl.col("code").str.starts_with("R")).select(
            pl.col("line").alias("line_number").cast(pl.Int64),
            "record_number",
            field_label="label",
            processing_result_code="code",
            processing_result_text="text",
            action_text="action",
        )
