"""`koukan check`: every problem of the definitions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from koukan import words
from koukan.cli import output, shape
from koukan.cli.settings import Settings
from koukan.errors import Exit

if TYPE_CHECKING:
    from koukan.formats import Problem


@shape.command("check", root=True, json=True)
def check(settings: Settings) -> int:
    """Read all definitions; with a root its site.toml and its own ones, too."""
    from koukan.engine.definitions import definition_problems

    problems = definition_problems(settings.root)
    code = Exit.CONFIGURATION if problems else Exit.DONE
    told = [_told(item, settings) for item in problems]
    if settings.json:
        sentences = [
            f"{item.at}: {said['sentence']}" for item, said in zip(problems, told, strict=True)
        ]
        output.document("check", {"problems": sentences, "details": told}, code)
    elif problems:
        for item, said in zip(problems, told, strict=True):
            output.show(item.at, f"  {said['sentence']}", f"  → {said['next']}")
        output.tell(settings.text("cli.definitions_wrong", count=len(problems)))
    else:
        output.show(settings.text("cli.definitions_good"))
    return code


def _told(item: Problem, settings: Settings) -> dict[str, str]:
    return {
        "file": item.file,
        "place": item.place,
        "key": item.key,
        "sentence": settings.text(item.key, **item.where),
        "next": words.next_step(item.key, settings.language, **item.where),
    }


COMMANDS = {"check": check}
