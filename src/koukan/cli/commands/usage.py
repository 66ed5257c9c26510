"""`koukan usage`: 資格確認実績ログ at the centre, in numbers; `join` is for welfare offices."""

from __future__ import annotations

from pathlib import Path

import click

from koukan.cli import looks, output, process, shape
from koukan.cli.commands.decide import OPERATOR, REASON, RECEPTION, who
from koukan.cli.settings import Settings
from koukan.errors import Exit, UsageError

PATH = click.Path(path_type=Path)
STATES = ("built", "laid_out", "delivered", "expired", "superseded")
HEADS = ("reception", "version", "rows", "packaged", "held", "rejected", "packages")
HELD_HEADS = ("reception", "rows", "payers", "since", "until")


@shape.command("status", root=True, json=True)
def status(settings: Settings) -> int:
    """Each log with its lines and packages, in numbers."""
    with settings.desk() as desk:
        from koukan.reports.usage import usage

        page = usage(desk)
    if settings.json:
        output.document("usage_status", page)
        return Exit.DONE
    if not page["logs"]:
        output.show(settings.text("usage.nothing"))
        return Exit.DONE
    body = [
        [
            *(one[name] for name in HEADS[:-1]),
            ", ".join(
                f"{settings.text(f'usage.state.{state}')} {one['packages'][state]}"
                for state in STATES
                if state in one["packages"]
            ),
        ]
        for one in page["logs"]
    ]
    heads = [settings.text(f"usage.head.{name}") for name in HEADS]
    output.show(output.table(heads, body, numbers=range(6)))
    if page["held"]:
        output.suggest(settings, "koukan usage held")
    return Exit.DONE


@shape.command("held", site=True, json=True)
@click.option("--payers", "reception", type=click.IntRange(min=1), metavar="RECEPTION")
@looks.options
def held(settings: Settings, *, reception: int | None, **signing: Path | None) -> int:
    """Lines that no office is known for; with --payers their 公費負担者番号, by a signature."""
    signed = looks.Signing(**signing)
    if reception is None:
        if signed.given:
            raise UsageError("usage.payers_alone")
        return _held(settings)
    with settings.centre() as centre:
        from koukan.engine.held_usage import payers

        if not looks.allowed(settings, centre, "review", {"usage": reception}, signed):
            return Exit.DONE
        found = [{"payer": payer, "rows": rows} for payer, rows in payers(centre, reception)]
    if settings.json:
        output.document("usage_payers", {"payers": found})
        return Exit.DONE
    heads = [settings.text(f"usage.head.{name}") for name in ("payer", "rows")]
    output.show(output.table(heads, [[one["payer"], one["rows"]] for one in found], numbers=[1]))
    return Exit.DONE


def _held(settings: Settings) -> int:
    with settings.desk() as desk:
        from koukan.reports.usage import held as waiting

        found = waiting(desk)
    if settings.json:
        output.document("usage_held", {"held": found})
    elif found:
        heads = [settings.text(f"usage.head.{name}") for name in HELD_HEADS]
        body = [[one[name] for name in HELD_HEADS] for one in found]
        output.show(output.table(heads, body, numbers=[0, 1, 2]), settings.text("usage.held_how"))
    else:
        output.show(settings.text("usage.nothing_waits"))
    return Exit.DONE


@shape.command("release", site=True, json=True)
@RECEPTION
@REASON
@OPERATOR
def release(settings: Settings, reception: int, reason: str, operator: str | None) -> int:
    """Let held lines go whose offices the site knows by now."""
    with settings.centre() as centre:
        from koukan.engine import held_usage

        name = operator or who(settings.environment)
        found = held_usage.release(centre, reception, reason, name)
        job = centre.ledger.reception(reception).job
    if settings.json:
        output.document("usage_release", {"reception": reception, **found._asdict()})
        return Exit.DONE
    output.show(settings.text("cli.usage_released", count=found.going, waiting=found.staying))
    output.suggest(settings, f"koukan run {job}")
    return Exit.DONE


@shape.command("refuse", site=True, json=True)
@RECEPTION
@REASON
@OPERATOR
def refuse(settings: Settings, reception: int, reason: str, operator: str | None) -> int:
    """Destroy held lines now."""
    with settings.centre() as centre:
        from koukan.engine import held_usage

        name = operator or who(settings.environment)
        rows = held_usage.refuse(centre, reception, reason, name)
    if settings.json:
        output.document("usage_refuse", {"reception": reception, "rows": rows})
    else:
        output.show(settings.text("cli.usage_refused", count=rows))
    return Exit.DONE


@shape.command("join", root=True, json=True)
@click.argument("extracts", type=PATH, nargs=-1, required=True, metavar="FILE|DIR…")
@click.option("--tickets", type=PATH, multiple=True, required=True, metavar="FILE")
@click.option("--into", type=PATH, required=True, metavar="DIR")
def join(
    settings: Settings, *, extracts: tuple[Path, ...], tickets: tuple[Path, ...], into: Path
) -> int:
    """An office's lines with its own 医療券: no site, no network."""
    with process.private_spill():
        catalogue = settings.catalogue()
        from koukan.engine import office

        labels = {}
        for term in catalogue.terms:
            labels[term.name] = term.label
        for name in ("match_class", "visit_days"):
            labels[name] = settings.text(f"usage.column.{name}")
        found = office.join(extracts, tickets, into, catalogue, labels)
    if settings.json:
        output.document("usage_join", {**found._asdict(), "into": str(into)})
        return Exit.DONE
    output.show(
        settings.text("cli.usage_joined", path=into.name, count=found.lines),
        settings.text("cli.usage_joined_tickets", count=found.with_ticket),
    )
    if found.outdated:
        output.show(settings.text("cli.usage_joined_outdated", count=found.outdated))
    return Exit.DONE


usage = shape.family("usage", status, held, release, refuse, join)

COMMANDS = {"usage": usage}
