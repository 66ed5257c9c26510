"""Frames of answer files of 住基ネット and of receipts for packages: for tests and samples.

The demo's answers come from the counterpart (scripts/counterparts), which shares nothing with this.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from koukan.formats.model import Format
from koukan.samples.draws import Draws, Ints
from koukan.samples.population import PERSON, Population, text
from koukan.samples.questions import numbered
from koukan.samples.registration import SampleInsurer
from koukan.samples.residents import residents

FOUND, NOT_FOUND, SEVERAL, UNANSWERABLE = "1", "2", "3", "9"  # 照会応答区分
DIED, MOVED_HOUSE, NEW_NUMBER = "33", "21", "41"  # 異動事由
STRANGERS, NAMESAKES = 50, 20  # of a thousand questions: 該当なし, 複数該当
ALWAYS = ("record_number", "record_type_code", "request_record_number", "answer_class")
HASH_WORDS = 4  # of 64 bits, in a SHA-256


def answer_frames(
    form: Format,
    population: Population,
    persons: Ints,
    *,
    request_record_numbers: pl.Series | None = None,
    first_record_number: int = 1,
) -> dict[str, pl.DataFrame]:
    """One answer about each person, as the resident register has it.

    Args:
        request_record_numbers: 要求レコード番号, sixteen digits each, one for each person; counted
            from the first record number when absent.

    Returns:
        section -> frame of strings with the format's fields in file order; null is empty.
    """
    first = first_record_number
    counted = text(np.arange(first, first + len(persons), dtype=np.int64), 16)
    numbers = counted if request_record_numbers is None else request_record_numbers
    asked = pl.DataFrame({PERSON: persons, "request_record_number": numbers})
    known = residents(population, persons).rename(
        {"name": "resident_name", "name_kana": "resident_name_kana"}
    )
    frame = asked.join(known, on=PERSON, how="left", maintain_order="left")
    drawn = Draws(population.seed).below("answer", persons, 1000)
    frame = frame.with_columns(_answer_class(pl.lit(pl.Series(drawn))), *_states())
    (lines,) = numbered(form, frame, first).values()
    told = pl.col("answer_class") == FOUND
    return {
        form.records[0].section: lines.with_columns(
            pl.when(told & (pl.col(name) != "")).then(pl.col(name)).alias(name)
            for name in lines.columns
            if name not in ALWAYS
        )
    }


def _answer_class(drawn: pl.Expr) -> pl.Expr:
    """Nobody knows of some, whatever the register says, and of others too many do."""
    several = (drawn < STRANGERS + NAMESAKES) | pl.col("namesake").is_not_null()
    return (
        pl.when(pl.col("my_number").is_null() | (drawn < STRANGERS))
        .then(pl.lit(NOT_FOUND))
        .when(several)
        .then(pl.lit(SEVERAL))
        .otherwise(pl.lit(FOUND))
        .alias("answer_class")
    )


def _states() -> list[pl.Expr]:
    """What became of a person, by the dates of the register."""
    died, moved, renumbered = (
        pl.col(name).fill_null("") != "" for name in ("death_date", "moved_date", "renumbered_date")
    )

    def code(condition: pl.Expr, yes: str, no: str, name: str) -> pl.Expr:
        return pl.when(condition).then(pl.lit(yes)).otherwise(pl.lit(no)).alias(name)

    reason = (
        pl.when(died)
        .then(pl.lit(DIED))
        .when(moved)
        .then(pl.lit(MOVED_HOUSE))
        .when(renumbered)
        .then(pl.lit(NEW_NUMBER))
    )
    return [
        code(died, "2", "1", "alive_status"),
        code(renumbered, "1", "0", "update_status"),
        code(died | moved | renumbered, "1", "0", "change_presence"),
        reason.alias("change_reason"),
        pl.concat_str("death_date", "moved_date", "renumbered_date").alias("change_date"),
    ]


def invented_packages(sender: str, seed: int, receptions: Ints) -> pl.DataFrame:
    """Names and hashes of packages that nobody has laid out.

    Args:
        receptions: the reception of each package's questions; its file's sequence number, too.

    Returns:
        package_name, archive_sha256 (64 hexadecimal digits).
    """
    sequence, reception = text(receptions % 10**6, 6), text(receptions, 10)
    draws, places = Draws(seed), receptions[:, np.newaxis] * HASH_WORDS + np.arange(HASH_WORDS)
    digits = draws.words("archive", places).tobytes().hex().encode()
    hashes = np.frombuffer(digits, f"S{16 * HASH_WORDS}").astype(str)
    names = pl.select(
        pl.concat_str(
            pl.lit(f"PK_NQ_{sender}_"), sequence, pl.lit("_"), reception, pl.lit("_001.tar.age")
        )
    ).to_series()
    return pl.DataFrame({"package_name": names, "archive_sha256": pl.Series(hashes.tolist())})


def receipt_frames(
    form: Format,
    packages: pl.DataFrame,
    *,
    insurer: SampleInsurer | None,
    first_record_number: int = 1,
) -> dict[str, pl.DataFrame]:
    """One receipt for each package.

    Args:
        packages: package_name, archive_sha256.
        insurer: whose receipts they are; None: a national system's.
    """
    common = {} if insurer is None else {"insurer_code": insurer.code}
    return numbered(form, packages, first_record_number, **common)
