"""Frames of question files: what an insurer asks 住基ネット about its members, one line each."""

from __future__ import annotations

import numpy as np
import polars as pl

from koukan.formats.model import Format, Record
from koukan.samples.draws import Ints
from koukan.samples.population import Population, text
from koukan.samples.registration import SampleInsurer
from koukan.samples.spelling import as_insurers_write

MY_NUMBER_QUERY, BASIC_FOUR_QUERY = "my_number_query", "basic_four_query"
KINDS = (MY_NUMBER_QUERY, BASIC_FOUR_QUERY)
IMMEDIATE, BULK = "1", "2"  # 照会方式
MOST_IMMEDIATE = 10  # lines of an immediate question


def question_frames(
    form: Format,
    population: Population,
    persons: Ints,
    *,
    insurer: SampleInsurer,
    first_record_number: int = 1,
) -> dict[str, pl.DataFrame]:
    """One question about each person, in their order.

    Asked for the 個人番号, the insurer gives the 基本4情報 in its own writing; asked for them, it
    gives the 個人番号.

    Args:
        form: one of `KINDS`.

    Returns:
        section -> frame of strings with the format's fields in file order; null is empty.
    """
    if form.name == BASIC_FOUR_QUERY:
        frame = population.numbers(persons).alias("my_number").to_frame()
    else:
        frame = as_insurers_write(population, persons, seed=_seed(population, insurer))
    return numbered(form, frame, first_record_number, insurer_code=insurer.code)


def asked_frames(
    form: Format, population: Population, persons: Ints, *, first_record_number: int = 1
) -> dict[str, pl.DataFrame]:
    """PMH asks for these persons by 個人番号, one line each."""
    frame = population.numbers(persons).alias("my_number").to_frame()
    return numbered(form, frame, first_record_number)


def _seed(population: Population, insurer: SampleInsurer) -> int:
    """Another insurer, or another population, is written in another way."""
    return population.seed * 10**8 + int(insurer.code)


def numbered(
    form: Format, frame: pl.DataFrame, first_record_number: int = 1, **common: str
) -> dict[str, pl.DataFrame]:
    """Lines that stand for themselves under ascending record numbers, as the format's only section.

    Args:
        common: values that all lines have.
    """
    (record,) = form.records
    first = first_record_number
    numbers = text(np.arange(first, first + frame.height, dtype=np.int64), 10)
    given = frame.with_columns(
        record_number=numbers,
        record_type_code=pl.lit(record.code),
        **{name: pl.lit(value) for name, value in common.items()},
    )
    return {record.section: _in_order(form, record, given)}


def _in_order(form: Format, record: Record, frame: pl.DataFrame) -> pl.DataFrame:
    known = set(frame.columns)
    return frame.select(
        pl.col(item.name) if item.name in known else pl.lit(None, pl.String).alias(item.name)
        for item in form.fields(record)
    )
