"""`koukan show`."""

from __future__ import annotations

import click

from koukan.cli import output, render, shape
from koukan.cli.settings import Settings
from koukan.errors import Exit

GAP = "H101"


@shape.command("show", site=True, json=True)
@click.argument("reception", type=click.IntRange(min=1))
def show(settings: Settings, reception: int) -> int:
    """One reception."""
    with settings.centre() as centre:
        from koukan import reports

        found = reports.reception(centre, reception)
        if found["code"]:
            reason = centre.catalogue.reasons[found["code"]]
            found["why"] = render.meaning(settings, reason, found["line"] or 0)
        if settings.json:
            output.document("reception", found)
            return Exit.DONE
        output.show(*render.reception(settings, centre.catalogue, found))
    if found["outcome"] == "held":
        if found["code"] == GAP:  # the rule is to wait; both commands are for when it never comes
            output.tell(settings.text("cli.held_gap"))
        for decision in ("release", "refuse"):
            output.suggest(settings, f"koukan {decision} {reception} --reason '…'")
    elif found["outcome"] == "open":
        output.suggest(settings, f"koukan rerun {reception} --plan")
    return Exit.DONE


COMMANDS = {"show": show}
