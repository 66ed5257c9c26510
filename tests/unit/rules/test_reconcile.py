"""Reconcile: one file of answers, what becomes of each row and of each question."""

from __future__ import annotations

from typing import get_args

import polars as pl
import pytest
from answers import (
    MY_NUMBER,
    NEW_NUMBER,
    PERSON,
    Row,
    answer,
    answers_frame,
    asked_frame,
    question,
    questions_frame,
)
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from koukan.rules.compare import LADDERS, Kind
from koukan.rules.reconcile import (
    ANSWER,
    GIVEN,
    NUMBER,
    QUESTION,
    STATES,
    Counts,
    Reconciled,
    reconcile,
)

KINDS: tuple[Kind, ...] = get_args(Kind)
each_kind = pytest.mark.parametrize("kind", KINDS)


def taken_in(
    kind: Kind,
    answers: list[Row],
    questions: list[Row] | None = None,
    asked: list[int] | None = None,
) -> Reconciled:
    """Questions 1 and 2 are open and 3 is closed, where nothing else is said."""
    if questions is None:
        questions = [question(kind, 1), question(kind, 2)]
    numbers = [1, 2, 3] if asked is None else asked
    return reconcile(
        kind,
        questions_frame(kind, questions),
        asked_frame(numbers),
        answers_frame(answers),
        {"髙": "高"},
    )


def verdicts(found: Reconciled) -> list[str]:
    """Verdict, or why a row is held."""
    return [code or verdict for verdict, code in found.verdicts.rows()]


# --- which rows are taken


@each_kind
@pytest.mark.requirement("R140")
def test_only_answers_to_open_questions_are_taken(kind: Kind) -> None:
    found = taken_in(kind, [answer(9), answer(3), answer(1), answer(None), answer(2)])
    assert verdicts(found) == ["stranger", "closed", "taken", "stranger", "taken"]
    assert found.verdicts["verdict"].to_list() == ["held", "held", "taken", "held", "taken"]
    assert found.counts == Counts(5, 2, 0, 2, 1, 0, 0, answered=2, ambiguous=0, unanswered=0)
    assert found.counts.held == 3
    assert found.open.is_empty()


@each_kind
def test_equal_rows_are_one_answer_and_the_others_duplicates(kind: Kind) -> None:
    found = taken_in(kind, [answer(2), answer(1), answer(2), answer(2)])
    assert verdicts(found) == ["taken", "taken", "duplicate", "duplicate"]
    assert found.verdicts["code"].null_count() == 4


@each_kind
def test_rows_that_contradict_each_other_leave_the_question_open(kind: Kind) -> None:
    rows = [answer(1), answer(2), answer(1, address="別"), answer(1)]
    found = taken_in(kind, rows)
    assert verdicts(found) == ["contradicting", "taken", "contradicting", "contradicting"]
    assert found.open[NUMBER].to_list() == [1]
    again = taken_in(kind, [answer(1)], [question(kind, 1)])
    assert verdicts(again) == ["taken"]  # a later file may still say it


@pytest.mark.parametrize("name", ANSWER)
def test_all_that_an_answer_says_about_a_person_counts(name: str) -> None:
    other = {"answer_class": "3", "alive_status": "2", "update_status": "1"}
    other["change_presence"] = "1"
    changed = answer(1, **{name: other.get(name, "別")})
    assert verdicts(taken_in("my_number", [answer(1), changed])) == ["contradicting"] * 2
    gone = answer(1, **{name: None})
    if name not in ("answer_class", "change_reason", "change_date"):
        assert verdicts(taken_in("my_number", [gone, answer(1)])) == ["contradicting"] * 2
        assert verdicts(taken_in("my_number", [gone, gone])) == ["taken", "duplicate"]


@each_kind
@pytest.mark.parametrize("answer_class", ["2", "3"])
def test_of_nobody_and_several_only_the_class_counts(kind: Kind, answer_class: str) -> None:
    one = answer(1, answer_class=answer_class)
    other = answer(1, answer_class=answer_class, my_number=NEW_NUMBER, alive_status="2", sex=None)
    assert verdicts(taken_in(kind, [one, other])) == ["taken", "duplicate"]
    both = [answer(1, answer_class="2"), answer(1, answer_class="3")]
    assert verdicts(taken_in(kind, both)) == ["contradicting"] * 2


