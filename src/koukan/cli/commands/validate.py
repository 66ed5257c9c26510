"""`koukan validate`: the offline checker, with the same codes and words as the centre."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from koukan.cli import output, process, render, shape
from koukan.cli.settings import Settings
from koukan.errors import Exit, UsageError

if TYPE_CHECKING:
    from koukan.engine.offline import Finding, Report
    from koukan.formats import Catalogue


@shape.command("validate", root=True, json=True)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--format", "format_name", metavar="NAME")
@click.option("--limit", type=click.IntRange(min=0), default=50, metavar="N")
@click.option("--report", "workbook", type=click.Path(path_type=Path), metavar="FILE.xlsx")
def validate(
    settings: Settings, file: Path, format_name: str | None, limit: int, workbook: Path | None
) -> int:
    """Check a file as the centre would, as far as that goes without the centre."""
    if not file.is_file():
        raise UsageError("offline.no_file", file=file.name)
    with process.private_spill():
        catalogue = settings.catalogue()
        from koukan.engine.offline import check_file
        from koukan.engine.offline_report import targets_of, write_offline

        targets = None if workbook is None else targets_of(workbook, file)
        report = check_file(file, catalogue, format_name, language=settings.language)
        if targets is not None:
            refusal = _refusal(settings, catalogue, report)
            write_offline(targets, file, report, refusal, settings.language)
    wrong = report.code or report.counts["rejected"]
    code = Exit.REJECTS if wrong else Exit.DONE
    shown = [_told(item) for item in report.findings[:limit]]
    if settings.json:
        content = _content(settings, catalogue, report, shown)
        content["report"] = [path.name for path in targets] if targets else None
        output.document("validate", content, code)
    else:
        _print(settings, catalogue, file, report, shown)
        if targets is not None:
            names = {"file": targets.workbook.name, "path": targets.listing.name}
            output.say(settings.text("cli.report_written", **names))
    return code


def _refusal(settings: Settings, catalogue: Catalogue, report: Report) -> str | None:
    """Why the whole file would be refused, on one line."""
    if not report.code:
        return None
    told = render.meaning(settings, catalogue.reasons[report.code], report.line)
    return f"{report.code} {told['title']}: {told['text']}"


def _content(
    settings: Settings, catalogue: Catalogue, report: Report, shown: list[dict[str, Any]]
) -> dict[str, Any]:
    refusal = None
    if report.code:
        told = render.meaning(settings, catalogue.reasons[report.code], report.line)
        refusal = {"code": report.code, "line": report.line or None, **told}
    return {
        "format": report.form,
        "lines": report.rows,
        "counts": report.counts,
        "refusal": refusal,
        "findings_total": len(report.findings),
        "findings": shown,
    }


def _told(item: Finding) -> dict[str, Any]:
    """A finding; it names places, never values."""
    return {
        "line": item.line,
        "record_number": item.record_number,
        "section": item.section,
        "field": item.label,
        "name": item.field,
        "code": item.code,
        "why": item.text,
        "action": item.action,
    }


def _print(
    settings: Settings,
    catalogue: Catalogue,
    file: Path,
    report: Report,
    shown: list[dict[str, Any]],
) -> None:
    form = render.format_name(catalogue, report.form or "")
    where = {"file": file.name, "format": form, "count": f"{report.rows:,}"}
    if report.code:
        told = render.meaning(settings, catalogue.reasons[report.code], report.line)
        output.show(settings.text("cli.file_refused", file=file.name))
        output.show(f"{report.code}  {told['title']}", f"  {told['text']}", f"  {told['action']}")
    elif report.findings:
        total = f"{len(report.findings):,}"
        output.show(settings.text("cli.file_rejects", total=total, **where))
    else:
        output.show(settings.text("cli.file_good", **where))
    lines, numbers = settings.text("reports.line"), settings.text("reports.record_number")
    gap = "" if settings.language == "ja" else " "
    for item in shown:
        line, number = f"{lines} {item['line']}", f"{numbers} {item['record_number']}"
        output.show(f"{item['code']}  {line}  {number}  {item['field']}")
        output.show(f"  {item['why']}{gap}{item['action']}")
    more = len(report.findings) - len(shown)
    if more:
        output.show(settings.text("cli.more", count=f"{more:,}"))
    output.tell(settings.text("cli.offline"))


COMMANDS = {"validate": validate}
