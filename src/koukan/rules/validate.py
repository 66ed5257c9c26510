"""Validate: strings become typed columns, rows that break a rule become findings.

Tiers from the same rules. Every row: a quick look, and tests for what that does not settle; what is
left in doubt or fails a test, a field's own rules explain at once. Rows that failed: the pandera
schema column by column, or, when they are many, the rules as expressions.

Expressions run one after another (`select_seq`): chunks are what keeps all cores busy, and to share
out a hundred small ones takes longer than they do.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import NamedTuple

import numpy as np
import polars as pl

from koukan.codecs.packed import present
from koukan.formats.bundle import Bundle
from koukan.formats.model import CodeList, Field, Format, Record
from koukan.rules.checks import FINDINGS, Rule, as_date, breakable, failing, rules_of
from koukan.rules.fitting import span_columns
from koukan.rules.line_keys import key_columns
from koukan.rules.quick import NOTHING, Ints, Look, code_type, is_brief, look

BAD = "__bad"
TEST = "__test "  # and the name of a field, or the place of a check over several
UNDECODABLE = "R106"
PROVEN = ("record_number", "record_type_code", "insurer_code")  # by the gate, in every line
RARE = 64  # a column is rarely given where one in so many rows has a value
# Common fields that are stored with each event, in formats that have them.
KEPT = ("process_type_code", "access_group_code")


class Broken(NamedTuple):
    """A rule and the rows of a frame that break it, ascending."""

    rule: Rule
    rows: Ints


class Settled(NamedTuple):
    """Which rows of a frame fail, ascending."""

    failing: Mapping[str, Ints]  # by field, or by place of a check over several
    suspicious: Ints  # rows that hold a forbidden character, in which field was not asked


class Examined(NamedTuple):
    """What all rows of a frame came to."""

    columns: pl.DataFrame  # see `Validator.check`
    settled: Settled


class Given(NamedTuple):
    """Fields by how many rows of a frame have them."""

    empty: set[str]  # none
    full: set[str]  # all
    rare: set[str]  # few, of those that need not be given


def given(frame: pl.DataFrame, fields: Collection[Field]) -> Given:
    """Look which rows have a value: it decides what is worth asking of all of them."""
    absent = {item.name: frame[item.name].null_count() for item in fields}
    optional = {item.name for item in fields if not item.required}
    return Given(
        {name for name, count in absent.items() if count == frame.height},
        {name for name, count in absent.items() if not count},
        {name for name in optional if 0 < (frame.height - absent[name]) * RARE <= frame.height},
    )


@dataclass(frozen=True)
class Validator:
    """Compiled rules of one record type."""

    form: Format
    record: Record
    codes: Mapping[str, CodeList]

    def check(
        self,
        frame: pl.DataFrame,
        *,
        suspicious: Ints | None,
        proven: Collection[str] = (),
        coded: bool = False,
    ) -> Examined:
        """Every row through the quick look and the tests; the columns as they are stored.

        Args:
            frame: strings, all fields of the record type.
            suspicious: rows known to hold a forbidden character; None: look at every row.
            proven: fields that need no look, see `PROVEN`.
            coded: short codes as places in their list; what is none is absent.

        Returns:
            columns: process type, access group and own columns that hold any value (dates as
            days, everything else as given), and `BAD`: whether the row breaks a rule.
            settled: what is known of why.
        """
        fields = {item.name: item for item in self.form.fields(self.record)}
        empty, full, rare = given(frame, fields.values())
        certain = {name for name in empty if not fields[name].required} | set(proven)
        rare -= certain
        others = [item for item in fields.values() if item.name not in certain | rare]
        seen = look(frame, others, self.codes)
        names = [name for name in KEPT if name in frame.columns]
        names += [item.name for item in self.record.own if item.name not in empty]
        checks = breakable(self.form, self.record, empty | rare, full)
        clean = suspicious is not None
        tests = self._tests(fields.keys() - certain - seen.names - rare, checks, clean=clean)
        asked = self._asked(names, seen, coded=coded)
        # As new columns they have a row each, also where nothing is left to look at.
        new = frame.with_columns_seq(**asked, **tests)
        failing = _failing(new)
        columns = {name: frame[name] for name in names}
        columns |= {**seen.days, **{name: new[name] for name in asked}}
        # To most rows what is rarely given is empty.
        tests = self._tests(
            rare, breakable(self.form, self.record, empty, full) - checks, clean=clean
        )
        for rows, part in chain(_given_rows(frame, rare, tests), self._settled(frame, seen)):
            failing |= {name: rows[places] for name, places in _failing(part).items()}
            for name in seen.days.keys() & set(part.columns):
                columns[name] = columns[name].scatter(rows, part[name])
        odd = NOTHING if suspicious is None else suspicious
        flags = np.zeros(frame.height, np.bool_)
        for rows in (odd, *failing.values()):
            flags[rows] = True
        columns[BAD] = pl.Series(flags)
        found = pl.DataFrame([columns[name].alias(name) for name in (*names, BAD)])
        return Examined(found, Settled(failing, odd))

    def _settled(self, frame: pl.DataFrame, seen: Look) -> Iterator[tuple[Ints, pl.DataFrame]]:
        """The fields that a quick look left in doubt, in the rows in question.

        Few rows are asked at once for all of the fields: to ask takes longer than the answer.

        Returns:
            rows, ascending; and their tests, as columns, and days.
        """
        few = sum(map(len, seen.doubts.values())) * RARE <= frame.height
        for names in filter(None, [list(seen.doubts)] if few else [[one] for one in seen.doubts]):
            rows = np.unique(np.concatenate([seen.doubts[name] for name in names]))
            tests = self._tests(names, frozenset(), clean=True)
            days = [as_date(name) for name in names if name in seen.days]
            yield rows, frame[names][rows].select_seq(*days, **tests)

    def _explained(self, frame: pl.DataFrame, failing: Mapping[str, Ints]) -> Iterator[Broken]:
        """Which rules are broken: of each field its own ones look at the rows that fail alone.

        Args:
            failing: rows, ascending, by field, or by place of a check over several.
        """
        for name, rows in failing.items():
            if name in self._checks:
                yield Broken(self._checks[name], rows)
                continue
            asked = frame[name].gather(rows).to_frame()
            for rule, places in _broken(asked, self._own_rules[name]):
                yield Broken(rule, rows[places])

    def _asked(self, names: Collection[str], seen: Look, *, coded: bool) -> dict[str, pl.Expr]:
        """Those of some columns that are not stored as given, but for days that were seen.

        Args:
            coded: see `check`.
        """
        asked = {}
        for item in self.form.fields(self.record):
            if item.name not in names:
                continue
            if item.type == "date" and not item.uncertain and item.name not in seen.days:
                asked[item.name] = as_date(item.name)
            elif coded and item.codes is not None and is_brief(listed := self.codes[item.codes]):
                kind = code_type(listed)
                if item.name in seen.codes:
                    place = pl.lit(seen.codes[item.name]).cat.to(kind, strict=False)
                else:
                    place = pl.col(item.name).cast(kind, strict=False)
                asked[item.name] = place
        return asked

    def numbers(self, frame: pl.DataFrame, checked: pl.DataFrame) -> pl.DataFrame:
        """What rules over lines need of every row: the columns of `KEYS` and `SPAN`.

        Args:
            frame: as `check` takes it.
            checked: what that gave.
        """
        days = tuple(name for name in self.record.key if checked.schema.get(name) == pl.Date)
        key = days, frozenset(checked.columns)
        if key not in self._numbers:
            found = key_columns(self.form, self.record, BAD, days)
            found += span_columns(self.record, checked.columns)
            asked = dict.fromkeys(name for item in found for name in item.meta.root_names())
            self._numbers[key] = found, tuple(asked)
        found, names = self._numbers[key]
        typed = {column.name for column in checked if not isinstance(column.dtype, pl.Enum)}
        # No other columns: polars first copies what is in pieces, whether it is asked for or not.
        columns = {name: (checked if name in typed else frame)[name] for name in names}
        return pl.DataFrame(columns).select_seq(found)

    @cached_property
    def _numbers(
        self,
    ) -> dict[tuple[tuple[str, ...], frozenset[str]], tuple[list[pl.Expr], tuple[str, ...]]]:
        return {}

    def _tests(
        self, fields: Collection[str], checks: frozenset[int], *, clean: bool
    ) -> dict[str, pl.Expr]:
        """`failing`, each under a name that no field has; built once for what is asked."""
        key = frozenset(fields), checks, clean
        if key not in self._known_tests:
            tests = failing(
                self.form, self.record, self.codes, fields=fields, checks=checks, clean=clean
            )
            self._known_tests[key] = {f"{TEST}{name}": test for name, test in tests.items()}
        return self._known_tests[key]

    @cached_property
    def _known_tests(
        self,
    ) -> dict[tuple[frozenset[str], frozenset[int], bool], dict[str, pl.Expr]]:
        return {}

    @cached_property
    def _rules(self) -> list[Rule]:
        return rules_of(self.form, self.record, self.codes)

    @cached_property
    def _own_rules(self) -> dict[str, list[Rule]]:
        """By field, its rules but for those over several fields."""
        found: dict[str, list[Rule]] = {}
        for rule in self._rules[: len(self._rules) - len(self._checks)]:
            found.setdefault(rule.field, []).append(rule)
        return found

    @cached_property
    def _checks(self) -> dict[str, Rule]:
        """Rules over several fields by their place, as text."""
        count = len(self.form.checks_of(self.record))
        return {str(place): self._rules[place - count] for place in range(count)}

    def undecodable(self, frame: pl.DataFrame) -> pl.Series:
        """By row of an all-string frame: whether a character in it cannot be read (R106)."""
        fails = [rule.fails for rule in self._rules if rule.code == UNDECODABLE]
        return frame.select_seq(pl.any_horizontal(pl.repeat(False, pl.len()), *fails)).to_series()

    def details(
        self, frame: pl.DataFrame, *, rows: Ints | None = None, settled: Settled | None = None
    ) -> pl.DataFrame:
        """Findings (row of the frame, field, code) of strings, by expressions: any number of rows.

        Args:
            rows: those to be looked at, ascending; None: all.
            settled: what `check` told of the frame; None: nothing is known.
        """
        if settled is None:
            return _findings([*_broken(frame, self._rules, rows)])
        failing = {name: _among(found, rows) for name, found in settled.failing.items()}
        forbidding = [rule for rule in self._rules if rule.suspicious_only]
        odd = _among(settled.suspicious, rows)
        return _findings([*self._explained(frame, failing), *_broken(frame, forbidding, odd)])

    def details_with_pandera(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The same findings by the declared schema: for few rows.

        pandera takes a millisecond for each column and check, of which a schema has a hundred. What
        no row breaks, by one query over all rules, is not asked: it has nothing to say.
        """
        from koukan.rules.schema import schema_of, validate_with_pandera

        broken = frame.select_seq(
            rule.fails.any().alias(f"{number:03d}") for number, rule in enumerate(self._rules)
        ).row(0)
        asked = [
            rule for rule, fails in zip(self._rules, broken, strict=True) if fails is not False
        ]
        schema = schema_of(self.form, self.record, asked, whole=False)
        return validate_with_pandera(schema, frame[list(schema.columns)])


