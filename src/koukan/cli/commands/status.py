"""`koukan status`."""

from __future__ import annotations

from datetime import datetime

import click

from koukan.cli import output, render, shape
from koukan.cli.settings import Settings
from koukan.errors import Exit


@shape.command("status", site=True, json=True)
@click.option("--insurers", is_flag=True)
@click.option("--night", type=click.DateTime(["%Y-%m-%d"]), metavar="YYYY-MM-DD")
def status(settings: Settings, insurers: bool, night: datetime | None) -> int:
    """How things stand. Exit code 0: the page was made; what it says stands in it."""
    with settings.centre() as centre:
        from koukan import reports

        chosen = None if night is None else night.strftime("%Y-%m-%d")
        page = reports.status(centre, night=chosen, insurers=insurers)
        if settings.json:
            output.document("status", page)
            return Exit.DONE
        output.show(*render.status(settings, centre.catalogue, page))
    needs = page["needs_you"]
    if needs["held"]:
        output.suggest(settings, f"koukan show {needs['held'][0]['reception']}")
    elif needs["approvals"]:
        output.suggest(settings, "koukan approval list")
    elif page["waiting"]["due_jobs"] and not needs["failed_jobs"]:
        output.suggest(settings, "koukan tick")  # never as the remedy of a run that failed
    return Exit.DONE


COMMANDS = {"status": status}
