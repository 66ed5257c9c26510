"""Read `formats/`: TOML files in, one cross-checked `Catalogue` out.

A site's own folder overrides the shipped one file by file. Every problem is collected; the error
lists them all with the names that would have been known.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from koukan.errors import DefinitionError
from koukan.formats.model import Catalogue, CodeList, Format, Reason, Rights, Term, Variants

M = TypeVar("M", bound=BaseModel)
REGISTERS = ("glossary", "rejects", "rights", "variants")


def explain(error: ValidationError) -> list[str]:
    """pydantic's findings as `place: what`, one each."""
    return [
        f"{'.'.join(str(part) for part in item['loc']) or '-'}: {item['msg']}"
        for item in error.errors(include_url=False, include_input=False)
    ]


class Problems(list[str]):
    """Findings while reading definitions; one bad file does not hide the next."""

    def read(self, path: Path) -> dict[str, Any]:
        try:
            return tomllib.loads(path.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            self.append(f"{path.name}: {error}")
            return {}

    def build(self, where: str, model: type[M], values: object, **given: str) -> M | None:
        """The model of a table; `given` are its values that stand outside the table."""
        if not isinstance(values, dict):
            self.append(f"{where}: a table is needed here")
            return None
        if twice := sorted(set(values) & set(given)):
            self.append(f"{where}: {twice} is given by its place and does not stand in the table")
            return None
        try:
            return model.model_validate({**values, **given})
        except ValidationError as error:
            self.extend(f"{where}: {line}" for line in explain(error))
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


def load_catalogue(*folders: Path) -> tuple[Catalogue | None, list[str]]:
    """Read all definitions; the catalogue is None when anything is wrong."""
    problems = Problems()
    files = definition_files(folders)
    raw = {name: problems.read(path) for name, path in sorted(files.items())}
    formats = _formats(raw, problems)
    codes = {}
    for name, values in raw.items():
        if name.startswith("codes/"):
            stem = name.removeprefix("codes/").removesuffix(".toml")
            if listed := problems.build(name, CodeList, values, name=stem):
                codes[stem] = listed
    reasons = {
        code: built
        for code, values in raw.get("rejects.toml", {}).items()
        if (built := problems.build(f"rejects.toml {code}", Reason, values, code=code))
    }
    terms = [
        problems.build("glossary.toml", Term, _term(value), label=label)
        for label, value in raw.get("glossary.toml", {}).items()
    ]
    rights = problems.build("rights.toml", Rights, raw.get("rights.toml", {}))
    table = {"variants": raw.get("variants.toml", {})}
    variants = problems.build("variants.toml", Variants, table)
    if problems or rights is None or variants is None:
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
        variants=variants.variants,
    )
    problems.extend(cross_check(catalogue))
    return (None if problems else catalogue), problems


def _term(value: object) -> object:
    return {"name": value} if isinstance(value, str) else value


def _formats(raw: dict[str, dict[str, Any]], problems: Problems) -> dict[str, Format]:
    formats = {}
    for name, values in raw.items():
        stem = name.removesuffix(".toml")
        if "/" in name or stem in REGISTERS:
            continue
        resolved = dict(values)
        base = resolved.pop("base", None)
        if base is not None:
            if f"{base}.toml" not in raw:
                problems.append(f"{name}: base {base!r} is not known")
                continue
            resolved = merged(resolved, raw[f"{base}.toml"])
        built = problems.build(name, Format, resolved, name=stem)
        if built:
            formats[stem] = built
    return formats


def cross_check(catalogue: Catalogue) -> list[str]:
    """What no single file can know: code lists, glossary names, codes, kinds and doors exist."""
    names = {term.label: term.name for term in catalogue.terms}
    problems = []
    for form in catalogue.formats.values():
        problems += _check_fields(form, catalogue, names)
    for right in catalogue.rights:
        for what, used, known in (
            ("format", right.formats, set(catalogue.formats)),
            ("kind", right.kinds, {*catalogue.kinds, *catalogue.systems}),
            ("door", right.doors, set(catalogue.doors)),
        ):
            for name in sorted(set(used) - known):
                problems.append(f"rights.toml {right.function}: {what} {name!r} is not known")
    seen: dict[str, str] = {}
    for term in catalogue.terms:
        if seen.setdefault(term.name, term.label) != term.label:
            problems.append(f"glossary.toml: {term.name} names {term.label} and {seen[term.name]}")
    return problems


def _check_fields(form: Format, catalogue: Catalogue, names: dict[str, str]) -> list[str]:
    problems = []
    for field in form.all_fields:
        where = f"{form.name}.toml {field.name}"
        if field.codes and field.codes not in catalogue.codes:
            known = ", ".join(sorted(catalogue.codes))
            problems.append(f"{where}: code list {field.codes!r} is not one of {known}")
        if names.get(field.label) != field.name:
            meant = names.get(field.label)
            problems.append(f"{where}: glossary.toml says {meant!r} for {field.label}")
    for record in form.records:
        for kind in sorted(set(record.kinds) - set(catalogue.kinds)):
            problems.append(f"{form.name}.toml {record.section}: kind {kind!r} is not known")
        for check in record.checks:
            if check.code not in catalogue.reasons:
                problems.append(f"{form.name}.toml: code {check.code} is not in rejects.toml")
    return problems


def require_catalogue(*folders: Path) -> Catalogue:
    """The catalogue, or a DefinitionError for the first problem and the way to see them all."""
    catalogue, problems = load_catalogue(*folders)
    if catalogue is None:
        raise DefinitionError("formats.wrong", known="; ".join(problems[:3]))
    return catalogue
