"""`koukan rerun`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from koukan.cli import output, shape
from koukan.cli.commands.run import report
from koukan.cli.progress import label, progress
from koukan.cli.settings import Settings
from koukan.errors import Exit

if TYPE_CHECKING:
    from koukan.engine.centre import Centre


@shape.command("rerun", site=True, json=True)
@click.argument("reception", type=click.IntRange(min=1))
@click.option("--plan", is_flag=True)
def rerun(settings: Settings, reception: int, plan: bool) -> int:
    """Go on with one reception, or only say how."""
    with progress(settings) as observe, settings.centre(observe) as centre:
        if plan:
            return show_plan(settings, centre, reception)
        from koukan.engine import operate

        ran = operate.rerun(centre, reception)
        return report(settings, centre, "rerun", [ran], Exit.DONE)


def show_plan(settings: Settings, centre: Centre, reception: int) -> int:
    """What a rerun would do, from the function that the rerun itself asks."""
    from koukan.engine import operate

    found = operate.plan_rerun(centre, reception)
    reason = settings.text(found.reason)
    if settings.json:
        content = {"reception": found.reception, "steps": found.steps, "reason": reason}
        output.document("plan", content)
        return Exit.DONE
    output.show(reason)
    output.show(settings.text("cli.plan", reception=reception))
    output.show(
        *(f"  {place}. {label(settings, step)}" for place, step in enumerate(found.steps, 1))
    )
    output.suggest(settings, f"koukan rerun {reception}")
    return Exit.DONE


COMMANDS = {"rerun": rerun}
