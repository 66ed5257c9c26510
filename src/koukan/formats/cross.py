"""What no single definition can know: that its names, codes and rights exist elsewhere, too."""

from __future__ import annotations

from collections.abc import Iterator

from koukan.formats.model import TYPE, Catalogue, Field, Format, Right
from koukan.formats.problems import Problem, listed, problem

RIGHTS, GLOSSARY = "formats/rights.toml", "formats/glossary.toml"
HISTORY = "history"  # the duty of 資格履歴管理
CONTROL_AND_END = ("00", "99")  # record type codes that are no data record's


def cross_check(catalogue: Catalogue) -> list[Problem]:
    """Names that are not defined, and what would make a file be read as another one."""
    names = {term.label: term.name for term in catalogue.terms}
    problems: list[Problem] = []
    for form in catalogue.formats.values():
        problems += _fields(form, catalogue, names)
        problems += _records(form, catalogue)
    problems += _file_names(catalogue)
    for right in catalogue.rights:
        problems += _names_of_right(right, catalogue)
    problems += _operators(catalogue)
    seen: dict[str, str] = {}
    for term in catalogue.terms:
        if seen.setdefault(term.name, term.label) != term.label:
            where = {"key": term.name, "known": listed([term.label, seen[term.name]])}
            problems.append(problem(GLOSSARY, term.label, "definitions.term_twice", **where))
    return problems


def gaps(catalogue: Catalogue) -> list[Problem]:
    """Definitions that can be read, but by which files would be refused that should not be."""
    problems: list[Problem] = []
    usable = {
        name for right in catalogue.rights if right.kinds and right.doors for name in right.formats
    }
    for form in catalogue.formats.values():
        for item in form.all_fields:
            problems += _values(form, item, catalogue)
        if form.direction == "inbound" and form.name not in usable:
            problems.append(problem(RIGHTS, "right", "definitions.no_right", format=form.name))
    for right in catalogue.rights:
        problems += _conditions_of_right(right, catalogue)
    return problems


def _fields(form: Format, catalogue: Catalogue, names: dict[str, str]) -> Iterator[Problem]:
    for field in form.all_fields:
        if field.codes and field.codes not in catalogue.codes:
            where = {"key": field.codes, "known": listed(set(catalogue.codes))}
            yield _of(form, f"{field.name}.codes", "definitions.unknown", **where)
        if field.label not in names:
            where = {"field": field.label, "key": field.name}
            yield _of(form, field.name, "definitions.label_unknown", **where)
        elif names[field.label] != field.name:
            where = {"field": field.label, "known": names[field.label]}
            yield _of(form, field.name, "definitions.label", **where)
    for record in form.records:
        for kind in sorted(set(record.kinds) - set(catalogue.kinds)):
            where = {"key": kind, "known": listed(set(catalogue.kinds))}
            yield _of(form, f"records[{record.section}].kinds", "definitions.unknown", **where)
    tables = [("checks", form.checks)]
    tables += [(f"records[{record.section}].checks", record.checks) for record in form.records]
    for place, checks in tables:
        for check in checks:
            if check.code not in catalogue.reasons:
                yield _of(form, place, "definitions.reject_code", code=check.code)


def _records(form: Format, catalogue: Catalogue) -> Iterator[Problem]:
    """Record type codes: those of data are no control or end record's, all stand in their list."""
    named = {item.codes for item in (*form.common, *form.control) if item.name == TYPE[0]}
    lists = [
        catalogue.codes[name] for name in sorted(filter(None, named)) if name in catalogue.codes
    ]
    for record in form.records:
        place = f"records[{record.section}].code"
        if record.code in CONTROL_AND_END:
            yield _of(form, place, "definitions.record_code_reserved", code=record.code)
        for codes in lists:
            if record.code not in codes.values:
                yield _no_value(f"formats/{form.name}.toml", place, record.code, codes.name)


def _file_names(catalogue: Catalogue) -> Iterator[Problem]:
    """Names that two formats take. Told by their examples: what else patterns share is not seen."""
    inbound = [form for form in catalogue.formats.values() if form.direction == "inbound"]
    for form in inbound:
        for other in inbound:
            if other is not form and other.file.expression.fullmatch(form.file.example):
                where = {"file": form.file.example, "format": other.name}
                yield _of(form, "file.pattern", "definitions.name_of_two", **where)


def _names_of_right(right: Right, catalogue: Catalogue) -> Iterator[Problem]:
    for key, used, known in (
        ("formats", right.formats, set(catalogue.formats)),
        ("kinds", right.kinds, {*catalogue.kinds, *catalogue.systems}),
        ("doors", right.doors, set(catalogue.doors)),
    ):
        for name in sorted(set(used) - known):
            where = {"key": name, "known": listed(known)}
            yield problem(RIGHTS, f"right[{right.function}].{key}", "definitions.unknown", **where)


def _operators(catalogue: Catalogue) -> Iterator[Problem]:
    """Every kind of insurer has one operator of its history, who has that duty."""
    for operator in catalogue.operators.values():
        place = f"operator[{operator.name}]"
        for key, used, known in (
            ("duties", operator.duties, set(catalogue.duties)),
            ("history_of", operator.history_of, set(catalogue.kinds)),
        ):
            for name in sorted(set(used) - known):
                where = {"key": name, "known": listed(known)}
                yield problem(RIGHTS, f"{place}.{key}", "definitions.unknown", **where)
        if operator.history_of and HISTORY not in operator.duties:
            yield problem(RIGHTS, f"{place}.duties", "definitions.operator_duty", key=HISTORY)
    for kind in catalogue.kinds:
        found = [one.name for one in catalogue.operators.values() if kind in one.history_of]
        if len(found) != 1:
            where = {"key": kind, "known": listed(found)}
            yield problem(RIGHTS, "operator", "definitions.operator_of_kind", **where)


def _conditions_of_right(right: Right, catalogue: Catalogue) -> Iterator[Problem]:
    """A right bound to what no control record can say is a right that nobody has."""
    for name in right.formats:
        control = {item.name: item for item in catalogue.formats[name].control}
        for field, values in right.when.items():
            place = f"right[{right.function}].when.{field}"
            if field not in control:
                where = {"field": field, "format": name}
                yield problem(RIGHTS, place, "definitions.right_field", **where)
            elif codes := control[field].codes:
                for value in sorted(set(values) - set(catalogue.codes[codes].values)):
                    yield _no_value(RIGHTS, place, value, codes)


def _values(form: Format, item: Field, catalogue: Catalogue) -> Iterator[Problem]:
    """What a definition gives for a field of codes is one of them."""
    given = (("sample", item.sample), ("value", item.value)) if item.codes else ()
    for key, value in given:
        if item.codes and value and value not in catalogue.codes[item.codes].values:
            yield _no_value(f"formats/{form.name}.toml", f"{item.name}.{key}", value, item.codes)


def _no_value(file: str, place: str, value: str, codes: str) -> Problem:
    path = f"formats/codes/{codes}.toml"
    return problem(file, place, "definitions.no_value", code=value, path=path)


def _of(form: Format, place: str, key: str, /, **where: object) -> Problem:
    return problem(f"formats/{form.name}.toml", place, key, **where)
