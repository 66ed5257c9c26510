"""Reconcile: JJK-net's answers meet the insurers' questions (flow 3-(2), 3-(4), steps 5 and 6).

Only an answer to an open question is taken in, and it closes the question for good. All other rows
are held: those that answer nothing that was asked in this kind and mode, those that come after a
question was closed, those that contradict each other in one file, and those about a number other
than the one asked with, unless it was replaced. Which row stands where in the
file decides nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import polars as pl

from koukan.rules.compare import LADDERS, Kind, evidence
from koukan.rules.folds import Variants

NUMBER = "request_record_number"
QUESTION = pl.Schema({NUMBER: pl.Int64, "line_number": pl.Int64, "record_number": pl.Int64})
ANSWER = (  # beside the number; all of a row that finds somebody counts
    "answer_class",
    "alive_status",
    "update_status",
    "change_presence",
    "change_reason",
    "change_date",
    "my_number",
    "resident_name",
    "resident_name_kana",
    "birth_date",
    "sex",
    "address",
    "address_detail",
    "municipality_code",
    "municipality_name",
)
BASIC_FOUR = ("resident_name", "resident_name_kana", "birth_date", "sex", "address")
DETAILS = (  # that belong to the address and its last change
    *("address_detail", "municipality_code", "municipality_name", "change_reason", "change_date"),
)
GIVEN: Mapping[Kind, tuple[str, ...]] = {  # what an insurer is told of a person who was found
    "my_number": ("my_number", *BASIC_FOUR, *DETAILS),
    "basic_four": (*BASIC_FOUR, *DETAILS),
}

# What comes in: 回答区分, 生存状況, 変更状況, 異動有無.
FOUND, NOBODY, SEVERAL = "1", "2", "3"
DEAD, CHANGED, MOVED = "2", "1", "1"
# What goes out: 照会結果区分.
RESULT_FOUND, RESULT_NOBODY, RESULT_SEVERAL = "1", "2", "3"
RESULT_DEAD, RESULT_NUMBER_CHANGED, RESULT_MOVED = "4", "5", "6"
RESULT_WEAK = "7"  # somebody was found, and is not enough like whom was asked for to be told of
PERSON = (RESULT_FOUND, RESULT_NUMBER_CHANGED, RESULT_MOVED)  # results that give somebody's items
State = Literal["answered", "ambiguous", "unanswered"]
STATES: Mapping[str, State] = {
    RESULT_FOUND: "answered",
    RESULT_NOBODY: "answered",
    RESULT_SEVERAL: "ambiguous",
    RESULT_DEAD: "answered",
    RESULT_NUMBER_CHANGED: "answered",
    RESULT_MOVED: "answered",
    RESULT_WEAK: "answered",
}

TAKEN, DUPLICATE, HELD = "taken", "duplicate", "held"
# Why a row is held.
STRANGER, CLOSED, CONTRADICTING = "stranger", "closed", "contradicting"
OTHER_NUMBER = "other_number"  # asked with one number, answered with another that replaced nothing
HELD_FOR = (STRANGER, CLOSED, CONTRADICTING, OTHER_NUMBER)


@dataclass(frozen=True)
class Counts:
    """received = taken + duplicate + held; taken = answered + ambiguous."""

    received: int  # rows of the file
    taken: int
    duplicate: int
    stranger: int
    closed: int
    contradicting: int
    other_number: int
    answered: int  # questions that this file closed
    ambiguous: int
    unanswered: int  # questions that stay open

    @property
    def held(self) -> int:
        return self.stranger + self.closed + self.contradicting + self.other_number


@dataclass(frozen=True)
class Reconciled:
    """What one file of answers does to the questions.

    `verdicts` has a row for each row of the answers, in their order: `verdict` and, where it is
    held, `code`. `answered` has the columns of `QUESTION`, `query_result_class`, `GIVEN` and the
    evidence, in the order of the lines; GIVEN and evidence are null where no person is given.
    `open` is what was open less `answered`.
    """

    verdicts: pl.DataFrame
    answered: pl.DataFrame
    open: pl.DataFrame
    counts: Counts


def sift(answers: pl.DataFrame) -> pl.DataFrame:
    """Rows of one file by the question that they answer.

    Equal rows are one answer, whose first row is used. Of a row that found nobody or several only
    its class counts; the rest is not looked at.

    Returns:
        row by row `first` (of those for its question) and `contradicting` (they differ).
    """
    repeated = answers.filter(pl.col(NUMBER).is_duplicated())
    telling = pl.col("answer_class") == FOUND
    contents = repeated.select(
        NUMBER,
        "answer_class",
        *(pl.when(telling).then(pl.col(name)).alias(name) for name in ANSWER[1:]),
    ).unique()
    differing = contents.filter(pl.col(NUMBER).is_duplicated())[NUMBER]
    return answers.select(first=pl.col(NUMBER).is_first_distinct(), contradicting=_among(differing))


def _among(numbers: pl.Series) -> pl.Expr:
    return pl.col(NUMBER).is_in(numbers.implode())


def _of_another(answers: pl.DataFrame, questions: pl.DataFrame) -> pl.Series:
    """Rows about a number that is not the one asked with, and is none that replaced it."""
    if "my_number" not in questions.columns:
        return pl.repeat(False, answers.height, eager=True)
    asked = questions.select(NUMBER, asked="my_number")
    pairs = answers.join(asked, on=NUMBER, how="left", maintain_order="left")
    told = (pl.col("answer_class") == FOUND) & pl.col("update_status").ne_missing(CHANGED)
    other = told & pl.col("my_number").ne_missing(pl.col("asked"))
    return pairs.select(other.alias("other")).to_series()


def judge(answers: pl.DataFrame, questions: pl.DataFrame, asked: pl.DataFrame) -> pl.DataFrame:
    """By row of the answers `verdict` and, for what is held, `code`; arguments as `reconcile`."""
    sifted = sift(answers).with_columns(other_number=_of_another(answers, questions))
    known = answers.select(opened=_among(questions[NUMBER]), asked=_among(asked[NUMBER]))
    code = (
        pl.when(pl.col("opened"))
        .then(
            pl.when("contradicting")
            .then(pl.lit(CONTRADICTING))
            .when("other_number")
            .then(pl.lit(OTHER_NUMBER))
        )
        .when(pl.col("asked"))
        .then(pl.lit(CLOSED))
        .otherwise(pl.lit(STRANGER))
    )
    verdict = (
        pl.when(pl.col("code").is_not_null())
        .then(pl.lit(HELD))
        .when("first")
        .then(pl.lit(TAKEN))
        .otherwise(pl.lit(DUPLICATE))
    )
    judged = pl.concat([sifted, known], how="horizontal").with_columns(code=code)
    return judged.select(verdict.alias("verdict"), "code")


def result_class(kind: Kind) -> pl.Expr:
    """照会結果区分 of an answer.

    The first that applies: nobody or several, dead (nothing else is told of the dead), number
    changed (the insurer must stop using the number that it asked with), moved, found. Whoever asks
    for a number is given the present one, so a change is no result of its own there.
    """
    changed = (pl.col("update_status") == CHANGED) & (kind == "basic_four")
    return (
        pl.when(pl.col("answer_class") == NOBODY)
        .then(pl.lit(RESULT_NOBODY))
        .when(pl.col("answer_class") == SEVERAL)
        .then(pl.lit(RESULT_SEVERAL))
        .when(pl.col("alive_status") == DEAD)
        .then(pl.lit(RESULT_DEAD))
        .when(changed)
        .then(pl.lit(RESULT_NUMBER_CHANGED))
        .when(pl.col("change_presence") == MOVED)
        .then(pl.lit(RESULT_MOVED))
        .otherwise(pl.lit(RESULT_FOUND))
    )


def _answered(
    kind: Kind, questions: pl.DataFrame, taken: pl.DataFrame, table: Variants
) -> pl.DataFrame:
    """The questions that `taken` answers, one row each, with result and evidence."""
    asked = questions.join(taken.select(NUMBER), on=NUMBER, how="semi")
    asked = asked.sort("line_number", NUMBER)
    pairs = asked.select(NUMBER).join(taken, on=NUMBER, how="left", maintain_order="left")
    results = pairs.select(result_class(kind).alias("query_result_class"))
    person = results.select(pl.col("query_result_class").is_in(PERSON)).to_series()
    # From here on there is nothing left of an answer that does not give a person.
    items = list(dict.fromkeys((*GIVEN[kind], *LADDERS[kind])))
    returned = pairs.select(pl.when(person).then(pl.col(name)).alias(name) for name in items)
    matches = evidence(kind, asked, returned, table)
    return pl.concat(
        [
            asked.select(QUESTION.names()),
            results,
            returned.select(GIVEN[kind]),
            matches.select(pl.when(person).then(pl.all())),
        ],
        how="horizontal",
    )


def states(answered: pl.DataFrame) -> dict[State, int]:
    """How many of the answered questions are answered and how many ambiguous."""
    found: dict[State, int] = {"answered": 0, "ambiguous": 0}
    for kind, count in answered["query_result_class"].value_counts().iter_rows():
        found[STATES[kind]] += count
    return found


def reconcile(
    kind: Kind,
    questions: pl.DataFrame,
    asked: pl.DataFrame,
    answers: pl.DataFrame,
    table: Variants,
) -> Reconciled:
    """Take one file's answers in.

    Args:
        kind: of the questions; answers to those of the other kind or mode are strangers.
        questions: the open ones: `QUESTION` and the items that the kind gives (`LADDERS`).
        asked: all that were ever asked of this kind and mode, open or not; `request_record_number`.
        answers: the rows that passed the checks of their fields: the number and `ANSWER`.
        table: 異体字, character -> the one it stands for.

    Raises:
        ValueError: two open questions have one number, or a row has no class that is known (a bug,
            not a reject).
    """
    if questions[NUMBER].is_duplicated().any():
        raise ValueError("two open questions have one number")
    if not answers["answer_class"].is_in([FOUND, NOBODY, SEVERAL]).fill_null(False).all():
        raise ValueError("an answer did not pass the checks of its fields")
    verdicts = judge(answers, questions, asked)
    taken = answers.filter(verdicts["verdict"] == TAKEN)
    answered = _answered(kind, questions, taken, table)
    still_open = questions.join(taken.select(NUMBER), on=NUMBER, how="anti", maintain_order="left")
    found = states(answered)
    seen = {
        name: int((verdicts[column] == name).sum())
        for column, names in (
            ("verdict", (TAKEN, DUPLICATE)),
            ("code", HELD_FOR),
        )
        for name in names
    }
    counts = Counts(received=answers.height, **seen, **found, unanswered=still_open.height)
    return Reconciled(verdicts, answered, still_open, counts)
