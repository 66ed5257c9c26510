"""What a format definition may say: the shape of `formats/*.toml`.

A format describes one exchanged file: its name, its syntax, the control and end record, and record
types with their fields. Everything that reads, checks, writes or explains such a file is derived
from here. Lengths count characters; in fixed width a text takes two bytes for each character.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints, model_validator
from pydantic import Field as Setting

from koukan.formats.problems import Mistake, listed

FieldType = Literal["digits", "ascii", "text", "kana", "code", "date", "datetime"]
Syntax = Literal["csv", "fixed"]
Identifier = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
Day = Annotated[str, StringConstraints(pattern=r"^[0-9]{8}$")]  # YYYYMMDD
Character = Annotated[str, StringConstraints(min_length=1, max_length=1)]
# The byte gate reads these at fixed offsets: every record's number and type, and the insurer where
# records speak for one. Nothing of variable length stands before the last of them.
NUMBER, TYPE, INSURER = ("record_number", 10), ("record_type_code", 2), ("insurer_code", 8)
GIVEN = ("record_number", "layout_code")  # of a control record; their samples are what it must say
CONTROL = {"record_number", "record_type_code", "layout_code", "sender", "file_sequence"}
KANJI = ("CJK UNIFIED IDEOGRAPH", "CJK COMPATIBILITY IDEOGRAPH")  # names that Unicode gives them
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
    value: str = ""  # outbound only: what the centre writes, whatever the record is about
    sample: str = ""
    note_ja: str = ""  # for clerks; `note` says the same to developers
    note: str = ""

    @model_validator(mode="after")
    def _consistent(self) -> Field:
        if (self.type == "code") != (self.codes is not None):
            raise Mistake("definitions.codes_of_code", field=self.name)
        if self.min_length is not None and self.type not in ("digits", "ascii"):
            raise Mistake("definitions.min_length", field=self.name)
        if self.type == "date" and self.length != 8:
            raise Mistake("definitions.date_length", field=self.name)
        if self.uncertain and self.type != "date":
            raise Mistake("definitions.uncertain", field=self.name)
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
    """A rule over several fields of one record: `use` names a pure function of `koukan.rules`.

    A rule with days is a policy with a beginning or an end: `bundle` leaves it out on other days.
    """

    use: Identifier
    fields: tuple[Identifier, ...]
    code: str
    when: dict[Identifier, tuple[str, ...]] = {}
    sets: tuple[tuple[Identifier, ...], ...] = ()  # search_items: one of them is wholly present
    valid_from: Day | None = None  # first day
    valid_to: Day | None = None  # last day

    @model_validator(mode="after")
    def _consistent(self) -> Check:
        if (self.use == "search_items") != bool(self.sets):
            raise Mistake("definitions.sets")
        if not all(self.sets):
            raise Mistake("definitions.empty_set")
        if self.valid_from and self.valid_to and self.valid_from > self.valid_to:
            raise Mistake("definitions.valid_order")
        return self

    def valid_on(self, day: str) -> bool:
        """Whether the rule holds on a day (YYYYMMDD); both its days belong to it."""
        return (self.valid_from or day) <= day <= (self.valid_to or day)


class Record(Definition):
    """One record type: the common fields come first, its own after them."""

    code: Annotated[str, StringConstraints(pattern=r"^[0-9]{2}$")]
    section: Identifier
    title: str
    required: bool = True  # every person has a line of it
    kinds: tuple[str, ...] = ()  # of insurers that may register it; empty: all
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
        except re.error:
            raise Mistake("definitions.no_expression") from None
        if not expression.fullmatch(self.example):
            raise Mistake("definitions.example")
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
    purpose_ja: str = ""
    purpose: str
    owner: str
    direction: Literal["inbound", "outbound"]
    version: Annotated[str, StringConstraints(pattern=r"^[0-9]{8}$")]
    source: str
    note_ja: str = ""
    note: str = ""
    file: File
    control: tuple[Field, ...]
    common: tuple[Field, ...] = ()
    checks: tuple[Check, ...] = ()  # of every record, over the common fields
    records: tuple[Record, ...]
    end: tuple[Field, ...]
    undecodable_share: float = 0.01  # beyond this share of lines the file is refused
    reject_share: float = 1.0  # beyond this share of rejected lines the file is refused
    share_floor: int = 100  # shares are judged in files of at least so many lines

    @model_validator(mode="after")
    def _consistent(self) -> Format:
        for record in self.records:
            names = [field.name for field in self.fields(record)]
            if twice := {name for name in names if names.count(name) > 1}:
                raise Mistake("definitions.field_twice", field=listed(twice), known=record.section)
            for check in self.checks_of(record):
                named = {*check.fields, *check.when}.union(*check.sets)
                unknown = named - set(names)
                if unknown:
                    raise Mistake(
                        "definitions.check_field", field=listed(unknown), known=record.section
                    )
            if unknown := set(record.key) - set(names):
                raise Mistake("definitions.key_field", field=listed(unknown), known=record.section)
        if len({record.code for record in self.records}) != len(self.records):
            raise Mistake("definitions.record_code_twice")
        if self.direction == "inbound":
            self._fit_for_the_gate()
        return self

    def _fit_for_the_gate(self) -> None:
        """Raises Mistake for what the byte gate relies on and this definition has not."""
        leading = [(field.name, field.length) for field in self.leading]
        if leading[:2] != [NUMBER, TYPE] or (self.names_insurers and leading[-1] != INSURER):
            known = listed([f"{name} ({length})" for name, length in (NUMBER, TYPE, INSURER)])
            raise Mistake("definitions.leading", known=known)
        fixed = all(item.type == "code" or item.shortest == item.length for item in self.leading)
        if not fixed or not all(item.required for item in self.leading):
            raise Mistake("definitions.leading_fixed", field=self.leading[-1].name)
        samples = {field.name: field.sample for field in self.control}
        for name in GIVEN:
            if samples.get(name) == "":
                raise Mistake("definitions.no_sample", field=name)
        if "sequence" not in self.file.expression.groupindex:
            raise Mistake("definitions.no_sequence")
        counts = {f"{record.section}_count" for record in self.records}
        for where, fields, needed in (
            ("control", self.control, CONTROL),
            ("end", self.end, counts | {"record_count", "control_total"}),
        ):
            required = {field.name for field in fields if field.required}
            if needed - required:
                raise Mistake(
                    "definitions.required", field=listed(needed - required), known=f"[[{where}]]"
                )

    def fields(self, record: Record) -> tuple[Field, ...]:
        """All fields of a record type in file order."""
        return self.common + record.own

    def checks_of(self, record: Record) -> tuple[Check, ...]:
        """All rules over several fields of a record type, those of every record first."""
        return self.checks + record.checks

    def record(self, code: str) -> Record:
        return next(record for record in self.records if record.code == code)

    def section(self, section: str) -> Record:
        return next(record for record in self.records if record.section == section)

    @cached_property
    def required(self) -> tuple[Record, ...]:
        """The record types of which every person has a line."""
        return tuple(record for record in self.records if record.required)

    @cached_property
    def names_insurers(self) -> bool:
        """Whether every record says for which insurer it speaks; national systems' do not."""
        return any(field.name == INSURER[0] for field in self.common)

    @cached_property
    def leading(self) -> tuple[Field, ...]:
        """The first fields of every record, up to the insurer's code or else the type."""
        names = [field.name for field in self.common]
        last = INSURER[0] if self.names_insurers else TYPE[0]
        return self.common[: names.index(last) + 1] if last in names else ()

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
    """Which kinds of insurer or national systems may use a function, through which doors."""

    function: Identifier
    title: str
    formats: tuple[Identifier, ...]
    kinds: tuple[str, ...]
    doors: tuple[str, ...]
    when: dict[Identifier, tuple[str, ...]] = {}  # field of the control record -> its values


