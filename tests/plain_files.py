"""Registration files written line by line in plain Python: nothing of koukan's own writing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache

from koukan.formats import Format, load_catalogue
from koukan.formats.model import Field
from koukan.shipped import formats_folder

Values = Mapping[str, str]
SYNTAXES = {"csv": "member_registration", "fixed": "member_registration_fixed"}


@cache
def shipped_format(syntax: str) -> Format:
    catalogue, problems = load_catalogue(formats_folder())
    assert catalogue is not None, problems
    return catalogue.formats[SYNTAXES[syntax]]


def small_format(syntax: str, **limits: int) -> Format:
    """The shipped format with other limits (max_bytes, max_line_bytes)."""
    form = shipped_format(syntax)
    return form.model_copy(update={"file": form.file.model_copy(update=limits)})


def padded(item: Field, value: str, encoding: str = "cp932") -> bytes:
    """A fixed-width slot: the bytes of the value, half-width spaces behind it."""
    content = value.encode(encoding)
    assert len(content) <= item.slot
    return content.ljust(item.slot)


def line_of(form: Format, fields: Iterable[Field], values: Values) -> bytes:
    """One line without its end."""
    if form.file.syntax == "fixed":
        return b"".join(padded(item, values.get(item.name, "")) for item in fields)
    return ",".join(values.get(item.name, "") for item in fields).encode(form.file.encoding)


def samples(form: Format, section: str, **values: str) -> dict[str, str]:
    """A good record of a section: the samples of the definition, some fields replaced."""
    record = form.section(section)
    good = {item.name: item.sample for item in form.fields(record)}
    welfare = ("public_payer_number", "recipient_number", "welfare_office_name")
    unused = dict.fromkeys(welfare, "") if section == "qualification" else {}
    return {**good, **unused, "record_type_code": record.code, **values}


@dataclass(frozen=True)
class Plain:
    """A file as (section, values) of its lines; counts and totals are made to fit."""

    form: Format
    lines: tuple[tuple[str, Values], ...]
    control: Values = field(default_factory=dict)
    end: Values = field(default_factory=dict)

    def records(self) -> list[bytes]:
        return [
            line_of(self.form, self.form.fields(self.form.section(section)), values)
            for section, values in self.lines
        ]

    def control_line(self) -> bytes:
        values = {item.name: item.sample for item in self.form.control}
        return line_of(self.form, self.form.control, {**values, **self.control})

    def end_line(self) -> bytes:
        counts = Counter(section for section, _ in self.lines)
        total = sum(int(values["record_number"]) for _, values in self.lines)
        values = {
            "record_number": "9999999999",
            "record_type_code": "99",
            "record_count": f"{len(self.lines):08d}",
            "control_total": f"{total % 10**18:018d}",
        }
        for record in self.form.records:
            values[f"{record.section}_count"] = f"{counts[record.section]:08d}"
        return line_of(self.form, self.form.end, {**values, **self.end})

    def all_lines(self) -> list[bytes]:
        return [self.control_line(), *self.records(), self.end_line()]

    def content(self) -> bytes:
        return together(self.all_lines(), self.form)

    def changed(self, **parts: object) -> Plain:
        return replace(self, **parts)  # type: ignore[arg-type]


def together(lines: Iterable[bytes], form: Format) -> bytes:
    return b"".join(line + form.file.line_end for line in lines)


def persons(form: Format, count: int, *, whole: bool = False, **values: str) -> Plain:
    """Newly registered persons with a line of each required section, or of every section."""
    return Plain(
        form,
        tuple(
            (
                record.section,
                samples(form, record.section, record_number=f"{number:010d}", **values),
            )
            for number in range(1, count + 1)
            for record in (form.records if whole else form.required)
        ),
    )
