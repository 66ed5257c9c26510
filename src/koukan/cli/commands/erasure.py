"""`koukan erase` and `koukan erasure`: what is due, what went, and a certificate of it."""

from __future__ import annotations

import hashlib
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from koukan.cli import output, shape
from koukan.cli.commands.history import DAY, FORM
from koukan.cli.progress import progress
from koukan.cli.settings import Settings
from koukan.errors import Exit, IntegrityError, UsageError

if TYPE_CHECKING:
    from koukan.engine.centre import Centre
    from koukan.reports.erasures import Erasure

NUMBERS = (1, 3)  # columns aligned to the right


@shape.command("erase", site=True, json=True)
@click.option("--due", "due", is_flag=True, required=True)
@click.option("--plan", "plan_only", is_flag=True)
def erase(settings: Settings, *, due: bool, plan_only: bool) -> int:
    """Erase everything whose time has come; with --plan only say what that is."""
    assert due
    with progress(settings) as observe, settings.centre(observe) as centre:
        from koukan.engine.erasing import erase_due, plan

        if plan_only:
            return _plan(settings, centre)
        waiting, before = len(plan(centre)), len(centre.ledger.erasures())
        ran = erase_due(centre)
        made, left = len(centre.ledger.erasures()) - before, len(plan(centre))
        code = max([Exit.DONE, *(item.exit for item in ran)])
    if settings.json:
        output.document("erase", {"due": waiting, "records": made, "left": left}, code)
    else:
        output.show(settings.text("cli.erased_due", count=waiting, total=made))
        if made:
            output.suggest(settings, "koukan erasure list")
    return code


def _plan(settings: Settings, centre: Centre) -> int:
    from koukan.engine.erasing import plan
    from koukan.reports.source import local

    found = plan(centre)
    if settings.json:
        rows = [{**vars(item), "since": local(item.since)} for item in found]
        output.document("erase_plan", {"due": rows})
    elif not found:
        output.show(settings.text("cli.nothing_to_erase"))
    else:
        heads = _heads(settings, "what", "number", "whose", "rows", "since")
        rows_ = [
            [
                settings.text(f"reports.erasure.{item.what}"),
                item.number,
                item.whose,
                item.rows,
                local(item.since),
            ]
            for item in found
        ]
        output.show(output.table(heads, rows_, numbers=NUMBERS))
        output.suggest(settings, "koukan erase --due")
    return Exit.DONE


@shape.command("list", site=True, json=True)
@click.option("--since", type=DAY, metavar=FORM)
@click.option("--until", type=DAY, metavar=FORM)
@click.option("--reception", type=click.IntRange(min=1), metavar="N")
def list_(
    settings: Settings, *, since: datetime | None, until: datetime | None, reception: int | None
) -> int:
    """The signed records of what was erased."""
    with settings.centre() as centre:
        found = _found(centre, since, until, reception)
    if settings.json:
        output.document("erasure_list", {"erasures": [vars(item) for item in found]})
    elif not found:
        output.show(settings.text("cli.no_erasures"))
    else:
        heads = _heads(settings, "what", "number", "whose", "rows", "erased_at", "signature")
        rows = [
            [
                settings.text(f"reports.erasure.{item.what}"),
                item.number,
                item.whose,
                item.rows,
                item.erased_at,
                settings.text(f"reports.erasure.{'good' if item.good else 'bad'}"),
            ]
            for item in found
        ]
        output.show(output.table(heads, rows, numbers=NUMBERS))
    if any(not item.good for item in found):
        raise IntegrityError("cli.erasure_forged")
    return Exit.DONE


@shape.command("certificate", site=True, json=True)
@click.option("--since", type=DAY, metavar=FORM)
@click.option("--until", type=DAY, metavar=FORM)
@click.option("--reception", type=click.IntRange(min=1), metavar="N")
@click.option("--output", "file", required=True, type=click.Path(path_type=Path), metavar="FILE")
def certificate(
    settings: Settings,
    *,
    since: datetime | None,
    until: datetime | None,
    reception: int | None,
    file: Path,
) -> int:
    """A signed page to print and hand over: what was erased, and how to check it."""
    from koukan import durable
    from koukan.reports import certificate as page
    from koukan.sites.schedule import day_of

    signed = file.with_name(f"{file.name}.sig")
    if not file.parent.is_dir() or file.exists() or signed.exists():
        raise UsageError("cli.certificate_place", file=file.name)
    with settings.centre() as centre:
        found = _found(centre, since, until, reception)
        if not found:
            raise UsageError("cli.certificate_empty")
        if any(not item.good for item in found):
            raise IntegrityError("cli.erasure_forged")
        content = page.certificate(
            found,
            issued=day_of(centre.clock()).isoformat(),
            actor=centre.site.actor,
            key=str(centre.signer.ssh),
            file=file.name,
            language=settings.language,
        )
        with centre.log.operation("certificate", records=len(found)):
            signature = centre.signer.sign_digest(hashlib.sha512(content).digest(), page.NAMESPACE)
            durable.write(signed, signature)
            durable.write(file, content)
    if settings.json:
        names = {"file": file.name, "signature": signed.name}
        output.document("erasure_certificate", {**names, "records": len(found)})
    else:
        output.show(settings.text("cli.certificate_made", file=file.name, count=len(found)))
    return Exit.DONE


def _found(
    centre: Centre, since: datetime | None, until: datetime | None, reception: int | None
) -> list[Erasure]:
    from koukan.reports.erasures import erasures

    first, last = _day(since), _day(until)
    public = centre.signer.public
    return erasures(centre, public, since=first, until=last, reception=reception)


def _day(moment: datetime | None) -> date | None:
    return None if moment is None else moment.date()


def _heads(settings: Settings, *names: str) -> list[str]:
    return [settings.text(f"reports.erasure.head.{name}") for name in names]


erasure = shape.family("erasure", list_, certificate, site=True)

COMMANDS = {"erase": erase, "erasure": erasure}
