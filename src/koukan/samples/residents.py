"""The resident register of the invented persons, as 住基ネット would know it.

Life went on since the insurers registered them: some died, moved or got another 個人番号, a few are
not in the register, and for a few there is another person of the same name, birth date and address.
The register is handed to the counterpart as a file and koukan never sees it.
"""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl

from koukan.durable import publish, temporary_name
from koukan.samples import vocabulary as words
from koukan.samples.draws import Draws, Ints, day_number, day_text
from koukan.samples.population import PERSON, Population
from koukan.samples.spelling import LONG_VOWEL

# What became of a person, by one draw of a thousand.
DEAD, MOVED, RENUMBERED, UNKNOWN, DOUBLED = 15, 40, 10, 20, 3
# Persons so far on lend a moved one their address, a renumbered one their number, and the second of
# two of the same name the number and the rest of life.
ADDRESS_OF, NUMBER_OF, DOUBLE_OF = 3_000_000_000, 10_000_000_000, 20_000_000_000
NO_KANA, LONG_KANA = 30, 50  # of a thousand: kana missing, long vowels written with ー
FIRST_DAY, LAST_DAY = day_number(date(2025, 4, 1)), day_number(date(2026, 3, 31))
FOREIGN_MARK = "・"
PIECE = 50_000  # persons in memory at the same time


def residents(population: Population, persons: Ints) -> pl.DataFrame:
    """The register's rows about these persons; of unknown ones there is none, of doubled ones two.

    Returns:
        person (Int64; a double's own number lies beyond all others); as strings, empty where there
        is nothing to say: my_number, name, name_kana, birth_date, sex, resident_class, address,
        address_detail, municipality_code, municipality_name, death_date, moved_date, old_address
        (of those who moved), renumbered_date, old_my_number (of those whose number changed); and
        namesake (Int64), the other person of the same name, birth date, sex and address.
    """
    drawn = Draws(population.seed).below("fate", persons, 1000)
    bounds = np.cumsum([DEAD, MOVED, RENUMBERED, UNKNOWN, DOUBLED])
    fates = np.searchsorted(bounds, drawn, side="right")  # in the order of the shares; 5: nothing
    known = fates != 3
    persons, fates = persons[known], fates[known]
    frame = _with_fates(population, population.select(persons), fates)
    twice = fates == 4
    first = frame.filter(pl.Series(twice)).with_columns(namesake=pl.col(PERSON) + DOUBLE_OF)
    doubles = persons[twice] + DOUBLE_OF
    second = first.with_columns(
        pl.Series(PERSON, doubles),
        pl.Series("namesake", persons[twice]),
        my_number=population.numbers(doubles),
    )
    return pl.concat([frame.filter(pl.Series(~twice)), first, second]).sort(PERSON)


def _with_fates(population: Population, people: pl.DataFrame, fates: Ints) -> pl.DataFrame:
    persons = people[PERSON].to_numpy()
    dead, moved, renumbered = (pl.lit(pl.Series(fates == number)) for number in range(3))
    there = population.select(persons + ADDRESS_OF)
    empty = pl.lit("")

    def only(condition: pl.Expr, value: pl.Expr | pl.Series, other: pl.Expr = empty) -> pl.Expr:
        return pl.when(condition).then(value).otherwise(other)

    days = _days(population, people)
    frame = people.with_columns(
        my_number=only(renumbered, population.numbers(persons + NUMBER_OF), pl.col("my_number")),
        old_my_number=only(renumbered, pl.col("my_number")),
        name_kana=_kana(population, persons),
        resident_class=only(
            dead,
            pl.lit("3"),
            only(pl.col("name").str.contains(FOREIGN_MARK), pl.lit("2"), pl.lit("1")),
        ),
        address=only(moved, there["address"], pl.col("address")),
        old_address=only(moved, pl.col("address")),
        municipality_code=only(moved, there["municipality_code"], pl.col("municipality_code")),
        death_date=only(dead, days),
        moved_date=only(moved, days),
        renumbered_date=only(renumbered, days),
        namesake=pl.lit(None, pl.Int64),
    )
    place = pl.col("municipality_code").str.head(5).cast(pl.Int64)
    place -= words.PREFECTURE_CODE * 1000 + 201  # as the population numbers municipalities
    names = pl.Series([words.PREFECTURE + name for name in words.MUNICIPALITIES])
    frame = frame.with_columns(municipality_name=names.gather(frame.select(place).to_series()))
    return frame.select(
        PERSON, "my_number", "name", "name_kana", "birth_date", "sex", "resident_class", "address",
        pl.col("address").str.strip_prefix(pl.col("municipality_name")).alias("address_detail"),
        "municipality_code", "municipality_name", "death_date", "moved_date", "old_address",
        "renumbered_date", "old_my_number", "namesake",
    )  # fmt: skip


def _days(population: Population, people: pl.DataFrame) -> pl.Series:
    """The day on which it happened: in the last year, and not before the birth."""
    spread = LAST_DAY - FIRST_DAY + 1
    drawn = Draws(population.seed).below("fate day", people[PERSON].to_numpy(), spread)
    return day_text(np.maximum(FIRST_DAY + drawn, people["born"].to_numpy()))


def _kana(population: Population, persons: Ints) -> pl.Expr:
    drawn = pl.lit(pl.Series(Draws(population.seed).below("register kana", persons, 1000)))
    long = pl.col("name_kana").str.replace_all(LONG_VOWEL, "${1}ー")
    return (
        pl.when(drawn < NO_KANA)
        .then(pl.lit(""))
        .when(drawn < NO_KANA + LONG_KANA)
        .then(long)
        .otherwise(pl.col("name_kana"))
    )


def write_population(path: Path, seed: int, persons: int) -> int:
    """Write the register of the persons below `persons` as CSV (UTF-8, a header, line feeds).

    Args:
        path: outside the site; it holds everything in plain. A file there is replaced.

    Returns:
        how many rows it has.
    """
    population, rows = Population(seed), 0
    temporary = temporary_name(path)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        for start in range(0, max(persons, 1), PIECE):
            some = np.arange(start, min(start + PIECE, persons), dtype=np.int64)
            frame = residents(population, some)
            file.write(frame.write_csv(include_header=not start, quote_style="never").encode())
            rows += frame.height
    publish(temporary, path, replace=True)
    return rows
