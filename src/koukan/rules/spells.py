"""Spells: which insurer had a person from when to when, as the events of 加入者資格情報 tell it.

A spell is named by its person, its insurer and its 資格取得年月日 (the key that the format declares
for these lines). An event tells a spell whole, so of all events of one spell the one that was
committed last counts, and the others are superseded: the higher group, in it the later reception,
in it the later line. A 訂正 replaces all that its insurer said of the person before. There is no
spell where the last word is 取消 or 管理終了, or that the person goes on at another insurer
(保険者コード（変更後）); told once more later, it lives again. 資格取得年月日 is the first day
that is covered, 資格喪失年月日 the first one that no longer is; without it a spell goes on.

Nothing is inferred. A new spell ends no other, neither another insurer's nor the insurer's own:
what overlaps was told so, and is shown so. An insurer that mends a 資格取得年月日 tells another
spell.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

PERSON = ("link_number", "insurer_code")
KEY = (*PERSON, "qualification_date")
ORDER = ("group_number", "reception", "line_number")  # in which events were committed
END = "disqualification_date"
PROCESS, FORMER = "process_type_code", "former_insurer_code"
WORD = (*KEY, END, *ORDER, PROCESS, FORMER)  # what decides
MEMBER = ("insurer_code", "member_id", "qualification_date")  # a spell, as its insurer names it
CORRECTION, CANCELLATION, WITHDRAWAL = "5", "6", "7"
ANSWER = ("question", "insurer_code", "qualification_date", END)
CHANGES = ("begun", "ended", "reopened", "moved", "voided")


def spells(events: pl.DataFrame) -> pl.DataFrame:
    """One row for each spell: the event that counts.

    Args:
        events: of 加入者資格情報, in any order, by person (`rules.persons`): WORD; any others.

    Returns:
        the columns of `events`, sorted by KEY.
    """
    return last_words(events, KEY, corrections(events)).sort(KEY)


def last_words(
    events: pl.DataFrame, key: Sequence[str], corrected: pl.DataFrame, *, voids: bool = True
) -> pl.DataFrame:
    """Of all lines of one section that name the same, the one that counts.

    Args:
        events: of the section, by person: PERSON, ORDER, PROCESS, FORMER and `key`; any others.
        key: by what two lines name the same.
        corrected: `corrections` of the same persons.
        voids: whether a line of a 取消 takes away what it names.
    """
    counting = _uncorrected(with_moves(events), corrected)
    last = counting.sort(ORDER).unique(key, keep="last", maintain_order=True)
    if not voids:
        return last
    return last.filter(~pl.col(PROCESS).is_in([CANCELLATION, WITHDRAWAL]))


def with_moves(events: pl.DataFrame) -> pl.DataFrame:
    """Who goes on at another insurer has left the former one as if it had cancelled."""
    if events[FORMER].null_count() == events.height:
        return events
    moved = events.filter(pl.col(FORMER).is_not_null())
    left = moved.with_columns(
        pl.col(FORMER).alias("insurer_code"),
        pl.lit(CANCELLATION).alias(PROCESS),
        pl.lit(None, pl.String).alias(FORMER),
    )
    return pl.concat([events, left])


def corrections(events: pl.DataFrame) -> pl.DataFrame:
    """Of each insurer and person the file with the last 訂正: PERSON, its group and reception.

    Args:
        events: of 加入者資格情報, of which every event has a line.
    """
    told = events.filter(pl.col(PROCESS) == CORRECTION)
    last = told.sort(ORDER).unique(PERSON, keep="last", maintain_order=True)
    return last.select(*PERSON, corrected_by="group_number", corrected_in="reception")


def _uncorrected(events: pl.DataFrame, corrected: pl.DataFrame) -> pl.DataFrame:
    """Without what insurers said of a person before the file with their last 訂正."""
    if corrected.is_empty():
        return events
    group, reception = pl.col("corrected_by"), pl.col("corrected_in")
    before = (pl.col("group_number") < group) | (
        (pl.col("group_number") == group) & (pl.col("reception") < reception)
    )
    found = events.join(corrected, on=list(PERSON), how="left")
    return found.filter(group.is_null() | ~before).drop("corrected_by", "corrected_in")


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

    A spell is here what its insurer calls it: persons that became one, or were parted, have the
    spells that they had.

    Args:
        before, after: spells of the same members: MEMBER and `disqualification_date`, the
            被保険者枝番 as it is known now. Of equal ones the last counts.

    Returns:
        `insurer_code` and CHANGES, sorted, for insurers with any: spells not known before, ended
        (known or new, an end that was not there), reopened (an end is gone), moved (another end),
        voided (there no more).
    """
    earlier, later = (
        one.select(*MEMBER, END).unique(MEMBER, keep="last", maintain_order=True)
        for one in (before, after)
    )
    was = earlier.rename({END: "was"}).with_columns(known=pl.lit(True))
    now = later.with_columns(told=pl.lit(True))
    both = now.join(was, on=MEMBER, how="full", coalesce=True)
    here, there, stays = (pl.col(name).is_not_null() for name in (END, "was", "told"))
    found = both.select(
        "insurer_code",
        begun=pl.col("known").is_null(),
        ended=here & ~there,
        reopened=stays & there & ~here,
        moved=here & there & (pl.col(END) != pl.col("was")),
        voided=~stays,
    )
    sums = found.group_by("insurer_code").agg(pl.col(CHANGES).sum().cast(pl.Int64))
    return sums.filter(pl.sum_horizontal(CHANGES) > 0).sort("insurer_code")