class Operator(Definition):
    """Who works at the centre: its duties, and of which kinds of insurer it runs the history."""

    name: Identifier
    title: str
    duties: tuple[Identifier, ...]
    history_of: tuple[Identifier, ...] = ()


class Rights(Definition):
    """All of `formats/rights.toml`."""

    kinds: dict[str, str] = {}
    systems: dict[str, str] = {}
    doors: dict[str, str] = {}
    duties: dict[str, str] = {}
    right: tuple[Right, ...] = ()
    operator: tuple[Operator, ...] = ()
    purposes: dict[str, str] = {}  # for which staff may see the 個人番号 of a person


class Policy(Definition):
    """What is done with a file that can be read but is not as it should be.

    Shipped defaults, a site and each of its insurers say one (`koukan.formats.policy`); what one of
    them leaves out, the one before it says.
    """

    sequence_gap: Literal["hold", "warn"] | None = None  # numbers were left out before the file's
    end_mismatch: Literal["refuse", "hold"] | None = None  # the end record has other sums
    late_days: Annotated[int, Setting(ge=0, le=3660)] | None = None  # after 作成年月日; 0: never
    reject_share: Annotated[float, Setting(ge=0, le=1)] | None = None  # nowhere said: the format's
    reject_share_beyond: Literal["refuse", "hold", "warn"] | None = None

    def over(self, base: Policy) -> Policy:
        """This one, and `base` where it says nothing."""
        return base.model_copy(update=self.model_dump(exclude_none=True))


class Variants(Definition):
    """All of `formats/variants.toml`: 異体字, each with the character that it stands for."""

    variants: dict[Character, Character] = {}

    @model_validator(mode="after")
    def _consistent(self) -> Variants:
        for variant, stands_for in self.variants.items():
            for character in (variant, stands_for):
                if not unicodedata.name(character, "").startswith(KANJI):
                    raise Mistake("definitions.no_kanji", known=character)
            if stands_for in self.variants:  # of itself, in a chain or in a circle
                raise Mistake("definitions.variant", key=variant, known=stands_for)
        return self


class Catalogue(Definition):
    """Everything under `formats/` of a site, read and cross-checked."""

    formats: dict[str, Format]
    codes: dict[str, CodeList]
    reasons: dict[str, Reason]
    terms: tuple[Term, ...]
    rights: tuple[Right, ...]
    kinds: dict[str, str]
    systems: dict[str, str]
    doors: dict[str, str]
    duties: dict[str, str]
    purposes: dict[str, str]
    operators: dict[str, Operator]
    variants: dict[str, str]
    policy: Policy

    def allowed(
        self,
        format_name: str,
        kind: str,
        door: str,
        control: Mapping[str, str] | None = None,
    ) -> str | None:
        """None when a party of `kind` may send this format through `door`, else the code.

        Args:
            control: the file's control record by field; a right may be bound to a value in it.
        """
        found = control or {}
        rights = [
            right
            for right in self.rights
            if format_name in right.formats
            and all(found.get(name) in values for name, values in right.when.items())
        ]
        if not any(kind in right.kinds for right in rights):
            return "F203"
        if not any(kind in right.kinds and door in right.doors for right in rights):
            return "F202"
        return None