@pytest.mark.requirement("R138")
@pytest.mark.parametrize("returned", [NEW_NUMBER, None])
@pytest.mark.parametrize("says", [{}, {"alive_status": "2"}, {"update_status": None}])
def test_an_answer_about_another_number_than_was_asked_is_held(
    returned: str | None, says: dict[str, str | None]
) -> None:
    """A number that was changed is told as changed; anything else is somebody else's answer."""
    other = answer(1, my_number=returned, **says)
    found = taken_in("basic_four", [other, answer(2, my_number=returned, update_status="1")])
    assert verdicts(found) == ["other_number", "taken"]
    assert found.open[NUMBER].to_list() == [1]
    assert found.counts.other_number == found.counts.held == 1
    for answer_class in ("2", "3"):
        assert verdicts(taken_in("basic_four", [{**other, "answer_class": answer_class}])) == [
            "taken"
        ]
    assert verdicts(taken_in("my_number", [other])) == ["taken"]
    assert verdicts(taken_in("basic_four", [answer(1), other])) == ["contradicting"] * 2


@each_kind
def test_whatever_is_said_of_strange_and_closed_questions_is_held(kind: Kind) -> None:
    rows = [answer(3), answer(3), answer(3, address="別"), answer(9), answer(9), answer(9, sex="2")]
    assert verdicts(taken_in(kind, rows)) == ["closed"] * 3 + ["stranger"] * 3


@each_kind
def test_without_rows_nothing_happens(kind: Kind) -> None:
    found = taken_in(kind, [])
    assert found.counts == Counts(0, 0, 0, 0, 0, 0, 0, answered=0, ambiguous=0, unanswered=2)
    assert found.verdicts.is_empty() and found.answered.is_empty()
    assert_frame_equal(found.open, questions_frame(kind, [question(kind, 1), question(kind, 2)]))
    assert verdicts(taken_in(kind, [answer(1)], [], [])) == ["stranger"]


@given(
    st.lists(
        st.tuples(st.integers(1, 4), st.sampled_from("123"), st.sampled_from(["甲", "乙", None])),
        max_size=8,
    ).flatmap(lambda rows: st.tuples(st.just(rows), st.permutations(rows)))
)
def test_the_order_of_rows_means_nothing(
    orders: tuple[list[tuple[int, str, str | None]], list[tuple[int, str, str | None]]],
) -> None:
    one, other = (
        taken_in("my_number", [answer(n, answer_class=c, address=a) for n, c, a in rows])
        for rows in orders
    )
    assert_frame_equal(one.answered, other.answered)
    assert_frame_equal(one.open, other.open)
    assert one.counts == other.counts


def test_two_open_questions_under_one_number_are_a_bug() -> None:
    rows = [question("my_number", 1), question("my_number", 1, 2)]
    with pytest.raises(ValueError, match=r"^two open questions have one number$"):
        taken_in("my_number", [], rows)


@pytest.mark.parametrize("answer_class", ["4", None])
def test_a_class_that_nobody_knows_is_a_bug(answer_class: str | None) -> None:
    with pytest.raises(ValueError, match=r"^an answer did not pass the checks of its fields$"):
        taken_in("my_number", [answer(1, answer_class=answer_class)])


# --- what an insurer is told

SAYS: list[tuple[dict[str, str | None], str, str]] = [  # result by kind: my_number, basic_four
    ({}, "1", "1"),
    ({"answer_class": "2"}, "2", "2"),
    ({"answer_class": "3"}, "3", "3"),
    ({"alive_status": "2"}, "4", "4"),
    ({"update_status": "1"}, "1", "5"),
    ({"change_presence": "1"}, "6", "6"),
    ({"update_status": "1", "change_presence": "1"}, "6", "5"),
    ({"alive_status": "2", "update_status": "1", "change_presence": "1"}, "4", "4"),
    ({"answer_class": "2", "alive_status": "2", "update_status": "1"}, "2", "2"),
    ({"answer_class": "3", "alive_status": "2", "change_presence": "1"}, "3", "3"),
    ({"alive_status": None, "update_status": None, "change_presence": None}, "1", "1"),
]


@pytest.mark.requirement("R139")
@pytest.mark.parametrize(("values", "of_number", "of_basic_four"), SAYS)
def test_the_result_is_the_first_that_applies(
    values: dict[str, str | None], of_number: str, of_basic_four: str
) -> None:
    for kind, expected in zip(KINDS, (of_number, of_basic_four), strict=True):
        found = taken_in(kind, [answer(1, **values)])
        assert found.answered["query_result_class"].to_list() == [expected]
        wanted = {STATES[expected]: 1}
        assert {"answered": found.counts.answered, "ambiguous": found.counts.ambiguous} == {
            "answered": 0,
            "ambiguous": 0,
            **wanted,
        }


def test_results_are_answered_or_ambiguous() -> None:
    assert {result for result, state in STATES.items() if state == "ambiguous"} == {"3"}
    assert set(STATES) == set("1234567")


PLACE = {  # what is told of an address beside it
    "address_detail": "栄町１－２",
    "municipality_code": "990019",
    "municipality_name": "見本市",
    "change_reason": None,
    "change_date": None,
}


