"""For whom a 機関別符号 is to be asked, and what an answer of NWS comes to. Pure.

Only an answer to something that was sent is taken in, once for all: rows that contradict each
other about one person are all held, and no code ever gets to a second person, also not one that
was given up. A request that is over because the code before was given up since is never answered.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import polars as pl

from koukan.rules.linkage import ASKED, FAILED, SET, WANTED

NUMBER = "request_record_number"
GIVEN, REFUSED = "1", "2"  # 符号取得応答区分
STRANGER, CLOSED, CONTRADICTING, OTHERS, SECOND = HELD = ("H211", "H212", "H213", "H214", "H215")
NO_ANSWER = "9999"  # 処理結果詳細コード of what nobody answered
NO_MEMBER, NO_NUMBER, NOT_CONCERNED = "no_member", "no_number", "not_concerned"
ENDS = (NO_MEMBER, NO_NUMBER, NOT_CONCERNED, SET, FAILED)  # of a line, when nothing is to come
AGAIN = "D502"
UNKNOWN, WAITS = "R504", "R505"
HAS_ONE, UNDER_WAY = "W431", "W432"


def due(
    states: pl.DataFrame,
    late: Collection[int],
    again: Mapping[str, Collection[int]],
    *,
    tries: int,
) -> pl.DataFrame:
    """Whose code is to be asked for now.

    Args:
        states: of persons, see `linkage.of_persons`.
        late: groups in which was asked what nobody has answered for so long that it is repeated.
        again: 処理結果詳細コード -> groups in which it was told long enough ago to ask again.
        tries: how often it is asked for at most before somebody wants it anew.
    """
    state, since = pl.col("state"), pl.col("since")
    repeated = (state == ASKED) & since.is_in(list(late))
    for code, groups in again.items():
        failed = (state == FAILED) & (pl.col("result_detail_code") == code)
        repeated |= failed & since.is_in(list(groups))
    return states.filter((state == WANTED) | (repeated & (pl.col("tries") < tries)))


def unanswered(states: pl.DataFrame, late: Collection[int], *, tries: int) -> pl.DataFrame:
    """Who was asked for as often as one may, and of whom nothing came; arguments as `due`."""
    waits = (pl.col("state") == ASKED) & pl.col("since").is_in(list(late))
    return states.filter(waits & (pl.col("tries") >= tries))


def wishes(states: pl.DataFrame, persons: pl.DataFrame) -> pl.DataFrame:
    """What each line of an insurer's request comes to.

    Args:
        states: of these persons, see `linkage.of_persons`.
        persons: `row`, `exists` (the insurer has the member), `link_number` (as shown; null while
            it waits for its 個人番号).

    Returns:
        `row`, `link_number`, `code`: null for the first line of a person whose code is wanted now.
    """
    found = persons.join(
        states.select("link_number", "state"), on="link_number", how="left", maintain_order="left"
    )
    state, link = pl.col("state"), pl.col("link_number")
    open_ = state.is_null() | (state == FAILED)
    first = link.is_first_distinct()
    code = (
        pl.when(~pl.col("exists"))
        .then(pl.lit(UNKNOWN))
        .when(link.is_null())
        .then(pl.lit(WAITS))
        .when(state == SET)
        .then(pl.lit(HAS_ONE))
        .when(~(open_ & first))
        .then(pl.lit(UNDER_WAY))
    )
    return found.select("row", "link_number", code=code)


def listed(persons: pl.DataFrame, states: pl.DataFrame, group: int | None) -> pl.DataFrame:
    """What became of each line of a 符号再発行対象者リスト.

    Args:
        persons: `line`, `exists`, `link_number`, see `wishes`.
        states: of these persons, see `linkage.of_persons`.
        group: that gave their codes up; None before it did.

    Returns:
        `line`, `end` (one of ENDS, or how far it is), `result_detail_code`.
    """
    found = persons.join(states, on="link_number", how="left", maintain_order="left")
    waits = pl.lit(WANTED) if group is None else pl.lit(NOT_CONCERNED)
    concerned = pl.lit(value=False) if group is None else pl.col("given_up") >= group
    end = (
        pl.when(~pl.col("exists"))
        .then(pl.lit(NO_MEMBER))
        .when(pl.col("link_number").is_null())
        .then(pl.lit(NO_NUMBER))
        .when(concerned)
        .then("state")
        .otherwise(waits)
    )
    return found.select("line", "result_detail_code", end=end)


def judge(answers: pl.DataFrame, asked: pl.DataFrame, codes: pl.DataFrame) -> pl.DataFrame:
    """What each row of NWS's answers comes to.

    Args:
        answers: `row`, `request_record_number`, `code_answer_class`, `linkage_code`,
            `result_detail_code`.
        asked: `request_record_number` of all that was sent, `person`, `open` (its code was not
            given up since), `failed` (the code by which the same number was refused before).
        codes: every code that was ever set: `linkage_code`, `person`, `holds` (not given up).

    Returns:
        `row`, `code`: null for what is taken in, at most one row of a person.
    """
    rows = _beside(answers, asked, codes)
    given = pl.col("code_answer_class") == GIVEN
    live = pl.col("known") & pl.col("open")
    what = pl.struct("code_answer_class", "linkage_code", "detail")
    differing = pl.when(live).then(what).n_unique().over("person", live.alias("live")) > 1
    shared = pl.when(live & given).then("person").drop_nulls().n_unique().over("linkage_code") > 1
    theirs = pl.col("holder").is_not_null() & ~(
        pl.col("holder") & pl.col("held") & (pl.col("holder_is") == pl.col("person"))
    )
    code = (
        pl.when(~pl.col("known"))
        .then(pl.lit(STRANGER))
        .when(~pl.col("open"))
        .then(pl.lit(CLOSED))
        .when(differing)
        .then(pl.lit(CONTRADICTING))
        .when(given & (pl.col("own") == pl.col("linkage_code")).fill_null(value=False))
        .then(pl.lit(AGAIN))
        .when(given & (theirs | shared))
        .then(pl.lit(OTHERS))
        .when(given & pl.col("own").is_not_null())
        .then(pl.lit(SECOND))
        .when(~given & pl.col("own").is_not_null())
        .then(pl.lit(CLOSED))
        .when(~given & (pl.col("failed") == pl.col("detail")).fill_null(value=False))
        .then(pl.lit(AGAIN))
    )
    judged = rows.with_columns(code=code)
    repeated = ~pl.col("person").is_first_distinct()
    taken = judged.filter(pl.col("code").is_null()).with_columns(
        code=pl.when(repeated).then(pl.lit(AGAIN))
    )
    others = judged.filter(pl.col("code").is_not_null())
    return pl.concat([others, taken]).select("row", "code").sort("row")


def _beside(answers: pl.DataFrame, asked: pl.DataFrame, codes: pl.DataFrame) -> pl.DataFrame:
    """Each answer, and what it is held against: its question, its person's code, its code's holder.

    Adds `known` (there is such a question), `detail` (of a refusal), `own` (the code that the
    person has), `holder` (one person ever had this code), `holder_is` (who), `held` (it holds).
    """
    rows = answers.join(asked, on=NUMBER, how="left", maintain_order="left")
    given = pl.col("code_answer_class") == GIVEN
    rows = rows.with_columns(
        linkage_code=pl.when(given).then("linkage_code"),
        detail=pl.when(~given).then("result_detail_code"),
        known=pl.col("person").is_not_null(),
    )
    own = codes.filter("holds").group_by("person").agg(own=pl.col("linkage_code").first())
    holder = codes.group_by("linkage_code").agg(
        holder=pl.col("person").n_unique() == 1,
        holder_is=pl.col("person").first(),
        held=pl.col("holds").any(),
    )
    rows = rows.join(own, on="person", how="left", maintain_order="left")
    return rows.join(holder, on="linkage_code", how="left", maintain_order="left")
