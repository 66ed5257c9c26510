"""What a format definition may say: the shape of `formats/*.toml`.

A format describes one exchanged file: its name, its syntax, the control and end record, and record
types with their fields. Everything that reads, checks, writes or explains such a file is derived
from here. Lengths count characters; in fixed width a text takes two bytes for each character.
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints, model_validator

FieldType = Literal["digits", "ascii", "text", "kana", "code", "date", "datetime"]
Syntax = Literal["csv", "fixed"]
Identifier = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
LEADING = [  # the byte gate reads person, type and insurer at fixed offsets
    ("record_number", 10),
    ("record_type_code", 2),
    ("process_type_code", 1),
    ("insurer_code", 8),
]
CONTROL = {"record_number", "record_type_code", "layout_code", "sender", "file_sequence"}
ASCII_TYPES = frozenset({"digits", "ascii", "code", "date", "datetime"})


class Definition(BaseModel):
    """Base: unknown keys are mistakes, definitions do not change after they were read."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Field(Definition):
    """One item of a record. `name` is the glossary's name for `label`."""

    name: Identifier
    label: str
    type: FieldType
    length: int
    min_length: int | None = None  # digits only: the shortest form allowed; else exactly `length`
    required: bool = False
    sensitive: bool = False  # never in a log, report or error; sealed at rest; erased with its file
    codes: Identifier | None = None
    uncertain: bool = False  # dates: 00 for an unknown day or month, 0000 for an unknown year
    checks: tuple[Identifier, ...] = ()
    sample: str = ""
    note: str = ""

    @model_validator(mode="after")
    def _consistent(self) -> Field:
        if (self.type == "code") != (self.codes is not None):
            raise ValueError(f"{self.name}: `codes` belongs to type code, and only to it")
        if self.min_length is not None and self.type not in ("digits", "ascii"):
            raise ValueError(f"{self.name}: `min_length` belongs to types digits and ascii")
        if self.type == "date" and self.length != 8:
            raise ValueError(f"{self.name}: a date is eight digits")
        if self.uncertain and self.type != "date":
            raise ValueError(f"{self.name}: only a date can be uncertain")
        return self

    @property
    def is_ascii(self) -> bool:
        return self.type in ASCII_TYPES

    @property
    def shortest(self) -> int:
        """Least number of characters of a value that is not empty."""
        if self.min_length is not None:
            return self.min_length
        return self.length if self.type in ("digits", "date", "datetime") else 1

    @property
    def slot(self) -> int:
        """Bytes that the field takes in a fixed-width record."""
        return self.length if self.is_ascii else 2 * self.length


class Check(Definition):
    """A rule over several fields of one record: `use` names a pure function of `koukan.rules`."""

    use: Identifier
    fields: tuple[Identifier, ...]
    code: str
    when: dict[Identifier, tuple[str, ...]] = {}


class Record(Definition):
    """One record type: the common fields come first, its own after them."""

    code: Annotated[str, StringConstraints(pattern=r"^[0-9]{2}$")]
    section: Identifier
    title: str
    key: tuple[Identifier, ...] = ()  # beside insurer and number; the same key twice is a duplicate
    own: tuple[Field, ...]
    checks: tuple[Check, ...] = ()


class File(Definition):
    """How the bytes of the file are written."""

    pattern: str
    example: str
    syntax: Syntax = "csv"
    encoding: Literal["cp932", "utf-8"] = "cp932"
    newline: Literal["crlf", "lf"] = "crlf"
    max_bytes: int = 4 * 1024**3
    max_line_bytes: int = 4096

    @model_validator(mode="after")
    def _consistent(self) -> File:
        try:
            expression = re.compile(self.pattern)
        except re.error as error:
            raise ValueError(f"the pattern is not an expression: {error}") from None
        if not expression.fullmatch(self.example):
            raise ValueError("the example name does not match the pattern")
        return self

    @cached_property
    def expression(self) -> re.Pattern[str]:
        return re.compile(self.pattern)

    @property
    def line_end(self) -> bytes:
        return b"\r\n" if self.newline == "crlf" else b"\n"


