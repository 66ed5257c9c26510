"""Rules of one record type as polars expressions, compiled from its definition.

Each rule says when a row *fails*; its expression is never null: an absent value passes, an
undecidable one fails. The same rules make the tests that every row passes, the details
of rows that failed one, and the pandera schema (`koukan.rules.schema`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from koukan.formats.model import Check, CodeList, Field, Format, Record
from koukan.rules.checkdigits import valid
from koukan.rules.spotting import free_of_my_numbers

# Undecodable bytes become U+FFFD; the private area means something to its sender only.
PRIVATE = "[\ufffd\ue000-\uf8ff\U000f0000-\U0010ffff]"
# Controls, invisible and direction-changing characters, and the mark of a lost character.
FORBIDDEN = r"[\p{Cc}\p{Cf}\p{Zl}\p{Zp}〓]"
KANA = r"^[ァ-ヺー・ヽヾ　（）．，－’〓\p{Cc}\p{Cf}\uFFFD\uE000-\uF8FF]+$"
KANA = KANA.replace(r"\uFFFD", "\ufffd").replace(r"\uE000-\uF8FF", "\ue000-\uf8ff")
EARLIEST = "18680101"  # no date of the field lies before 明治
UNCERTAIN = (
    r"^([0-9]{4}(0[0-9]|1[0-2])00|0000(0[0-9]|1[0-2])(0[0-9]|[12][0-9]|3[01])|[0-9]{4}0000)$"
)
# What rows break, whoever finds it: row, field and code, nothing of any value.
FINDINGS = pl.Schema({"row": pl.Int64, "field": pl.String, "code": pl.String})


@dataclass(frozen=True)
class Rule:
    """`fails` is true for the rows that break it; `field` is what the sender is pointed to."""

    code: str
    field: str
    fails: pl.Expr
    suspicious_only: bool = False  # cannot fail in content that the decoder found clean


def _absent_passes(column: pl.Expr, test: pl.Expr) -> pl.Expr:
    return column.is_not_null() & ~test.fill_null(False)


def as_date(name: str) -> pl.Expr:
    """A date column from its eight digits; null where there is no such day."""
    column = pl.col(name)
    day = column.str.to_date("%Y%m%d", strict=False)
    return pl.when(column >= EARLIEST).then(day)


def is_date(item: Field) -> pl.Expr:
    """Eight digits that are a day of the calendar (or an uncertain one where that is allowed)."""
    column = pl.col(item.name)
    real = as_date(item.name).is_not_null() & column.str.contains(r"^[0-9]{8}$")
    if not item.uncertain:
        return real
    possible_year = (column >= EARLIEST[:4]) | column.str.starts_with("0000")
    return real | (column.str.contains(UNCERTAIN) & possible_year)


def well_formed(item: Field, codes: Mapping[str, CodeList]) -> pl.Expr:
    """One cheap test of a field's form: length and class of characters together."""
    column = pl.col(item.name)
    span = f"{{{item.shortest},{item.length}}}"
    match item.type:
        case "digits" | "datetime":
            return column.str.contains(f"^[0-9]{span}$")
        case "ascii":
            return column.str.contains(f"^[!-~]{span}$")
        case "code":
            assert item.codes is not None
            return column.is_in(list(codes[item.codes].values))
        case "date":
            return is_date(item)
        case "kana":
            return (column.str.len_chars() <= item.length) & column.str.contains(KANA)
        case _:  # text
            return column.str.len_chars() <= item.length


def _form_rules(item: Field, codes: Mapping[str, CodeList]) -> list[Rule]:
    """Why a field's form is wrong, by code."""
    column, rules = pl.col(item.name), []

    def rule(code: str, passes: pl.Expr, *, suspicious_only: bool = False) -> None:
        fails = _absent_passes(column, passes)
        rules.append(Rule(code, item.name, fails, suspicious_only))

    if item.required:
        rules.append(Rule("R101", item.name, column.is_null()))
    if item.type in ("digits", "ascii", "datetime"):
        allowed = r"^[!-~]+$" if item.type == "ascii" else r"^[0-9]+$"
        rule("R102", column.str.len_chars().is_between(item.shortest, item.length))
        rule("R103", column.str.contains(allowed))
    elif item.type == "code":
        rule("R104", well_formed(item, codes))
    elif item.type == "date":
        rule("R105", well_formed(item, codes))
    else:
        rule("R102", column.str.len_chars() <= item.length)
        rule("R106", ~column.str.contains(PRIVATE), suspicious_only=True)
        if item.type == "kana":
            rule("R107", column.str.contains(KANA))
        rule("R108", ~column.str.contains(FORBIDDEN), suspicious_only=True)
    return rules


