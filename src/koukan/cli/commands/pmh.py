"""`koukan pmh status`: what PMH asked and was given, in numbers; nobody is named."""

from __future__ import annotations

from koukan.cli import shape
from koukan.cli.commands.served import Shown, answers
from koukan.cli.settings import Settings

SHOWN = Shown(
    document="pmh_status",
    nothing="pmh.nothing",
    headings=("pmh.head.reception", "pmh.head.rows", "pmh.head.given", "pmh.head.state"),
    why=("pmh.head.code", "pmh.head.why", "pmh.head.rows"),
    states={
        "built": "pmh.state.built",
        "laid_out": "pmh.state.laid_out",
        "delivered": "pmh.state.delivered",
        "expired": "pmh.state.expired",
    },
)


@shape.command("status", site=True, json=True)
def status(settings: Settings) -> int:
    """Each request with what was given, and why nothing was, over all of them."""
    from koukan.ledger.served import PMH

    return answers(settings, PMH, SHOWN)


pmh = shape.family("pmh", status)

COMMANDS = {"pmh": pmh}
