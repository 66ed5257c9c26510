"""`koukan disclosure status`: what NWS asked for persons and was told, in numbers."""

from __future__ import annotations

from koukan.cli import shape
from koukan.cli.commands.served import Shown, answers
from koukan.cli.settings import Settings

SHOWN = Shown(
    document="disclosure_status",
    nothing="disclosure.nothing",
    headings=(
        "disclosure.head.reception",
        "disclosure.head.rows",
        "disclosure.head.given",
        "disclosure.head.records",
        "disclosure.head.state",
    ),
    why=("disclosure.head.code", "disclosure.head.why", "disclosure.head.rows"),
    states={
        "built": "disclosure.state.built",
        "laid_out": "disclosure.state.laid_out",
        "delivered": "disclosure.state.delivered",
        "expired": "disclosure.state.expired",
    },
    fresh="records",
)


@shape.command("status", site=True, json=True)
def status(settings: Settings) -> int:
    """Each file of requests with what was told and recorded, and why nothing was, over all."""
    from koukan.ledger.served import DISCLOSURE

    return answers(settings, DISCLOSURE, SHOWN)


COMMANDS = {"disclosure": shape.family("disclosure", status)}
