"""What is wrong with a definition, as a sentence's key and the place that it is about.

Nothing here is a sentence: those stand in the word catalogue under `definitions.`, in Japanese and
in English, each with what to do next.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

FIRST = 3  # problems whose places an error names
NAMES = ("name", "section", "function", "code")  # by which an entry of a list is called
# pydantic's kinds of findings: the sentence, and which of its numbers or texts the sentence shows.
KINDS = {
    "missing": ("definitions.missing", None),
    "extra_forbidden": ("definitions.extra", None),
    "literal_error": ("definitions.choice", "expected"),
    "string_pattern_mismatch": ("definitions.pattern", "pattern"),
    "string_type": ("definitions.text", None),
    "string_too_short": ("definitions.too_short", "min_length"),
    "string_too_long": ("definitions.too_long", "max_length"),
    "greater_than": ("definitions.above", "gt"),
    "greater_than_equal": ("definitions.at_least", "ge"),
    "less_than_equal": ("definitions.at_most", "le"),
    "int_type": ("definitions.whole_number", None),
    "int_parsing": ("definitions.whole_number", None),
    "int_from_float": ("definitions.whole_number", None),
    "float_type": ("definitions.number", None),
    "float_parsing": ("definitions.number", None),
    "bool_type": ("definitions.truth", None),
    "bool_parsing": ("definitions.truth", None),
    "date_type": ("definitions.day", None),
    "tuple_type": ("definitions.list", None),
    "dict_type": ("definitions.table", None),
    "model_type": ("definitions.table", None),
}


class Mistake(ValueError):
    """A definition says what it may not; pydantic hands it on with its place.

    Args:
        key: entry of the word catalogue.
        where: names from `koukan.errors.WHERE`; names and numbers, never a key that was pasted.
    """

    def __init__(self, key: str, /, **where: object) -> None:
        super().__init__(key)
        self.key = key
        self.where = {name: str(value) for name, value in where.items()}


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    Args:
        file: where to mend it, e.g. "formats/rights.toml".
        place: in the file, e.g. "records[basic].own[address].type"; empty for all of it.
        key: of the word catalogue.
        where: for its placeholders.
    """

    file: str
    place: str
    key: str
    where: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def at(self) -> str:
        return f"{self.file} {self.place}".rstrip()


def problem(file: str, place: str, key: str, /, **where: object) -> Problem:
    return Problem(file, place, key, {name: str(value) for name, value in where.items()})


def places(problems: Sequence[Problem]) -> str:
    """Where the first few are: the language of an error's sentence is not known here."""
    return "; ".join(dict.fromkeys(item.at for item in problems[:FIRST]))


def listed(names: Sequence[str] | set[str] | frozenset[str]) -> str:
    """Names in one line; sets in their order."""
    return ", ".join(names if isinstance(names, Sequence) else sorted(names))


def found_by_pydantic(
    file: str, place: str, error: ValidationError, values: object
) -> list[Problem]:
    """Its findings, one problem each.

    Args:
        place: of the table in its file.
        values: the table, whose entries give lists' places their names.
    """
    return [
        _problem(file, _joined(place, place_of(item["loc"], values)), item)
        for item in error.errors(include_url=False, include_input=False)
    ]


def _problem(file: str, place: str, item: ErrorDetails) -> Problem:
    context: dict[str, Any] = item.get("ctx", {})
    mistake = context.get("error")
    if isinstance(mistake, Mistake):
        return Problem(file, place, mistake.key, mistake.where)
    key, shown = KINDS.get(item["type"], ("definitions.wrong", None))
    if shown is None:
        return Problem(file, place, key)
    known = str(context[shown])
    if shown == "expected":  # "'csv' or 'fixed'"
        known = listed(re.findall("'([^']*)'", known))
    return problem(file, place, key, known=known)


def place_of(loc: Sequence[str | int], values: object) -> str:
    """pydantic's place with entries of lists called by their name, or counted from 1."""
    place, node = "", values
    for part in loc:
        if isinstance(part, int):
            entries = node if isinstance(node, list) else []
            node = entries[part] if part < len(entries) else None
            place += f"[{_name(node) or part + 1}]"
        else:
            node = node.get(part) if isinstance(node, dict) else None
            place = _joined(place, part)
    return place


def _name(node: object) -> str:
    named = node if isinstance(node, dict) else {}
    return next((named[key] for key in NAMES if isinstance(named.get(key), str)), "")


def _joined(place: str, part: str) -> str:
    return ".".join(one for one in (place, part) if one)
