"""The rules of one record said again in plain Python, value by value."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from datetime import date

from koukan.formats import Catalogue, Format, Record
from koukan.formats.model import Check, Field

Row = Mapping[str, str | None]
Finding = tuple[str, str]  # field, code
KANA = {chr(code) for code in range(ord("ァ"), ord("ヺ") + 1)} | set("ー・ヽヾ　（）．，－’")


def private(character: str) -> bool:
    return character == "\ufffd" or unicodedata.category(character) == "Co"


def forbidden(character: str) -> bool:
    return character == "〓" or unicodedata.category(character) in ("Cc", "Cf", "Zl", "Zp")


def day(value: str) -> date | None:
    if not re.fullmatch(r"[0-9]{8}", value):
        return None
    try:
        found = date(int(value[:4]), int(value[4:6]), int(value[6:]))
    except ValueError:
        return None
    return found if found >= date(1868, 1, 1) else None


def uncertain(value: str) -> bool:
    """00 for an unknown day or month, 0000 for an unknown year; the rest must be possible."""
    if not re.fullmatch(r"[0-9]{8}", value):
        return False
    year, month, of_month = int(value[:4]), int(value[4:6]), int(value[6:])
    if 0 < year < 1868:
        return False
    if month == 0:
        return of_month == 0 or (year == 0 and of_month <= 31)
    if month > 12:
        return False
    return of_month == 0 or (year == 0 and of_month <= 31)


def luhn(body: str) -> int:
    total = 0
    for place, digit in enumerate(reversed(body)):
        product = int(digit) * (1 if place % 2 else 2)
        total += product // 10 + product % 10
    return -total % 10


def right_digit(check: str, value: str) -> bool:
    body, digit = value[:-1], int(value[-1])
    if check == "my_number_check_digit":
        weights = (6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2)
        rest = sum(int(one) * weight for one, weight in zip(body, weights, strict=True)) % 11
        return digit == (0 if rest <= 1 else 11 - rest)
    if check == "municipality_check_digit":
        rest = sum(int(one) * weight for one, weight in zip(body, (6, 5, 4, 3, 2), strict=True))
        return digit == (11 - rest % 11) % 10
    if check == "public_payer_check_digit" and value >= "80":
        return True
    return digit == luhn(body)


def right(check: str, value: str) -> bool:
    """Whether a value that is well formed passes a check of its content."""
    if check.endswith("_check_digit"):
        return right_digit(check, value)
    if check == "no_delimiter":
        return not set(value) & set(',"')
    if check == "no_my_number":
        digits = "".join(unicodedata.normalize("NFKC", value).split())
        digits = re.sub("[-‐‑‒–—―−─━﹘﹣ー]", "", digits)
        looks = len(digits) == 12 and digits.isascii() and digits.isdecimal()
        return not (looks and right_digit("my_number_check_digit", digits))
    if check == "package_name":
        return len(value) > len("PK_.age") and value[:3] == "PK_" and value[-4:] == ".age"
    assert check == "year_month"
    return day(f"{value}01") is not None


CODES = {
    "my_number_check_digit": "R201",
    "insurer_check_digit": "R202",
    "municipality_check_digit": "R203",
    "public_payer_check_digit": "R204",
    "recipient_check_digit": "R205",
    "institution_check_digit": "R206",
    "year_month": "R105",
    "no_delimiter": "R109",
    "package_name": "R110",
    "no_my_number": "R207",
}


def of_field(item: Field, value: str | None, catalogue: Catalogue) -> set[str]:
    if value is None:
        return {"R101"} if item.required else set()
    codes = set()
    fits = item.shortest <= len(value) <= item.length
    if item.type in ("digits", "datetime", "ascii"):
        allowed = r"[!-~]+" if item.type == "ascii" else r"[0-9]+"
        if not fits:
            codes.add("R102")
        if not re.fullmatch(allowed, value):
            codes.add("R103")
    elif item.type == "code":
        if value not in catalogue.codes[item.codes or ""].values:
            codes.add("R104")
    elif item.type == "date":
        if day(value) is None and not (item.uncertain and uncertain(value)):
            codes.add("R105")
    else:
        codes |= of_text(item, value)
    if not codes:
        codes |= {CODES[check] for check in item.checks if not right(check, value)}
    return codes


def of_text(item: Field, value: str) -> set[str]:
    codes = set()
    if len(value) > item.length:
        codes.add("R102")
    if any(private(one) for one in value):
        codes.add("R106")
    if any(forbidden(one) for one in value):
        codes.add("R108")
    strange = (one for one in value if one not in KANA and one not in "〓\ufffd")
    told = ("Cc", "Cf", "Co")  # have a code of their own
    if item.type == "kana" and any(unicodedata.category(one) not in told for one in strange):
        codes.add("R107")
    return codes


def breaks(check: Check, row: Row) -> bool:  # noqa: C901, PLR0911 - one for each check
    values = [row[name] for name in check.fields]
    applies = all(row[name] in allowed for name, allowed in check.when.items())
    match check.use:
        case "empty_when":
            return applies and any(value is not None for value in values)
        case "present_when":
            return applies and any(value is None for value in values)
        case "never_when":
            return applies
        case "one_given":
            return applies and not any(value is not None for value in values)
        case "given_with":
            return applies and values[-1] is None and set(values) != {None}
        case "not_with":
            return applies and values[-1] is not None and set(values[:-1]) != {None}
        case "different":
            return applies and values[0] is not None and values[0] == values[1]
        case "exactly_one":
            return sum(value is not None for value in values) != 1
        case "both_or_none":
            return (values[0] is None) != (values[1] is None)
        case "earlier":
            return None not in values and not values[0] < values[1]  # type: ignore[operator]
        case "not_later":
            return None not in values and values[0] > values[1]  # type: ignore[operator]
        case "search_items":
            whole = any(all(row[name] is not None for name in names) for names in check.sets)
            return applies and not whole
    raise AssertionError(check.use)


def findings(form: Format, record: Record, row: Row, catalogue: Catalogue) -> set[Finding]:
    """Every (field, code) of one record."""
    found = set()
    for item in form.fields(record):
        found |= {(item.name, code) for code in of_field(item, row[item.name], catalogue)}
    for check in form.checks_of(record):
        if breaks(check, row):
            found.add((check.fields[-1], check.code))
    return found