def _local_public_payer(number: pl.Expr) -> pl.Expr:
    """Numbers of local subsidies (80 on) do not reliably carry a check digit: not judged."""
    return (number >= "80") | valid("public_payer_number", number)


def _year_month(value: pl.Expr) -> pl.Expr:
    """YYYYMM of any month since 明治."""
    return value.str.contains("^[0-9]{4}(0[1-9]|1[0-2])$") & (value >= EARLIEST[:6])


def _moment(value: pl.Expr) -> pl.Expr:
    """Fourteen digits that are a second of a day of the calendar."""
    day = value.str.head(8)
    real = day.str.to_date("%Y%m%d", strict=False).is_not_null() & (day >= EARLIEST)
    return real & value.str.contains("^[0-9]{8}([01][0-9]|2[0-3])[0-5][0-9][0-5][0-9]$")


def _no_delimiter(value: pl.Expr) -> pl.Expr:
    """What is handed on in a CSV file may not shift its fields."""
    return ~value.str.contains(r'[,"]')


def _package_name(value: pl.Expr) -> pl.Expr:
    """The name of the file that lies in the outbox: neither its signature's nor the archive's."""
    return value.str.contains(r"^(PK|CF|UX|CX)_[!-~]+\.age$")


CHECK_KINDS = {  # whose numbers `koukan.rules.checkdigits` knows
    "my_number_check_digit": "my_number",
    "institution_check_digit": "institution_code",
    "insurer_check_digit": "insurer_number",
    "municipality_check_digit": "municipality_code",
    "public_payer_check_digit": "public_payer_number",
    "recipient_check_digit": "recipient_number",
}
CHECKS: dict[str, tuple[str, Callable[[pl.Expr], pl.Expr]]] = {
    "my_number_check_digit": ("R201", lambda number: valid("my_number", number)),
    "insurer_check_digit": ("R202", lambda number: valid("insurer_number", number)),
    "municipality_check_digit": ("R203", lambda number: valid("municipality_code", number)),
    "public_payer_check_digit": ("R204", _local_public_payer),
    "no_delimiter": ("R109", _no_delimiter),
    "package_name": ("R110", _package_name),
    "no_my_number": ("R207", free_of_my_numbers),
    "recipient_check_digit": ("R205", lambda number: valid("recipient_number", number)),
    "institution_check_digit": ("R206", lambda number: valid("institution_code", number)),
    "year_month": ("R105", _year_month),
    "moment": ("R105", _moment),
}


def _has_value(name: str, values: Sequence[str]) -> pl.Expr:
    """One value is compared, not searched for: a quarter of the cost."""
    column = pl.col(name)
    found = column == values[0] if len(values) == 1 else column.is_in(list(values))
    return found.fill_null(False)


def _when(check: Check) -> pl.Expr:
    if not check.when:
        return pl.lit(True)
    return pl.all_horizontal(_has_value(name, values) for name, values in check.when.items())


def _never_when(check: Check) -> pl.Expr:
    return _when(check)


def _empty_when(check: Check) -> pl.Expr:
    return _when(check) & pl.any_horizontal(pl.col(name).is_not_null() for name in check.fields)


def _present_when(check: Check) -> pl.Expr:
    return _when(check) & pl.any_horizontal(pl.col(name).is_null() for name in check.fields)


def _one_given(check: Check) -> pl.Expr:
    return _when(check) & pl.all_horizontal(pl.col(name).is_null() for name in check.fields)


def _given_with(check: Check) -> pl.Expr:
    *others, needed = check.fields
    given = pl.any_horizontal(pl.col(name).is_not_null() for name in others)
    return _when(check) & given & pl.col(needed).is_null()


def _not_with(check: Check) -> pl.Expr:
    *others, last = check.fields
    given = pl.any_horizontal(pl.col(name).is_not_null() for name in others)
    return _when(check) & given & pl.col(last).is_not_null()


def _different(check: Check) -> pl.Expr:
    first, second = check.fields
    return _when(check) & (pl.col(first) == pl.col(second)).fill_null(False)


def _exactly_one(check: Check) -> pl.Expr:
    return pl.sum_horizontal(pl.col(name).is_not_null() for name in check.fields) != 1


def _both_or_none(check: Check) -> pl.Expr:
    first, second = check.fields
    return pl.col(first).is_null() != pl.col(second).is_null()


def _earlier(check: Check) -> pl.Expr:
    first, second = check.fields  # eight digits each: their order as text is that of the days
    return (pl.col(first) >= pl.col(second)).fill_null(False)


