"""What koukan must come to, told from what is asked and planned, in counts only.

Of each file, in order: what is malformed is rejected; what nobody asked, what was answered before,
and what contradicts another line of the file is held; the same line again is a duplicate; the rest
closes its question.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl
from deciding import REJECTED, STRANGER, Part
from fixed_width import BLOCK
from register import FOUND, SEVERAL, answers

NOT_ASKED, ANSWERED_BEFORE, CONTRADICTING = "H201", "H202", "H203"
NUMBER = "request_record_number"


@dataclass
class Expected:
    """Counts: asked = answered + ambiguous + unanswered; of the files' rows as many are left when
    `duplicate`, `held` and `rejected` (by code) are taken away as questions are closed.

    Args:
        results: 照会結果区分 -> questions, of those that are closed.
    """

    requests: int = 0
    files: int = 0
    rows: int = 0
    asked: int = 0
    answered: int = 0
    ambiguous: int = 0
    unanswered: int = 0
    duplicate: int = 0
    held: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    results: Counter[str] = field(default_factory=Counter)

    def plain(self) -> dict[str, Any]:
        """The same for JSON."""
        return {
            name: dict(value) if isinstance(value, Counter) else value
            for name, value in vars(self).items()
        }


def total(parts: Iterable[Mapping[str, Any]]) -> Expected:
    """Several requests together."""
    whole = Expected()
    for part in parts:
        for name, value in part.items():
            known = getattr(whole, name)
            if isinstance(known, Counter):
                known.update(value)
            else:
                setattr(whole, name, known + value)
    return whole


def expected(register: pl.DataFrame, found: pl.DataFrame, parts: list[Part]) -> Expected:
    """What one request's files must come to.

    Args:
        found: what is known of each question (`register.find`).
    """
    known = Expected(requests=1, files=len(parts), asked=found.height)
    closed = found[NUMBER].clear()
    for part in parts:
        closed = pl.concat([closed, _read(known, part.lines, closed)])
    answered = found.filter(pl.col(NUMBER).is_in(closed.implode()))
    known.ambiguous = int((answered["answer_class"] == SEVERAL).sum())
    known.answered = answered.height - known.ambiguous
    known.unanswered = found.height - answered.height
    for some in answered.iter_slices(BLOCK):
        known.results.update(results(register, some))
    known.results = Counter(dict(sorted(known.results.items())))
    return known


def _read(known: Expected, lines: pl.DataFrame, closed: pl.Series) -> pl.Series:
    """Count one file's lines; the numbers of the questions that it closes."""
    known.rows += lines.height
    rejected = pl.col("spoil").is_in(REJECTED)
    known.rejected.update(lines.filter(rejected)["spoil"].to_list())  # as many as are spoilt
    good = lines.filter(~rejected)
    asked = good.filter(pl.col("spoil") != STRANGER)
    known.held[NOT_ASKED] += good.height - asked.height
    open_ = asked.filter(~pl.col(NUMBER).is_in(closed.implode()))
    known.held[ANSWERED_BEFORE] += asked.height - open_.height
    answer = open_.group_by(NUMBER).agg(pl.len(), pl.col("spoil").n_unique().alias("contents"))
    known.held[CONTRADICTING] += int(answer.filter(pl.col("contents") > 1)["len"].sum())
    taken = answer.filter(pl.col("contents") == 1)
    known.duplicate += int((taken["len"] - 1).sum())
    return taken[NUMBER]


def results(register: pl.DataFrame, answered: pl.DataFrame) -> dict[str, int]:
    """照会結果区分 -> questions.

    Of several that apply the first counts: 死亡 4, 個人番号変更 5, 住所異動 6, 該当あり 1.
    """
    lines = answers(register, answered)
    result = (
        pl.when(pl.col("answer_class") != FOUND)
        .then(pl.col("answer_class"))  # 該当なし 2, 複数該当 3
        .when(pl.col("alive_status") == "2")
        .then(pl.lit("4"))
        .when(pl.col("update_status") == "1")
        .then(pl.lit("5"))
        .when(pl.col("change_presence") == "1")
        .then(pl.lit("6"))
        .otherwise(pl.lit("1"))
    )
    return dict(lines.group_by(result.alias("result")).len().sort("result").iter_rows())
