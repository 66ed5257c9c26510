"""`koukan release` and `koukan refuse`: what a person decides about a held reception."""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping

import click

from koukan.cli import output, shape
from koukan.cli.settings import Settings
from koukan.errors import Exit

RECEPTION = click.argument("reception", type=click.IntRange(min=1))
REASON = click.option("--reason", required=True, metavar="TEXT")
OPERATOR = click.option("--operator", metavar="NAME")


@shape.command("release", site=True, json=True)
@RECEPTION
@REASON
@OPERATOR
def release(settings: Settings, reception: int, reason: str, operator: str | None) -> int:
    """Let it in."""
    with settings.centre() as centre:
        from koukan.engine import operate

        name = operator or who(settings.environment)
        found = operate.release(centre, reception, reason, name)
        return _told(settings, "release", "cli.released", reception, f"koukan run {found.job}")


@shape.command("refuse", site=True, json=True)
@RECEPTION
@REASON
@OPERATOR
def refuse(settings: Settings, reception: int, reason: str, operator: str | None) -> int:
    """Keep it out."""
    with settings.centre() as centre:
        from koukan.engine import operate

        operate.refuse(centre, reception, reason, operator or who(settings.environment))
        return _told(settings, "refuse", "cli.refused", reception, f"koukan show {reception}")


def who(environment: Mapping[str, str]) -> str:
    """The person at the keyboard, as far as the operating system tells. A name, not a proof."""
    given = environment.get("KOUKAN_OPERATOR") or environment.get("SUDO_USER")
    return given or pwd.getpwuid(os.getuid()).pw_name


def _told(settings: Settings, name: str, key: str, number: int, following: str) -> int:
    if settings.json:
        output.document(name, {"reception": number})
        return Exit.DONE
    output.show(settings.text(key, reception=number))
    output.suggest(settings, following)
    return Exit.DONE


COMMANDS = {"release": release, "refuse": refuse}
