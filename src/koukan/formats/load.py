"""Read `formats/`: TOML files in, one cross-checked `Catalogue` out.

A site's own folder overrides the shipped one file by file. Every problem is collected; the error
lists them all with the names that would have been known.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from koukan.errors import DefinitionError
from koukan.formats.cross import cross_check
from koukan.formats.items import Items, item_problems
from koukan.formats.model import (
    Catalogue,
    CodeList,
    Format,
    Policy,
    Reason,
    Rights,
    Term,
    Variants,
)
from koukan.formats.problems import Problem, found_by_pydantic, listed, places, problem

M = TypeVar("M", bound=BaseModel)
Contents = tuple[tuple[str, bytes], ...]  # files of definitions: name and bytes, in order of names
AT_LINE = re.compile(r"at line ([0-9]+)")
REGISTERS = ("glossary", "policies", "rejects", "rights", "variants")
POLICIES = "policies.toml"
OPEN = ("reject_share",)  # entries of a policy that nobody needs to say: a format has its own


class Problems(list[Problem]):
    """Findings while reading definitions; one bad file does not hide the next."""

    def add(self, file: str, place: str, key: str, /, **where: object) -> None:
        self.append(problem(file, place, key, **where))

    def read(self, path: Path, file: str) -> dict[str, Any] | None:
        """The file as TOML, or None where it is none; `file` is what problems call it."""
        return self.parse(path.read_bytes(), file)

    def parse(self, content: bytes, file: str) -> dict[str, Any] | None:
        """Likewise, of what was read."""
        try:
            return tomllib.loads(content.decode("utf-8"))
        except UnicodeDecodeError as error:
            line = content[: error.start].count(b"\n") + 1
            self.add(file, "", "definitions.no_utf8", line=line)
        except tomllib.TOMLDecodeError as error:
            told = AT_LINE.search(str(error))  # else it is at the end of the document
            line = int(told[1]) if told else content.count(b"\n") + 1
            self.add(file, "", "definitions.no_toml", line=line)
        return None

    def build(
        self, file: str, model: type[M], values: object, *, place: str = "", **given: str
    ) -> M | None:
        """The model of a table; `given` are its values that stand outside the table.

        None for what is wrong, and for what could not be read, which was told then.
        """
        if values is None:
            return None
        if not isinstance(values, dict):
            self.add(file, place, "definitions.table")
            return None
        if twice := set(values) & set(given):
            self.add(file, place, "definitions.given", key=listed(twice))
            return None
        try:
            return model.model_validate({**values, **given})
        except ValidationError as error:
            self.extend(found_by_pydantic(file, place, error, values))
            return None


def definition_files(folders: Iterable[Path]) -> dict[str, Path]:
    """Stem -> path; later folders win, so a site overrides what koukan ships."""
    found: dict[str, Path] = {}
    for folder in folders:
        if folder.is_dir():
            found |= {str(path.relative_to(folder)): path for path in folder.rglob("*.toml")}
    return found


def merged(raw: dict[str, Any], base: dict[str, Any]) -> dict[str, Any]:
    """`raw` over `base`: tables key by key, everything else replaced."""
    result = dict(base)
    for key, value in raw.items():
        old = result.get(key)
        both = isinstance(value, dict) and isinstance(old, dict)
        result[key] = merged(value, old) if both and isinstance(old, dict) else value
    return result


def load_catalogue(*folders: Path) -> tuple[Catalogue | None, list[Problem]]:
    """Read all definitions; the catalogue is None when anything is wrong."""
    return catalogue_of(_contents(folders))


def _contents(folders: Iterable[Path]) -> Contents:
    files = definition_files(folders)
    return tuple((name, path.read_bytes()) for name, path in sorted(files.items()))


def catalogue_of(contents: Contents) -> tuple[Catalogue | None, list[Problem]]:
    """Likewise, of files that were read; their names are those below formats/."""
    problems = Problems()
    raw = {name: problems.parse(content, at(name)) for name, content in contents}
    formats = _formats(raw, problems)
    codes = {}
    for name, values in raw.items():
        if name.startswith("codes/"):
            stem = name.removeprefix("codes/").removesuffix(".toml")
            if found := problems.build(at(name), CodeList, values, name=stem):
                codes[stem] = found
    reasons = {
        code: built
        for code, values in (raw.get("rejects.toml") or {}).items()
        if (built := problems.build(at("rejects.toml"), Reason, values, place=code, code=code))
    }
    terms = [
        problems.build(at("glossary.toml"), Term, _term(value), place=label, label=label)
        for label, value in (raw.get("glossary.toml") or {}).items()
    ]
    rights = problems.build(at("rights.toml"), Rights, raw.get("rights.toml") or {})
    table = {"variants": raw.get("variants.toml") or {}}
    variants = problems.build(at("variants.toml"), Variants, table)
    policy = problems.build(at(POLICIES), Policy, raw.get(POLICIES) or {})
    if policy is not None and POLICIES in raw:
        for name, value in policy:
            if value is None and name not in OPEN:
                problems.add(at(POLICIES), name, "definitions.missing")
    if problems or rights is None or variants is None or policy is None:
        return None, problems
    catalogue = Catalogue(
        formats=formats,
        codes=codes,
        reasons=reasons,
        terms=tuple(term for term in terms if term),
        rights=rights.right,
        kinds=rights.kinds,
        systems=rights.systems,
        doors=rights.doors,
        duties=rights.duties,
        purposes=rights.purposes,
        operators={operator.name: operator for operator in rights.operator},
        variants=variants.variants,
        policy=policy,
    )
    problems.extend(cross_check(catalogue))
    return (None if problems else catalogue), problems


def load_items(catalogue: Catalogue, *folders: Path) -> tuple[list[Items], list[Problem]]:
    """What `formats/items/` says of documented files, by name, as far as it can be read."""
    problems, found = Problems(), []
    for name, path in sorted(definition_files(folders).items()):
        if name.startswith("items/"):
            stem = name.removeprefix("items/").removesuffix(".toml")
            built = problems.build(at(name), Items, problems.read(path, at(name)), name=stem)
            if built is not None:
                found.append(built)
                problems.extend(item_problems(built, catalogue))
    return found, problems


def _term(value: object) -> object:
    return {"name": value} if isinstance(value, str) else value


def is_format(name: str) -> bool:
    """Whether a file below formats/ is a format: those in folders and the registers are not."""
    return "/" not in name and name.removesuffix(".toml") not in REGISTERS


def at(name: str) -> str:
    """What problems call a file below formats/."""
    return f"formats/{name}"


def _formats(raw: dict[str, dict[str, Any] | None], problems: Problems) -> dict[str, Format]:
    formats = {}
    for name, values in raw.items():
        if values is None or not is_format(name):
            continue
        stem = name.removesuffix(".toml")
        resolved = dict(values)
        base = resolved.pop("base", None)
        if base is not None:
            if f"{base}.toml" not in raw:
                known = listed({one.removesuffix(".toml") for one in raw if is_format(one)})
                problems.add(at(name), "base", "definitions.unknown", key=base, known=known)
                continue
            under = raw[f"{base}.toml"]
            if under is None:  # told already
                continue
            if "base" in under:
                problems.add(at(name), "base", "definitions.base_chain", format=base)
                continue
            resolved = merged(resolved, under)
        built = problems.build(at(name), Format, resolved, name=stem)
        if built:
            formats[stem] = built
    return formats


def require_catalogue(*folders: Path) -> Catalogue:
    """The catalogue, or a DefinitionError with the first places and the way to see all problems."""
    return _required(_contents(folders))


@lru_cache(maxsize=4)  # definitions do not change: whoever opens a site again has those of before
def _required(contents: Contents) -> Catalogue:
    catalogue, problems = catalogue_of(contents)
    if catalogue is None:
        raise DefinitionError("formats.wrong", known=places(problems))
    return catalogue