class Format(Definition):
    """One exchanged file. Field order is file order."""

    name: Identifier
    title: str
    purpose: str
    owner: str
    direction: Literal["inbound", "outbound"]
    version: Annotated[str, StringConstraints(pattern=r"^[0-9]{8}$")]
    source: str
    note: str = ""
    file: File
    control: tuple[Field, ...]
    common: tuple[Field, ...] = ()
    records: tuple[Record, ...]
    end: tuple[Field, ...]
    undecodable_share: float = 0.01  # beyond this share of lines the file is refused
    reject_share: float = 1.0  # beyond this share of rejected lines the file is refused
    share_floor: int = 100  # shares are judged in files of at least so many lines

    @model_validator(mode="after")
    def _consistent(self) -> Format:
        for record in self.records:
            names = [field.name for field in self.fields(record)]
            if len(set(names)) != len(names):
                raise ValueError(f"{self.name}/{record.section}: a field name stands twice")
            for check in record.checks:
                unknown = {*check.fields, *check.when} - set(names)
                if unknown:
                    raise ValueError(f"{self.name}/{record.section}: unknown {sorted(unknown)}")
            if set(record.key) - set(names):
                raise ValueError(f"{self.name}/{record.section}: the key names unknown fields")
        if len({record.code for record in self.records}) != len(self.records):
            raise ValueError(f"{self.name}: a record type code stands twice")
        if self.direction == "inbound" and (missing := self._not_for_the_gate()):
            raise ValueError(f"{self.name}: a format that comes in has {missing}")
        return self

    def _not_for_the_gate(self) -> str | None:
        """What the byte gate relies on and this definition has not."""
        leading = [(field.name, field.length) for field in self.common[: len(LEADING)]]
        if leading != LEADING:
            return f"the leading fields {LEADING}"
        counts = {f"{record.section}_count" for record in self.records}
        for where, fields, needed in (
            ("control", self.control, CONTROL),
            ("end", self.end, counts | {"record_count", "control_total"}),
        ):
            required = {field.name for field in fields if field.required}
            if needed - required:
                return f"{sorted(needed - required)} as required fields of [[{where}]]"
        return None

    def fields(self, record: Record) -> tuple[Field, ...]:
        """All fields of a record type in file order."""
        return self.common + record.own

    def record(self, code: str) -> Record:
        return next(record for record in self.records if record.code == code)

    def section(self, section: str) -> Record:
        return next(record for record in self.records if record.section == section)

    @cached_property
    def all_fields(self) -> tuple[Field, ...]:
        own = tuple(field for record in self.records for field in record.own)
        return self.control + self.common + own + self.end

    @cached_property
    def sensitive(self) -> frozenset[str]:
        """Names of the fields whose values never leave sealed places."""
        return frozenset(field.name for field in self.all_fields if field.sensitive)


class CodeList(Definition):
    """The values that a field of type code may have."""

    name: Identifier
    title: str
    source: str
    values: dict[str, str]


class Reason(Definition):
    """One code of `formats/rejects.toml` and its sentences; placeholders are {line} {length}."""

    code: Annotated[str, StringConstraints(pattern=r"^[DFHRW][0-9]{3}$")]
    title: str
    text: str
    action: str
    title_en: str
    text_en: str
    action_en: str


class Term(Definition):
    """One label of the field and the one name it has in koukan."""

    label: str
    name: str
    note: str = ""


class Right(Definition):
    """Which kinds of insurer may use a function, through which doors (flows.md, 'outside')."""

    function: Identifier
    title: str
    formats: tuple[Identifier, ...]
    kinds: tuple[str, ...]
    doors: tuple[str, ...]


class Rights(Definition):
    """All of `formats/rights.toml`."""

    kinds: dict[str, str] = {}
    doors: dict[str, str] = {}
    right: tuple[Right, ...] = ()


class Catalogue(Definition):
    """Everything under `formats/` of a site, read and cross-checked."""

    formats: dict[str, Format]
    codes: dict[str, CodeList]
    reasons: dict[str, Reason]
    terms: tuple[Term, ...]
    rights: tuple[Right, ...]
    kinds: dict[str, str]
    doors: dict[str, str]

    def allowed(self, format_name: str, kind: str, door: str) -> str | None:
        """None when an insurer of `kind` may send this format through `door`, else the code."""
        rights = [right for right in self.rights if format_name in right.formats]
        if not any(kind in right.kinds for right in rights):
            return "F203"
        if not any(kind in right.kinds and door in right.doors for right in rights):
            return "F202"
        return None
