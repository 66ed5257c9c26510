"""Spells: which insurer had a person from when to when, as the events of 加入者資格情報 tell it.

A spell is named by its person, its insurer and its 資格取得年月日 (the key that the format declares
for these lines). An event tells a spell whole, so of all events of one spell the one that was
committed last counts, and the others are superseded: the higher group, in it the later reception,
in it the later line. 資格取得年月日 is the first day that is covered, 資格喪失年月日 the first one
that no longer is; without it a spell goes on.

Nothing is inferred. A new spell ends no other, neither another insurer's nor the insurer's own:
what overlaps was told so, and is shown so. An insurer that mends a 資格取得年月日 tells another
spell.
"""

from __future__ import annotations

import polars as pl

KEY = ("link_number", "insurer_code", "qualification_date")
ORDER = ("group_number", "reception", "line_number")  # in which events were committed
END = "disqualification_date"
ANSWER = ("question", "insurer_code", "qualification_date", END)
CHANGES = ("begun", "ended", "reopened", "moved")


def spells(events: pl.DataFrame) -> pl.DataFrame:
    """One row for each spell: the event that counts.

    Args:
        events: of 加入者資格情報, in any order: KEY, ORDER, `disqualification_date`; any others.

    Returns:
        the columns of `events`, sorted by KEY.
    """
    last = events.sort(ORDER).unique(KEY, keep="last", maintain_order=True)
    return last.sort(KEY)


def on_days(found: pl.DataFrame, questions: pl.DataFrame) -> pl.DataFrame:
    """Which insurers had whom on which day.

    Args:
        found: spells of the persons asked about, and perhaps of others: KEY and
            `disqualification_date`.
        questions: `question` (the caller's number), `link_number`, `day`.

    Returns:
        ANSWER, sorted by question and insurer: a row for each insurer that had the person on that
        day, none for a person whom nobody had. Of several spells of one insurer that cover the
        day, the one that began last.
    """
    pairs = questions.join(found.select(*KEY, END), on="link_number", how="inner")
    return (
        pairs.filter(covers(pl.col("day")))
        .sort("question", "insurer_code", "qualification_date")
        .unique(("question", "insurer_code"), keep="last", maintain_order=True)
        .select(ANSWER)
    )


def covers(day: pl.Expr) -> pl.Expr:
    """Whether a spell covers the day; first day in, first day out."""
    end = pl.col(END)
    return (pl.col("qualification_date") <= day) & (end.is_null() | (day < end))


def changed(before: pl.DataFrame, after: pl.DataFrame) -> pl.DataFrame:
    """What became of spells between two states of knowledge, by insurer.

    Args:
        before, after: spells of the same persons; what is in `before` is in `after`, too.

    Returns:
        `insurer_code` and CHANGES, sorted, for insurers with any: spells not known before, ended
        (known or new, an end that was not there), reopened (an end is gone), moved (another end).
    """
    earlier = before.select(*KEY, pl.col(END).alias("was"), known=pl.lit(True))
    both = after.select(*KEY, END).join(earlier, on=KEY, how="left")
    here, there = pl.col(END).is_not_null(), pl.col("was").is_not_null()
    told = both.select(
        "insurer_code",
        begun=pl.col("known").is_null(),
        ended=here & ~there,
        reopened=there & ~here,
        moved=here & there & (pl.col(END) != pl.col("was")),
    )
    sums = told.group_by("insurer_code").agg(pl.col(CHANGES).sum().cast(pl.Int64))
    return sums.filter(pl.sum_horizontal(CHANGES) > 0).sort("insurer_code")
