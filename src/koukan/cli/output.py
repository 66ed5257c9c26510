"""Results go to stdout, talk to stderr; both in the language of the run."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, TextIO

from koukan import words
from koukan.cli.settings import Settings
from koukan.cli.text import WIDTH, wrap
from koukan.errors import Exit, KoukanError

if TYPE_CHECKING:
    from rich.console import Console, RenderableType


def lenient(stream: TextIO) -> None:
    """A character that the terminal's encoding lacks becomes `?`, never an error."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="replace")


def console(stream: TextIO) -> Console:
    """A console on a stream; NO_COLOR and TERM=dumb are heard by rich itself."""
    from rich.console import Console

    width = None if stream.isatty() or "COLUMNS" in os.environ else WIDTH
    return Console(file=stream, width=width, markup=False, highlight=False, emoji=False)


def show(*lines: RenderableType) -> None:
    """Print results on stdout."""
    from rich.text import Text

    target = console(sys.stdout)
    with target.capture() as captured:  # rich by itself would end the process at a closed pipe
        for line in lines:
            if isinstance(line, str):
                for part in wrap(words.harmless(line), target.width):
                    target.print(part, soft_wrap=True)
            else:  # a name that fills a line is not broken, however narrow the screen is
                target.print(line, soft_wrap=isinstance(line, Text))
    raw(captured.get())


def raw(text: str) -> None:
    """Print a text as it is; a reader that has seen enough is no failure."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        _forget_stdout()


def document(name: str, content: Mapping[str, object], code: int = Exit.DONE) -> None:
    """Print the one JSON document of a command."""
    raw(document_text(name, content, code))


def document_text(name: str, content: Mapping[str, object], code: int = Exit.DONE) -> str:
    """A command's document. Fields are only ever added to a schema."""
    whole = {"schema": f"koukan.{name}.v1", "exit": int(code), **content}
    return json.dumps(whole, ensure_ascii=False, indent=2) + "\n"


def _forget_stdout() -> None:
    """Nobody reads any more; the work and its exit code go on."""
    sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - for good


def say(*lines: str) -> None:
    """Talk on stderr."""
    try:
        for line in lines:
            sys.stderr.write(f"{line}\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        return  # stderr is closed: results and exit codes must do


def tell(*sentences: str) -> None:
    """Talk in sentences, as wide as the screen."""
    width = console(sys.stderr).width
    for one in sentences:
        say(*wrap(one, width))


def suggest(settings: Settings, command: str) -> None:
    """Name the command to try next."""
    if not settings.json:
        say(f"{settings.text('cli.next')}: {command}")


def complain(settings: Settings, error: KoukanError) -> None:
    """Tell an error: what, where, what next."""
    told = words.sentence(error.key, settings.language, **error.where)
    following = words.next_step(error.key, settings.language, **error.where)
    if settings.json:
        content = {
            "schema": "koukan.error.v1",
            "exit": int(error.exit_code),
            "key": error.key,
            "retryable": error.retryable,
            "where": error.where,
            "sentence": told,
            "next": following,
        }
        say(json.dumps(content, ensure_ascii=False))
        return
    tell(f"koukan: {settings.text('cli.error')}: {told}")
    if following:
        tell(f"koukan: {following}")


def table(
    headings: Sequence[str], rows: Iterable[Sequence[object]], *, numbers: Sequence[int] = ()
) -> RenderableType:
    """Columns under headings; `numbers` are the places of those aligned to the right."""
    from rich import box
    from rich.table import Table

    found = Table(box=box.SIMPLE, pad_edge=False, show_edge=False)
    for place, heading in enumerate(headings):
        right = place in numbers
        found.add_column(
            heading,
            justify="right" if right else "left",
            overflow="fold",
            no_wrap=right,
        )
    for row in rows:
        found.add_row(*(words.harmless(_cell(value)) for value in row))
    return found


def _cell(value: object) -> str:
    if value is None:
        return ""
    return f"{value:,}" if isinstance(value, int) else str(value)
