"""`koukan trace`."""

from __future__ import annotations

import click

from koukan.cli import output, render, render_trace, shape
from koukan.cli.settings import Settings
from koukan.errors import Exit


@shape.command("trace", site=True, json=True)
@click.argument("reception", type=click.IntRange(min=1))
@click.argument("line", type=click.IntRange(min=1))
def trace(settings: Settings, reception: int, line: int) -> int:
    """One line, from its file to everything that it reached."""
    with settings.centre() as centre:
        from koukan.engine.trace import trace as follow

        found = follow(centre, reception, line)
        if found["code"]:
            reason = centre.catalogue.reasons[found["code"]]
            found["why"] = render.meaning(settings, reason, found["code_line"] or 0)
        if settings.json:
            output.document("trace", found)
            return Exit.DONE
        output.show(*render_trace.trace(settings, centre.catalogue, found))
        looks = centre.keyring.holds("history")
    person = found["person"]
    if found["first"]:  # the same bytes, so the same line
        output.suggest(settings, f"koukan trace {found['first']} {line}")
    elif person and looks:
        output.suggest(settings, f"koukan history {person['insurer']} {person['member_id']}")
    return Exit.DONE


COMMANDS = {"trace": trace}
