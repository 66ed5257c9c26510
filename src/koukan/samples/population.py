"""Invented persons, by number: person i is the same whatever range is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from functools import cache

import numpy as np
import polars as pl

from koukan.rules.checkdigits import complete
from koukan.samples import vocabulary as words
from koukan.samples.draws import Draws, Ints, day_number, day_text

PERSON = "person"
# Ten persons in a row are four households of one, two, four and three; the first is the head.
HEADS = np.array([0, 1, 1, 3, 3, 3, 3, 7, 7, 7])
YEAR = 365
LAST_BIRTH = day_number(date(2025, 12, 31))
DIGITS = str.maketrans("0123456789", "０１２３４５６７８９")


@cache
def _wide_numbers(length: int) -> pl.Series:
    return pl.Series([f"{number:0{length}d}".translate(DIGITS) for number in range(10_000)])


def wide(numbers: Ints, length: int = 1) -> pl.Series:
    """Full-width digits of numbers below 10,000, with leading zeros up to `length`."""
    return _wide_numbers(length).gather(numbers)


def text(numbers: Ints, length: int) -> pl.Series:
    """ASCII digits with leading zeros."""
    return pl.Series(numbers).cast(pl.String).str.zfill(length)


@cache
def _column(pairs: tuple[words.Pair, ...], part: int) -> pl.Series:
    return pl.Series([pair[part] for pair in pairs])


def _pick(values: Sequence[str], numbers: Ints) -> pl.Series:
    return pl.Series(list(values)).gather(numbers)


class Population:
    """A population of up to 10**10 persons, none of whom is kept.

    Args:
        seed: another seed is another population.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._draws = Draws(seed)

    def people(self, start: int, stop: int) -> pl.DataFrame:
        """Persons `start` to `stop` - 1, one row each.

        Returns:
            person (Int64), born (Int64, day number of the birth, known even where birth_date is
            not), place (Int64, 0 for the head of the household); as strings: my_number, name,
            name_kana, other_name, other_name_kana (null for most), sex, birth_date, address,
            post_number, municipality_code, household_number, head_name.
        """
        return self.select(np.arange(start, stop, dtype=np.int64))

    def select(self, persons: Ints) -> pl.DataFrame:
        """The same for any persons in any order."""
        head = persons - persons % 10 + HEADS[persons % 10]
        born = self._born(persons, head)
        frame = pl.DataFrame({PERSON: persons, "born": born, "place": persons - head})
        name, kana = self._names(persons, head)
        head_name, _ = self._names(head, head)
        return frame.with_columns(
            my_number=self.numbers(persons),
            name=name,
            name_kana=kana,
            sex=self._sex(persons),
            birth_date=self._birth_date(persons, born),
            post_number=text(9_990_000 + head % 10_000, 7),
            household_number=text(head, 10),
            head_name=head_name,
            **self._address(head),
            **self._other_names(persons, head),
        ).with_columns(pl.concat_str(pl.lit("H"), "household_number").alias("household_number"))

    def numbers(self, persons: Ints) -> pl.Series:
        """個人番号 with right check digits, unique; made when asked for and never shipped."""
        return text(complete("my_number", self._draws.eleven_digits(persons)), 12)

    def _sex(self, persons: Ints) -> pl.Series:
        drawn = self._draws.below("sex", persons, 1000)
        return _pick("123", np.where(drawn >= 998, 2, drawn % 2))

    def _born(self, persons: Ints, head: Ints) -> Ints:
        grown = np.where(persons == head, 20 * YEAR, 0)
        return LAST_BIRTH - grown - self._draws.below("born", persons, 78 * YEAR)

    def _birth_date(self, persons: Ints, born: Ints) -> pl.Series:
        """One in a hundred knows the year only, or year and month."""
        known = day_text(born)
        drawn = self._draws.below("uncertain", persons, 200)
        return pl.select(
            pl.when(pl.Series(drawn == 0))
            .then(known.str.head(4) + "0000")
            .when(pl.Series(drawn == 1))
            .then(known.str.head(6) + "00")
            .otherwise(known)
        ).to_series()

    def _names(self, persons: Ints, head: Ints) -> tuple[pl.Series, pl.Series]:
        surname = self._draws.below("surname", head, len(words.SURNAMES))
        given = self._draws.below("given", persons, len(words.MALE_NAMES))
        male = pl.Series(self._draws.below("sex", persons, 1000) % 2 == 0)
        joined = []
        for part in (0, 1):
            first = pl.select(
                pl.when(male)
                .then(_column(words.MALE_NAMES, part).gather(given))
                .otherwise(_column(words.FEMALE_NAMES, part).gather(given))
            ).to_series()
            joined.append(_column(words.SURNAMES, part).gather(surname) + "　" + first)
        return joined[0], joined[1]

    def _other_names(self, persons: Ints, head: Ints) -> dict[str, pl.Series]:
        """Three in a hundred have another name beside the one on the card."""
        other = self._draws.below("other surname", persons, 100)
        has = pl.Series(self._draws.below("other", persons, 100) < 3)
        name, kana = self._names(persons, head + 10 * other + 10)
        empty = pl.lit(None, pl.String)
        return {
            "other_name": pl.select(pl.when(has).then(name).otherwise(empty)).to_series(),
            "other_name_kana": pl.select(pl.when(has).then(kana).otherwise(empty)).to_series(),
        }

    def _address(self, head: Ints) -> dict[str, pl.Series]:
        draw = self._draws.below
        municipality = draw("municipality", head, len(words.MUNICIPALITIES))
        building = draw("building", head, len(words.BUILDINGS))
        room = wide(101 + draw("room", head, 899)) + "号室"
        named = pl.Series(building >= words.BUILDINGS.count(""))
        address = (
            words.PREFECTURE
            + _pick(words.MUNICIPALITIES, municipality)
            + _pick(words.TOWNS, draw("town", head, len(words.TOWNS)))
            + wide(1 + draw("block", head, 9))
            + "丁目"
            + wide(1 + draw("lot", head, 99))
            + "番"
            + wide(1 + draw("house", head, 40))
            + "号"
            + _pick(words.BUILDINGS, building)
            + pl.select(pl.when(named).then(room).otherwise(pl.lit(""))).to_series()
        )
        body = words.PREFECTURE_CODE * 1000 + 201 + municipality
        return {
            "address": address,
            "municipality_code": text(complete("municipality_code", body), 6),
        }
