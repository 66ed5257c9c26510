"""How insurers write what the resident register has: other widths, spaces, characters, hyphens.

An insurer keeps what its members once filled in, so its 基本4情報 differ from the register's in the
ways that real files do. Each habit has a share of all persons; most are written as they should be.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from koukan.samples.draws import Draws, Ints
from koukan.samples.population import PERSON, Population

WIDE_SPACE = "　"
VARIANTS = {"髙": "高", "﨑": "崎", "濵": "浜", "沢": "澤"}
LONG_VOWEL = "([コソトノホモヨロゴゾドボポョュユ])ウ"  # タロウ is written タロー, too
ADDRESS = "([０-９])丁目([０-９]+)番([０-９]+)号"
DIGITS = dict(zip("０１２３４５６７８９", "0123456789", strict=True))
KANJI = {
    f"{digit}丁目": f"{kanji}丁目"
    for digit, kanji in zip("１２３４５６７８９", "一二三四五六七八九", strict=True)
}
ELSEWHERE = 2_000_000_000  # so many persons on somebody lives whose address is an old one
OLD_ADDRESS, OTHER_NAME, NO_SEX = 5, 500, 100  # of a thousand


def _half_width() -> dict[str, str]:
    """Full-width kana and their marks -> half-width ones, a voiced kana as two."""
    found: dict[str, str] = {}
    for point in range(0xFF61, 0xFFA0):
        for mark in ("", "ﾞ", "ﾟ"):
            half = chr(point) + mark
            full = unicodedata.normalize("NFKC", half)
            if len(full) == 1:
                found.setdefault(full, half)
    return found


HALF_WIDTH = _half_width()
HIRAGANA = {chr(point): chr(point - 0x60) for point in range(ord("ァ"), ord("ン") + 1)}


@dataclass(frozen=True)
class _Habit:
    """Of a thousand persons `share` are written so."""

    share: int
    written: pl.Expr


def _habits(draw: pl.Series, column: str, habits: Sequence[_Habit]) -> pl.Expr:
    """Each person's value by the habit that was drawn (0 to 999); else as the column has it."""
    found = pl.col(column)
    bound = sum(habit.share for habit in habits)
    for habit in reversed(habits):
        found = pl.when(pl.lit(draw) < bound).then(habit.written).otherwise(found)
        bound -= habit.share
    return found


def _name() -> list[_Habit]:
    name = pl.col("name")
    return [
        _Habit(80, name.str.replace_all(WIDE_SPACE, " ")),
        _Habit(80, name.str.replace_all(WIDE_SPACE, "")),
        _Habit(200, name.str.replace_many(HALF_WIDTH)),  # only names of kana change
        _Habit(200, name.str.replace_many(VARIANTS)),
    ]


def _kana() -> list[_Habit]:
    kana = pl.col("name_kana")
    half = kana.str.replace_many({**HALF_WIDTH, WIDE_SPACE: " "})
    return [
        _Habit(80, half),
        _Habit(40, kana.str.replace_many(HIRAGANA)),
        _Habit(60, kana.str.replace_all(WIDE_SPACE, "")),
        *(_Habit(20, kana.str.replace_all(LONG_VOWEL, "${1}" + mark)) for mark in "ー－‐-"),
        _Habit(60, pl.lit(None, pl.String)),
    ]


def _address() -> list[_Habit]:
    address = pl.col("address")
    ascii_digits = address.str.replace_many(DIGITS)

    def notation(value: pl.Expr, text: str) -> pl.Expr:
        return value.str.replace(ADDRESS, text)

    hyphens = notation(address, "${1}－${2}－${3}")
    return [
        _Habit(60, ascii_digits),
        _Habit(60, hyphens),
        _Habit(60, notation(address, "${1}-${2}-${3}").str.replace_many(DIGITS)),
        _Habit(20, notation(address, "${1}ー${2}ー${3}")),
        _Habit(20, notation(address, "${1}‐${2}‐${3}")),
        _Habit(30, notation(address, "${1}丁目${2}番地${3}")),
        _Habit(20, notation(address, "${1}丁目${2}番地の${3}")),
        _Habit(30, address.str.replace_many(KANJI)),
        _Habit(30, address.str.replace_all(WIDE_SPACE, "")),
        _Habit(30, address.str.replace_all(WIDE_SPACE, " ")),
    ]


def as_insurers_write(population: Population, persons: Ints, *, seed: int) -> pl.DataFrame:
    """The 基本4情報 of persons as one insurer keeps them.

    Args:
        seed: the insurer's; the same person is always written the same by it.

    Returns:
        resident_name, resident_name_kana, birth_date, sex, address: strings, null where the
        insurer does not know.
    """
    draws = Draws(seed)

    def drawn(stream: str) -> pl.Series:
        return pl.Series(draws.below(stream, persons, 1000))

    people = population.select(persons)
    people = people.with_columns(address=_older(population, people, drawn("older")))
    other = pl.lit(drawn("other") < OTHER_NAME)
    people = people.with_columns(
        pl.when(other & pl.col("other_name").is_not_null())
        .then(pl.col(f"other_{name}"))
        .otherwise(pl.col(name))
        .alias(name)
        for name in ("name", "name_kana")
    )
    return people.select(
        resident_name=_habits(drawn("name"), "name", _name()),
        resident_name_kana=_habits(drawn("kana"), "name_kana", _kana()),
        birth_date="birth_date",
        sex=pl.when(pl.lit(drawn("sex") >= NO_SEX)).then(pl.col("sex")),
        address=_habits(drawn("address"), "address", _address()),
    )


def _older(population: Population, people: pl.DataFrame, draw: pl.Series) -> pl.Series:
    """The addresses, a few of them those where the persons once lived and nobody knows of."""
    few = (draw < OLD_ADDRESS).arg_true()
    if few.is_empty():
        return people["address"]
    there = population.select(people[PERSON].gather(few).to_numpy() + ELSEWHERE)["address"]
    return people["address"].clone().scatter(few, there)