def _not_later(check: Check) -> pl.Expr:
    first, second = check.fields
    return (pl.col(first) > pl.col(second)).fill_null(False)


def _search_items(check: Check) -> pl.Expr:
    whole = [
        pl.all_horizontal(pl.col(name).is_not_null() for name in names) for names in check.sets
    ]
    return _when(check) & ~pl.any_horizontal(whole)


CROSS_CHECKS: dict[str, Callable[[Check], pl.Expr]] = {
    "empty_when": _empty_when,
    "present_when": _present_when,
    "never_when": _never_when,
    "one_given": _one_given,
    "given_with": _given_with,
    "not_with": _not_with,
    "different": _different,
    "exactly_one": _exactly_one,
    "both_or_none": _both_or_none,
    "earlier": _earlier,
    "not_later": _not_later,
    "search_items": _search_items,
}
# Whether a row of a frame can break a check at all, told from its fields in their order: which are
# given in some row, and which are absent in some row. Kinds that are not named always can.
CAN_BREAK: dict[str, Callable[[Sequence[bool], Sequence[bool]], bool]] = {
    "empty_when": lambda given, _: any(given),
    "present_when": lambda _, absent: any(absent),
    "one_given": lambda _, absent: all(absent),
    "given_with": lambda given, absent: any(given[:-1]) and absent[-1],
    "not_with": lambda given, _: any(given[:-1]) and given[-1],
    "both_or_none": lambda given, absent: any(given) and any(absent),
    "different": lambda given, _: all(given),
    "earlier": lambda given, _: all(given),
    "not_later": lambda given, _: all(given),
}


def can_break(check: Check, empty: Collection[str], full: Collection[str]) -> bool:
    """Whether a frame with these columns of no value, and of no absent value, may break it."""
    if not check.when.keys().isdisjoint(empty):
        return False
    given = [name not in empty for name in check.fields]
    absent = [name not in full for name in check.fields]
    return check.use not in CAN_BREAK or CAN_BREAK[check.use](given, absent)


def breakable(
    form: Format, record: Record, empty: Collection[str], full: Collection[str]
) -> frozenset[int]:
    """Places of the checks over several fields that a frame with these columns can break."""
    checks = enumerate(form.checks_of(record))
    return frozenset(place for place, check in checks if can_break(check, empty, full))


def rules_of(form: Format, record: Record, codes: Mapping[str, CodeList]) -> list[Rule]:
    """Every rule of a record type, in field order, the cross-field ones last."""
    rules = []
    for item in form.fields(record):
        rules += _form_rules(item, codes)
        for name in item.checks:
            code, passes = CHECKS[name]
            formed = well_formed(item, codes).fill_null(False)
            fails = formed & _absent_passes(pl.col(item.name), passes(pl.col(item.name)))
            rules.append(Rule(code, item.name, fails))
    for check in form.checks_of(record):
        rules.append(Rule(check.code, check.fields[-1], CROSS_CHECKS[check.use](check)))
    return rules


def failing(
    form: Format,
    record: Record,
    codes: Mapping[str, CodeList],
    *,
    fields: Collection[str],
    checks: Collection[int],
    clean: bool,
) -> dict[str, pl.Expr]:
    """Tests that every row passes: true where it breaks any rule of a field, or one over several.

    Args:
        fields: those to be tested. Others cannot fail in the frame at hand: they were proven by the
            gate, or are optional and without any value.
        checks: places of those over several fields that are to be tested.
        clean: the decoder found no character that the rules forbid.

    Returns:
        tests by the name of a field, and by the place of a check.
    """
    forbidding = [] if clean else [r for r in rules_of(form, record, codes) if r.suspicious_only]
    found = {}
    for item in form.fields(record):
        if item.name not in fields:
            continue
        column = pl.col(item.name)
        formed = well_formed(item, codes)
        if item.required:
            fails = [~formed.fill_null(False)]
        else:  # a date's test is false, not null, where the field is empty
            fails = [column.is_not_null() & ~formed if item.type == "date" else ~formed]
        fails += [~CHECKS[name][1](column) for name in item.checks]
        fails += [rule.fails for rule in forbidding if rule.field == item.name]
        found[item.name] = pl.any_horizontal(fails).fill_null(False)
    for place, check in enumerate(form.checks_of(record)):
        if place in checks:
            found[str(place)] = CROSS_CHECKS[check.use](check)
    return found


def unknown_checks(form: Format) -> list[str]:
    """Names of checks that a definition uses and nobody wrote."""
    used = {name for item in form.all_fields for name in item.checks} - set(CHECKS)
    cross = {check.use for record in form.records for check in form.checks_of(record)}
    return sorted(used | (cross - set(CROSS_CHECKS)))
