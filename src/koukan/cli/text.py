"""Lines for a screen on which a full-width letter takes two columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from koukan.cli.settings import Settings

WIDTH = 80  # where output is no terminal, and of help
NO_LINE_ENDS_WITH = "（「『【(["
NO_LINE_BEGINS_WITH = "、。，．）」』】：；！？・ー,.)"


def wrap(text: str, width: int) -> list[str]:
    """Lines of at most `width` columns, all with the indent of the first.

    Between full-width letters a line may break anywhere; words of ASCII stay whole.
    """
    bare = text.lstrip(" ")
    indent = " " * (len(text) - len(bare))
    lines, line = [], ""
    for piece in _pieces(bare):
        if line and _columns(indent + (line + piece).rstrip(" ")) > width:
            lines.append(line)
            line = ""
        line += piece if line else piece.lstrip(" ")
    return [indent + one.rstrip(" ") for one in (*lines, line)]


def _pieces(text: str) -> Iterator[str]:
    """What must stay together: a word, or a full-width letter with the marks around it."""
    piece = ""
    for letter in text:
        last = piece[-1:]
        sticks = letter in NO_LINE_BEGINS_WITH or last in (*NO_LINE_ENDS_WITH,)
        sticks |= bool(last) and last.isascii() and last != " " and letter.isascii()
        if piece and not sticks:
            yield piece
            piece = ""
        piece += letter
    yield piece


def packed(items: Iterable[str], indent: str = "") -> Iterator[str]:
    """Items beside each other, two spaces apart, in lines of 80 columns; none is broken."""
    line = ""
    for item in items:
        if line and _columns(f"{indent}{line}  {item}") > WIDTH:
            yield indent + line
            line = ""
        line += f"  {item}" if line else item
    if line:
        yield indent + line


def _columns(text: str) -> int:
    from rich.cells import cell_len

    return cell_len(text)


def age(settings: Settings, seconds: int) -> str:
    """How long ago, in the largest unit that fits."""
    for unit, size in (("days", 86_400), ("hours", 3_600)):
        if seconds >= size:
            return settings.text(f"reports.{unit}", count=seconds // size)
    return settings.text("reports.minutes", count=seconds // 60)