def _given_rows(
    frame: pl.DataFrame, rare: Collection[str], tests: Mapping[str, pl.Expr]
) -> Iterator[tuple[Ints, pl.DataFrame]]:
    """The rows that have any of some fields, ascending, if there are any; and their tests."""
    there = [mask for name in sorted(rare) if (mask := present(frame[name])) is not None]
    if there:
        rows = np.flatnonzero(np.logical_or.reduce(there))
        yield rows, frame[rows].with_columns_seq(**tests)[list(tests)]


def _failing(frame: pl.DataFrame) -> dict[str, Ints]:
    """Rows by what they fail, if any, of a frame with columns of tests."""
    tests = [name for name in frame.columns if name.startswith(TEST)]
    found = {name: np.flatnonzero(frame[name].to_numpy()) for name in tests}
    return {name.removeprefix(TEST): rows for name, rows in found.items() if len(rows)}


def _among(rows: Ints, wanted: Ints | None) -> Ints:
    """Those of some rows that are wanted; None: all are."""
    return rows if wanted is None else np.intersect1d(rows, wanted, assume_unique=True)


def _broken(
    frame: pl.DataFrame, rules: Sequence[Rule], rows: Ints | None = None
) -> Iterator[Broken]:
    """Each rule, and which of these rows break it; None: of all."""
    if not rules:
        return
    names = dict.fromkeys(name for rule in rules for name in rule.fails.meta.root_names())
    part = frame[list(names)]
    if rows is not None:
        part = part[rows]
    flags = part.select_seq(rule.fails.alias(f"{number:03d}") for number, rule in enumerate(rules))
    for rule, column in zip(rules, flags.get_columns(), strict=True):
        places = np.flatnonzero(column.to_numpy())
        yield Broken(rule, places if rows is None else rows[places])


def _findings(broken: Sequence[Broken]) -> pl.DataFrame:
    """Each row with each field and code once; sorted as numbers, not as texts."""
    pairs = sorted({(rule.field, rule.code) for rule, _ in broken})
    place = {pair: number for number, pair in enumerate(pairs)}
    marks = [rows * len(pairs) + place[rule.field, rule.code] for rule, rows in broken]
    found = pl.Series(np.concatenate([np.zeros(0, np.int64), *marks])).unique().sort().to_numpy()
    row, pair = np.divmod(found, max(len(pairs), 1))
    texts = pl.DataFrame(pairs, schema=("field", "code"), orient="row")
    columns = {"row": row, **{name: texts[name].gather(pair) for name in texts.columns}}
    return pl.DataFrame(columns, schema=FINDINGS)


_compiled: dict[str, dict[str, Validator]] = {}  # by hash of the definition


def validators(bundle: Bundle) -> dict[str, Validator]:
    """One for each record type, by section."""
    if bundle.digest not in _compiled:
        _compiled[bundle.digest] = {
            record.section: Validator(bundle.form, record, bundle.codes)
            for record in bundle.form.records
        }
    return _compiled[bundle.digest]
