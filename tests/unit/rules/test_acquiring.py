"""For whom a 機関別符号 is asked, what a wish comes to, and what each answer of NWS does."""

from __future__ import annotations

import polars as pl
import pytest

from koukan.rules.acquiring import NUMBER, due, judge, listed, unanswered, wishes
from koukan.rules.linkage import ASKED, FAILED, SET, WANTED

STATE = {
    "link_number": pl.Int64,
    "state": pl.String,
    "since": pl.Int64,
    "tries": pl.Int64,
    "result_detail_code": pl.String,
}
Answer = tuple[int, str, str | None, str]  # number, class, code, detail
Question = tuple[int, int, bool, str | None]  # number, person, open, refused before for


def states(*rows: tuple[int, str, int, int, str | None]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=STATE, orient="row")


def links(frame: pl.DataFrame) -> list[int]:
    return frame["link_number"].to_list()


def test_who_is_wanted_is_asked_for_and_who_waits_or_was_refused_by_policy() -> None:
    known = states(
        (1, WANTED, 5, 0, None),
        (2, ASKED, 5, 1, None),
        (3, ASKED, 4, 1, None),
        (4, ASKED, 4, 3, None),
        (5, SET, 4, 1, None),
        (6, FAILED, 7, 1, "9001"),
        (7, FAILED, 8, 1, "9001"),
        (8, FAILED, 7, 1, "1001"),
        (9, FAILED, 7, 3, "9001"),
    )
    assert links(due(known, [4], {"9001": [7]}, tries=3)) == [1, 3, 6]
    assert links(due(known, [], {}, tries=3)) == [1]
    assert links(unanswered(known, [4], tries=3)) == [4]


def test_a_wish_counts_once_and_where_nothing_is_under_way() -> None:
    known = states(
        (1, SET, 1, 1, None),
        (2, ASKED, 1, 1, None),
        (3, FAILED, 1, 1, "1001"),
        (4, WANTED, 1, 0, None),
    )
    lines = [(True, 1), (True, 2), (True, 3), (True, 3), (True, 4), (True, 5), (True, None)]
    lines.append((False, None))
    persons = pl.DataFrame(
        [(row, *line) for row, line in enumerate(lines)],
        schema={"row": pl.Int64, "exists": pl.Boolean, "link_number": pl.Int64},
        orient="row",
    )
    found = wishes(known, persons)
    codes = ["W431", "W432", None, "W432", "W432", None, "R505", "R504"]
    assert found["code"].to_list() == codes
    assert found["link_number"].to_list()[2] == 3


def judged(
    answers: list[Answer],
    *,
    asked: tuple[tuple[int, int, bool, str | None], ...] = (
        (10, 1, True, None),
        (20, 2, True, None),
    ),
    codes: tuple[tuple[str, int, bool], ...] = (),
) -> list[str | None]:
    rows = [(place, *answer) for place, answer in enumerate(answers)]
    answer = ["code_answer_class", "linkage_code", "result_detail_code"]
    frame = pl.DataFrame(
        rows,
        schema={"row": pl.Int64, NUMBER: pl.Int64, **dict.fromkeys(answer, pl.String)},
        orient="row",
    )
    question = {NUMBER: pl.Int64, "person": pl.Int64, "open": pl.Boolean, "failed": pl.String}
    code = {"linkage_code": pl.String, "person": pl.Int64, "holds": pl.Boolean}
    found = judge(
        frame,
        pl.DataFrame(asked, schema=question, orient="row"),
        pl.DataFrame(codes, schema=code, orient="row"),
    )
    assert found["row"].to_list() == list(range(len(answers)))
    return found["code"].to_list()


def given(number: int, code: str) -> Answer:
    return number, "1", code, "0000"


def refused(number: int, detail: str = "1001") -> Answer:
    return number, "2", None, detail


def test_an_answer_to_what_was_asked_is_taken_in_once() -> None:
    assert judged([given(10, "A"), refused(20)]) == [None, None]
    assert judged([given(10, "A"), given(10, "A")]) == [None, "D502"]
    assert judged([given(10, "A")], codes=(("A", 1, True),)) == ["D502"]
    assert judged([refused(10)], asked=((10, 1, True, "1001"),)) == ["D502"]
    assert judged([refused(10, "9001")], asked=((10, 1, True, "1001"),)) == [None]
    assert judged([given(10, "A")], asked=((10, 1, True, "1001"),)) == [None]


def test_what_refuses_is_read_by_its_class_alone() -> None:
    assert judged([(10, "2", "A", "1001"), (10, "2", None, "1001")]) == [None, "D502"]


def test_a_stranger_and_an_answer_to_what_is_over_are_held() -> None:
    assert judged([given(99, "A")]) == ["H211"]
    over = ((10, 1, False, None),)
    assert judged([given(10, "A"), refused(10)], asked=over) == ["H212", "H212"]
    assert judged([refused(10)], codes=(("A", 1, True),)) == ["H212"]


def test_answers_about_one_person_that_contradict_each_other_are_all_held() -> None:
    assert judged([given(10, "A"), given(10, "B")]) == ["H213", "H213"]
    assert judged([given(10, "A"), refused(10)]) == ["H213", "H213"]
    again = ((10, 1, True, None), (11, 1, True, None))  # asked for twice
    assert judged([given(10, "A"), given(11, "A")], asked=again) == [None, "D502"]
    assert judged([given(10, "A"), given(11, "B")], asked=again) == ["H213", "H213"]
    over = ((10, 1, False, None), (11, 1, True, None))  # an old answer decides nothing
    assert judged([given(10, "A"), given(11, "B")], asked=over) == ["H212", None]


@pytest.mark.requirement("R057", "R058")
def test_no_code_gets_to_a_second_person_and_no_person_gets_a_second_code() -> None:
    assert judged([given(10, "A")], codes=(("A", 7, True),)) == ["H214"]
    assert judged([given(10, "A"), given(20, "A")]) == ["H214", "H214"]
    assert judged([given(10, "A"), given(20, "A")], codes=(("A", 1, True),)) == ["D502", "H214"]
    assert judged([given(10, "B")], codes=(("A", 1, True),)) == ["H215"]
    assert judged([given(10, "A"), given(20, "B")], codes=(("A", 7, True),)) == ["H214", None]


def test_a_code_that_was_given_up_is_nobodys_any_more() -> None:
    old = (("A", 1, False),)
    assert judged([given(10, "A")], codes=old) == ["H214"]
    assert judged([given(20, "A")], codes=old) == ["H214"]
    assert judged([given(10, "B")], codes=old) == [None]
    assert judged([given(10, "B")], codes=(*old, ("B", 1, True))) == ["D502"]


def test_each_line_of_a_list_has_its_end() -> None:
    known = states((1, SET, 9, 1, None), (2, FAILED, 9, 1, "1001"), (3, SET, 2, 1, None))
    known = known.with_columns(given_up=pl.Series([7, 7, -1]))
    lines = [(1, True, 1), (2, True, 2), (3, True, 3), (4, True, 4), (5, True, None)]
    persons = pl.DataFrame(
        [*lines, (6, False, None)],
        schema={"line": pl.Int64, "exists": pl.Boolean, "link_number": pl.Int64},
        orient="row",
    )
    found = listed(persons, known, 7)
    ends = ["set", "failed", "not_concerned", "not_concerned", "no_number", "no_member"]
    assert found["end"].to_list() == ends
    assert found["result_detail_code"].to_list()[:2] == [None, "1001"]
    waiting = listed(persons, known, None)["end"].to_list()
    assert waiting == [*["wanted"] * 4, "no_number", "no_member"]
