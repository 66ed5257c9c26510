"""`koukan check`: every problem of the definitions."""

from __future__ import annotations

from koukan.cli import output, shape
from koukan.cli.settings import Settings
from koukan.errors import Exit


@shape.command("check", root=True, json=True)
def check(settings: Settings) -> int:
    """Read all definitions; with a root its site.toml and its own ones, too."""
    from koukan.engine.centre import definition_problems

    problems = definition_problems(settings.root)
    code = Exit.CONFIGURATION if problems else Exit.DONE
    if settings.json:
        output.document("check", {"problems": problems}, code)
    elif problems:
        output.show(*problems)
        output.tell(settings.text("cli.problems", count=len(problems)))
    else:
        output.show(settings.text("cli.definitions_good"))
    return code


COMMANDS = {"check": check}