@pytest.mark.requirement("R136", "R137")
def test_who_asks_for_a_number_is_given_number_and_basic_four_with_evidence() -> None:
    asked = question("my_number", 1, 7, resident_name="髙橋", sex=None, birth_date="19800400")
    found = taken_in("my_number", [answer(1, resident_name="高橋")], [asked])
    assert found.answered.to_dicts() == [
        {
            NUMBER: 1,
            "line_number": 7,
            "record_number": 507,
            "query_result_class": "1",
            "my_number": MY_NUMBER,
            **PERSON,
            **PLACE,
            "resident_name": "高橋",
            "resident_name_match": "5",
            "resident_name_kana_match": "1",
            "birth_date_match": "8",
            "sex_match": "0",
            "address_match": "1",
        }
    ]


@pytest.mark.requirement("R136", "R137")
@pytest.mark.parametrize(("returned", "match"), [(MY_NUMBER, "1"), (NEW_NUMBER, "8"), (None, "9")])
def test_who_asks_with_a_number_is_given_the_basic_four_and_never_a_number(
    returned: str | None, match: str
) -> None:
    found = taken_in("basic_four", [answer(1, my_number=returned, update_status="1")])
    assert found.answered.to_dicts() == [
        {
            NUMBER: 1,
            "line_number": 1,
            "record_number": 501,
            "query_result_class": "5",
            **PERSON,
            **PLACE,
            "my_number_match": match,
        }
    ]
    assert "my_number" not in found.answered.columns


@each_kind
def test_answered_questions_stand_in_the_order_of_their_lines(kind: Kind) -> None:
    lines = [(5, 3), (6, 1), (9, 2), (7, 2), (8, 4)]
    rows = [question(kind, number, line) for number, line in lines]
    answers = [answer(number) for number in (8, 9, 5, 7, 6)]
    found = taken_in(kind, answers, rows, [5, 6, 7, 8, 9])
    assert found.answered.select(NUMBER, "line_number", "record_number").rows() == [
        (6, 1, 501),
        (7, 2, 502),
        (9, 2, 502),
        (5, 3, 503),
        (8, 4, 504),
    ]
    some = taken_in(kind, answers[:2], rows, [5, 6, 7, 8, 9])
    assert_frame_equal(some.open, questions_frame(kind, [*rows[:2], rows[3]]))  # in order


@each_kind
def test_the_columns_are_the_same_whatever_was_answered(kind: Kind) -> None:
    matches = [f"{item}_match" for item in LADDERS[kind]]
    columns = [*QUESTION.names(), "query_result_class", *GIVEN[kind], *matches]
    for rows in ([], [answer(1)], [answer(1, answer_class="2")]):
        schema = taken_in(kind, rows).answered.schema
        assert schema.names() == columns
        assert set(schema.dtypes()[3:]) == {pl.String}


# --- what nobody may see

secrets = st.sampled_from(["秘密", "620000000001", "19990909", "丙町", None])
silent = st.sampled_from([{"answer_class": "2"}, {"answer_class": "3"}, {"alive_status": "2"}])


@each_kind
@pytest.mark.requirement("R145")
@given(says=st.lists(silent, min_size=2, max_size=2), returned=st.lists(secrets, min_size=15))
def test_nothing_is_left_of_what_was_returned_about_nobody_several_and_the_dead(
    kind: Kind, says: list[dict[str, str]], returned: list[str | None]
) -> None:
    whole = dict(zip(ANSWER[4:], returned, strict=False))
    if kind == "basic_four":
        whole["my_number"] = "620000000001"  # an answer about another number is held
    asked = {name: value or "秘密" for name, value in whole.items() if name in LADDERS[kind]}
    questions = [question(kind, number, **asked) for number in (1, 2)]
    rows = [answer(number, **{**whole, **say}) for number, say in enumerate(says, 1)]
    found = taken_in(kind, rows, questions).answered
    assert found.height == 2
    told = found.drop(*QUESTION.names(), "query_result_class")
    assert told.null_count().sum_horizontal().item() == 2 * told.width
    assert set(found["query_result_class"]) <= set("234")


@given(
    numbers=st.lists(st.sampled_from([MY_NUMBER, NEW_NUMBER]), min_size=4, max_size=4),
    says=st.lists(st.sampled_from([values for values, _, _ in SAYS]), min_size=2, max_size=2),
)
def test_no_number_is_ever_in_the_answer_to_a_question_about_one(
    numbers: list[str], says: list[dict[str, str | None]]
) -> None:
    questions = [question("basic_four", i, my_number=numbers[i]) for i in (0, 1)]
    rows = [answer(i, **{"my_number": numbers[2 + i], **say}) for i, say in enumerate(says)]
    found = taken_in("basic_four", rows, questions, [0, 1]).answered
    values = {value for row in found.rows() for value in row}
    assert not values & {MY_NUMBER, NEW_NUMBER}
