"""What people read, as data: one catalogue of sentences, Japanese and English side by side.

The entries stand in `*.toml` beside this file, one file for each area, e.g.

    ["seal.broken"]
    ja = "封印されたファイルを開けません（{path}）。"
    ja_next = "運用責任者に連絡してください。"
    en = "A sealed file does not open ({path})."
    en_next = "Inform the person in charge."

The first sentence says what happened, `…_next` what to do; labels have none. `en_one` is what
English says of a `count` of one.
Placeholders are names of `koukan.errors.WHERE` (in errors) or of `SHOWN` (in reports).
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from unicodedata import category

LANGUAGES = ("ja", "en")
# What a report's phrase may be given beside WHERE: numbers and times, never a field's value.
SHOWN = frozenset(
    "count total age seconds night since at exit asked answered ambiguous unanswered expired built "
    "delivered erased sent waiting reason received accepted rejected corrected original".split()
)
_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")


@cache
def catalogue() -> Mapping[str, Mapping[str, str]]:
    """Every entry by its key."""
    found: dict[str, dict[str, str]] = {}
    for file in sorted(resources.files(__name__).iterdir(), key=lambda item: item.name):
        if file.name.endswith(".toml"):
            found |= tomllib.loads(file.read_text(encoding="utf-8"))
    return found


def choose(*wishes: str | None) -> str:
    """The first wish that is a language of ours, else Japanese."""
    return next((wish for wish in wishes if wish in LANGUAGES), LANGUAGES[0])


def sentence(key: str, language: str, /, **where: object) -> str:
    """What happened, or a label; in the singular where a language has one and `count` is 1.

    Raises:
        KeyError: there is no such entry (a bug of ours).
    """
    entry = catalogue()[key]
    text = entry.get(f"{language}_one") if str(where.get("count")) == "1" else None
    return filled(text or entry[language], where)


def next_step(key: str, language: str, /, **where: object) -> str:
    """What to do next; empty where an entry says nothing about it."""
    return filled(catalogue()[key].get(f"{language}_next", ""), where)


def placeholders(text: str) -> frozenset[str]:
    """Names of the placeholders of a text."""
    return frozenset(_PLACEHOLDER.findall(text))


def filled(text: str, where: Mapping[str, object]) -> str:
    """The text with its placeholders filled; one that nobody gave becomes `?`."""
    return _PLACEHOLDER.sub(lambda found: harmless(str(where.get(found[1], "?"))), text)


def harmless(text: str) -> str:
    """The text without what a terminal would obey: names of files come from strangers."""
    return "".join(
        letter if letter.isprintable() or category(letter) == "Zs" else "\N{REPLACEMENT CHARACTER}"
        for letter in text
    )
