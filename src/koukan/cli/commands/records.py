"""`koukan records`: 情報提供等記録 of a person or a period, and who looked; never a code."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from koukan.cli import looks, output, render_history, shape
from koukan.cli.commands.history import DAY, FORM
from koukan.cli.settings import Settings
from koukan.errors import Exit, UsageError

if TYPE_CHECKING:
    from koukan.engine.centre import Centre
    from koukan.reports.provision import Page

KINDS = (".html", ".json", ".csv")  # of files


@shape.command("show", site=True, json=True)
@click.argument("insurer")
@click.argument("member_id")
@click.option("--output", "path", type=looks.FILE, metavar="FILE")
@looks.options
def show(
    settings: Settings, insurer: str, member_id: str, *, path: Path | None, **signing: Path | None
) -> int:
    """One person's records and the looks at the person, for a 開示請求."""
    if path is not None:
        require_kind(path)
        render_history.require_place(path)
    with settings.centre() as centre:
        from koukan import durable
        from koukan.engine import accesses
        from koukan.engine import records as engine
        from koukan.engine.history import Member
        from koukan.engine.looks import require_member
        from koukan.reports.provision import Page

        who = Member(insurer, member_id)
        require_member(centre, who)
        signed = looks.Signing(**signing)
        person = looks.allowed(settings, centre, "record", who._asdict(), signed)
        if person is None:
            return Exit.DONE
        found = engine.of_person(centre, who)
        seen = accesses.of_person(centre, found.members)
        page = Page(who._asdict(), found.rows, seen, found.withheld)
        about = settings.text("cli.records_of_person", insurer=insurer, key=member_id)
        if path is None:
            tell(settings, page, about)
        else:
            with engine.exporting(centre, person, found.rows.height):
                durable.write(path, content(settings, centre, page, about, path))
            written(settings, path, page)
    if found.withheld:
        output.tell(settings.text("cli.records_withheld", count=found.withheld))
    return Exit.DONE


@shape.command("period", site=True)
@click.option("--since", required=True, type=DAY, metavar=FORM)
@click.option("--until", required=True, type=DAY, metavar=FORM)
@looks.options
def period(settings: Settings, since: datetime, until: datetime, **signing: Path | None) -> int:
    """Everybody's records of some days, and the looks at records in them, on screen alone."""
    if settings.json:
        raise UsageError("records.on_screen")
    with settings.centre() as centre:
        subject = span(since, until)
        signed = looks.Signing(**signing)
        if looks.allowed(settings, centre, "record", subject, signed) is None:
            return Exit.DONE
        tell(settings, of_period(centre, since, until), about_period(settings, subject))
    return Exit.DONE


@shape.command("extract", site=True, json=True)
@click.option("--since", required=True, type=DAY, metavar=FORM)
@click.option("--until", required=True, type=DAY, metavar=FORM)
@click.option("--medium", "label", required=True, metavar="LABEL")
@click.option("--reason", required=True, metavar="TEXT")
@click.option("--output", "target", required=True, type=looks.FILE, metavar="FILE")
@click.option("--person-key", "first", required=True, type=looks.FILE, metavar="FILE")
@click.option("--second-key", "second", required=True, type=looks.FILE, metavar="FILE")
def extract(
    settings: Settings, since: datetime, until: datetime, *, first: Path, second: Path, **given: Any
) -> int:
    """The same on to a medium for 個人情報保護委員会, with two persons' signatures."""
    require_kind(given["target"])
    with settings.centre() as centre:
        from koukan.engine import media
        from koukan.flows.disclosure import RECORDS

        copying = media.Copying(given["label"], given["target"], given["reason"], ())
        media.require(centre, copying)
        days = span(since, until)
        subject = {**days, "medium": copying.label, "output": copying.target.name}
        one, two = looks.Signing(first, None, None), looks.Signing(second, None, None)
        permitting = looks.allowed(settings, centre, "administer", subject, one)
        beside = looks.allowed(settings, centre, "record", subject, two)
        signers = [person for person in (permitting, beside) if person is not None]
        media.require_two(signers)
        page = of_period(centre, since, until)
        text = content(settings, centre, page, about_period(settings, days), copying.target)
        with centre.log.operation("extract_records") as operation:
            copied = media.Content(RECORDS, page.records.height, text)
            media.write(centre, copying, signers, copied)
            operation.note(rows=page.records.height)
    written(settings, copying.target, page)
    return Exit.DONE


def span(since: datetime, until: datetime) -> dict[str, str]:
    """The days as they are signed."""
    return {"since": since.strftime("%Y-%m-%d"), "until": until.strftime("%Y-%m-%d")}


def about_period(settings: Settings, days: dict[str, str]) -> str:
    return settings.text("cli.records_of_period", since=days["since"], at=days["until"])


def of_period(centre: Centre, since: datetime, until: datetime) -> Page:
    """The records of a period, with the looks at records in it."""
    from koukan.engine import accesses
    from koukan.engine import records as engine
    from koukan.reports.provision import Page

    days = since.date(), until.date()
    rows, seen = engine.of_period(centre, *days), accesses.of_records(centre, *days)
    return Page(span(since, until), rows, seen)


def require_kind(path: Path) -> None:
    """Raises UsageError for a file that is of none of KINDS."""
    if path.suffix not in KINDS:
        raise UsageError("records.kind", known=" ".join(KINDS))


def content(settings: Settings, centre: Centre, page: Page, about: str, path: Path) -> bytes:
    """The file that a page becomes, by the end of its name."""
    from koukan.reports import provision
    from koukan.sites.schedule import day_of

    if path.suffix == ".json":
        return output.document_text("provision_records", provision.document(page)).encode()
    if path.suffix == ".csv":
        return provision.csv(page, settings.language)
    issued = day_of(centre.clock()).isoformat()
    return provision.html(page, about=about, issued=issued, language=settings.language)


def tell(settings: Settings, page: Page, about: str) -> None:
    """Both parts on screen: a line for each item, or the document."""
    from koukan.reports import provision

    if settings.json:
        output.document("provision_records", provision.document(page))
        return
    output.show(about)
    (heading, labels, records), (below, names, seen) = provision.tables(page, settings.language)
    if not records:
        output.show(settings.text("records.nothing"))
    for place, row in enumerate(records, 1):
        output.show(f"■ {heading} {place}/{len(records)}")
        items = zip(labels, row, strict=True)
        output.show(*(f"  {name}: {value}" for name, value in items if value))
    if seen:
        output.show(f"■ {below}", output.table(names, seen))


def written(settings: Settings, path: Path, page: Page) -> None:
    """That a file was written, and with how much."""
    if settings.json:
        rows = {"file": path.name, "records": page.records.height, "withheld": page.withheld}
        output.document("provision_records_written", rows)
    else:
        output.show(settings.text("cli.records_written", file=path.name, count=page.records.height))


COMMANDS = {"records": shape.family("records", show, period, extract)}
