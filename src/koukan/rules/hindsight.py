"""Hindsight: what a line supposes that the insurer told before (flow 1-(1), our reading).

A 喪失 ends a spell and a 取消 voids one, so the insurer must have told it (R411, R412); a 管理終了
is for whom the insurer's last word calls a 加入予定者 or a 世帯員 (R413). Files of one group count
in their order: what an earlier one told is known, what a later one tells is not. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import polars as pl

from koukan.rules.line_keys import DAYS, NONE
from koukan.rules.persons import MEMBERS
from koukan.rules.register import (
    CANCELLATION,
    CORRECTION,
    LOSS,
    WITHDRAWAL,
    Ints,
    Lines,
    Mask,
    Persons,
    Small,
)
from koukan.rules.settling import Linked

WORDS = pl.Schema(  # what an insurer said of a person's spell (day), or of its class (none)
    {
        "whom": pl.Int64,  # the shown 紐付番号, or `unnumbered`
        "insurer": pl.Int64,
        "day": pl.Int64,
        "place": pl.Int64,
        "line": pl.Int64,
        "process": pl.Int8,
        "class": pl.Int8,
    }
)
NAMED = ("link_number", "member_id")  # the former is none while the member waits
# The same by who was named: whose words they are is not looked up yet.
SAID = pl.Schema([*((name, pl.Int64()) for name in NAMED), *list(WORDS.items())[1:]])
NO_SPELL, NO_CANDIDATE = (0, CANCELLATION, WITHDRAWAL), (2, 3)
_WAITING = 10**18  # above every 紐付番号
_FILES = 10**10  # receptions are fewer: group and reception in one number, in order of time
CODES = ((LOSS, "R411"), (CANCELLATION, "R412"), (WITHDRAWAL, "R413"))


Place = TypeVar("Place", Ints, pl.Expr)


def place_of(group: Place, reception: Place) -> Place:
    """Where a file stands in time."""
    return group * _FILES + reception


def unnumbered(insurers: Small, members: Ints) -> Ints:
    """Whom words are about that name a 被保険者枝番 which waits for its number."""
    return np.asarray(_WAITING + insurers.astype(np.int64) * MEMBERS + members, np.int64)


@dataclass(frozen=True)
class Spoken:
    """What the lines of persons say, as far as hindsight needs it."""

    person: Ints  # ascending; one entry for each line of 加入者資格情報
    day: Ints  # its 資格取得年月日, as the number of a day
    line: Ints  # its place in the group
    classes: Small  # by person: 加入者区分コード; 0 where nobody asks

    def part(self, start: int, stop: int) -> Spoken:
        """Of some consecutive persons."""
        rows = slice(*np.searchsorted(self.person, (start, stop)).tolist())
        return Spoken(
            self.person[rows] - start, self.day[rows], self.line[rows], self.classes[start:stop]
        )


def nothing(persons: Persons) -> Spoken:
    """Where nobody supposes anything, nobody asks what was said."""
    none = np.zeros(0, np.int64)
    return Spoken(none, none, none, np.zeros(len(persons.process), np.int8))


def spoken_of(lines: Lines, persons: Persons, code: int, classes: Small) -> Spoken:
    """What lines say.

    Args:
        code: record type of 加入者資格情報.
        classes: by person, as `Spoken` has them.
    """
    rows = np.flatnonzero((lines.type == code) & (lines.key != NONE))
    person = persons.of_line[rows].astype(np.int64)
    order = np.argsort(person, kind="stable")
    day = lines.key[rows].astype(np.int64)[order] - DAYS
    return Spoken(person[order], day, rows[order], classes)


def supposing(persons: Persons, rejected: Mask) -> Mask:
    """Whose lines suppose that something was told before."""
    return ~rejected & np.isin(persons.process, [process for process, _ in CODES])


def unfounded(asked: pl.DataFrame, words: pl.DataFrame) -> pl.DataFrame:
    """Whose lines suppose what was not told: person, code; each once.

    Args:
        asked: person, whom, insurer, day, place, process; a row for each line of 加入者資格情報.
        words: WORDS, by person; later ones do no harm.
    """
    said = words.rename({"day": "said", "place": "when", "process": "how"})
    before = (
        asked.with_row_index("row")
        .join(said, on=["whom", "insurer"], how="left")
        .with_columns(known=pl.col("when") < pl.col("place"))
        .sort("row", "when", "line")
    )
    corrected = (
        pl.col("when").filter(pl.col("known") & (pl.col("how") == CORRECTION)).max().over("row")
    )
    known = pl.col("known") & (pl.col("when") >= corrected).fill_null(value=True)
    spell = known & (pl.col("said") == pl.col("day"))
    judged = (
        before.with_columns(counts=known, spell=spell)
        .group_by("row", "person", "process", maintain_order=True)
        .agg(
            how=pl.col("how").filter("spell").last(),
            last=pl.col("class").filter(pl.col("counts") & (pl.col("class") > 0)).last(),
        )
    )
    told = ~pl.col("how").is_in(NO_SPELL)
    candidate = pl.col("last").is_in(NO_CANDIDATE)
    right = pl.when(pl.col("process") == WITHDRAWAL).then(candidate).otherwise(told)
    wrong = judged.filter(~right.fill_null(value=False)).unique("person", maintain_order=True)
    codes = pl.col("process").replace_strict(dict(CODES), return_dtype=pl.String)
    return wrong.select("person", code=codes)


def words_of(persons: Persons, spoken: Spoken, linked: Linked, place: Ints) -> pl.DataFrame:
    """SAID: what accepted persons say in some files.

    Who moves has left the former insurer; of one that waits a statement tells it.

    Args:
        place: of each person's file.
    """
    rows = np.flatnonzero(~linked.rejected[spoken.person])
    at = spoken.person[rows]
    told = pl.DataFrame(
        {
            "link_number": linked.link[at],
            "member_id": linked.member[at],
            "insurer": linked.home[at].astype(np.int64),
            "day": spoken.day[rows],
            "place": place[at],
            "line": spoken.line[rows],
            "process": persons.process[at].astype(np.int8),
            "class": spoken.classes[at].astype(np.int8),
        }
    )
    moved = np.flatnonzero((linked.home[at] != persons.insurer[at]) & (linked.link[at] != NONE))
    left = told[moved].with_columns(
        member_id=pl.Series(persons.member_id[at[moved]], dtype=pl.Int64),
        insurer=pl.Series(persons.insurer[at[moved]].astype(np.int64)),
        **{name: pl.lit(0, pl.Int8) for name in ("process", "class")},
    )
    said = pl.concat([told, left]).select(SAID.names())
    return said.with_columns(pl.col("link_number").replace(NONE, None))
