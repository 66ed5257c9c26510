"""However answers are split over files, merged, ordered and repeated, the sum is the same."""

from __future__ import annotations

import os

import polars as pl
import pytest
from answers import Row, answer, answers_frame, asked_frame, question, questions_frame
from hypothesis import given, settings
from hypothesis import strategies as st

from koukan.rules.compare import Kind
from koukan.rules.reconcile import NUMBER, reconcile, states

EXAMPLES = 2_000 if os.environ.get("KOUKAN_TEST_LONG") == "1" else 20
SAYS: list[dict[str, str]] = [
    {},
    {"address": "架空県別市１"},
    {"change_presence": "1"},
    {"update_status": "1", "my_number": "123456789026"},
    {"alive_status": "2"},
    {"answer_class": "2"},
    {"answer_class": "3"},
]


def summed(
    kind: Kind, questions: list[Row], files: list[list[Row]], lots: list[set[int]]
) -> pl.DataFrame:
    """All that is answered, by question.

    Args:
        lots: whose questions are looked at together; each one's answers are dealt out to it.
    """
    parts = []
    for lot in lots:
        rows = [row for row in questions if row[NUMBER] in lot]
        open_ = questions_frame(kind, rows)
        asked = asked_frame(sorted(lot))
        for file in files:
            own = answers_frame([row for row in file if row[NUMBER] in lot])
            found = reconcile(kind, open_, asked, own, {})
            parts.append(found.answered)
            open_ = found.open
    return pl.concat(parts).sort(NUMBER)


@pytest.mark.requirement("R140")
@pytest.mark.parametrize("kind", ["my_number", "basic_four"])
@settings(max_examples=EXAMPLES, deadline=None)
@given(data=st.data())
def test_the_sum_is_the_same_however_answers_come(kind: Kind, data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 10), "questions")
    numbers = range(1, count + 1)
    insurer = [data.draw(st.integers(0, 2)) for _ in numbers]
    lines = [insurer[: at + 1].count(whose) for at, whose in enumerate(insurer)]
    questions = [question(kind, number, line) for number, line in zip(numbers, lines, strict=True)]
    said = {
        number: answer(number, **data.draw(st.sampled_from(SAYS)))
        for number in numbers
        if data.draw(st.booleans())
    }
    once = summed(kind, questions, [list(said.values())], [set(numbers)])

    files: list[list[Row]] = [[] for _ in range(data.draw(st.integers(1, 4), "files"))]
    for row in said.values():
        places = st.lists(st.integers(0, len(files) - 1), min_size=1, max_size=3)
        for place in data.draw(places):
            files[place].append(row)
    files = [data.draw(st.permutations(file)) for file in files]
    by_insurer = [
        {n for n, whose in zip(numbers, insurer, strict=True) if whose == i} for i in range(3)
    ]
    lots = data.draw(st.sampled_from([[set(numbers)], [lot for lot in by_insurer if lot]]), "lots")
    split = summed(kind, questions, files, lots)
    assert split.equals(once)
    assert states(split) == states(once)
