"""`koukan explain`: what a code means and what to do."""

from __future__ import annotations

import click

from koukan import words
from koukan.cli import output, shape
from koukan.cli.settings import Settings
from koukan.errors import Exit, UsageError


@shape.command("explain", root=True, json=True)
@click.argument("code", nargs=-1, required=True)
def explain(settings: Settings, code: tuple[str, ...]) -> int:
    """A code of rejects.toml, or an exit code; `exit` alone is all of those."""
    wanted = [one.upper() for one in code if one.lower() != "exit"]
    if not wanted:
        wanted = [str(int(one)) for one in Exit]
    found = [_exit(settings, one) if one.isdecimal() else _reason(settings, one) for one in wanted]
    if settings.json:
        output.document("explain", {"codes": found})
        return Exit.DONE
    for item in found:
        output.show(f"{item['code']}  {item['title']}", f"  {item['text']}", f"  {item['action']}")
    return Exit.DONE


def _exit(settings: Settings, code: str) -> dict[str, str]:
    key, known = f"exit.{code}", ", ".join(str(int(one)) for one in Exit)
    if key not in words.catalogue():
        raise UsageError("cli.no_code", code=code, known=known)
    return {
        "code": code,
        "title": settings.text("cli.exit_title", exit=code),
        "text": settings.text(key),
        "action": words.next_step(key, settings.language),
    }


def _reason(settings: Settings, code: str) -> dict[str, str]:
    from koukan.cli.render import meaning

    reasons = settings.catalogue().reasons
    if code not in reasons:
        raise UsageError("cli.no_code", code=code, known=", ".join(sorted(reasons)))
    return {"code": code, **meaning(settings, reasons[code])}


COMMANDS = {"explain": explain}
