"""Whole histories of questions and answers, against plain dictionaries.

Several insurers ask in two kinds and two modes; answers come in any order, in part, again in the
same and in later files, late, about strangers, and against each other. 200 histories, 2,000 with
KOUKAN_TEST_LONG=1, always the same ones.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import polars as pl
from answers import Row, answer, answers_frame, asked_frame, question, questions_frame
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from koukan.rules.compare import Kind
from koukan.rules.reconcile import ANSWER, NUMBER, Reconciled, reconcile

HISTORIES = 2_000 if os.environ.get("KOUKAN_TEST_LONG") == "1" else 80
KINDS: Mapping[str, Kind] = {
    "number, bulk": "my_number",
    "number, immediate": "my_number",
    "basic four, bulk": "basic_four",
    "basic four, immediate": "basic_four",
}
DETAILS = ("address_detail", "municipality_code", "municipality_name")
DETAILS += ("change_reason", "change_date")
FOUR = ("resident_name", "resident_name_kana", "birth_date", "sex", "address")
SAYS: list[dict[str, str]] = [
    {},
    {"change_presence": "1", "address": "架空県別市１"},
    {"update_status": "1", "my_number": "123456789026"},
    {"alive_status": "2"},
    {"answer_class": "2"},
    {"answer_class": "3"},
    {"answer_class": "3", "my_number": "123456789026"},
    {"my_number": "123456789026"},
    {"resident_name": "別　人"},
]


# --- the oracle


@dataclass
class Asked:
    """One question of one pool, from asking on."""

    line: int
    row: Row
    result: Row | None = None  # what its insurer is told; stays as it is once it is there


@dataclass
class Pool:
    """Questions of one kind and mode, by 要求レコード番号."""

    kind: Kind
    asked: dict[int, Asked] = field(default_factory=dict)

    def receive(self, rows: list[Row]) -> list[str]:
        """What becomes of each row of a file, one row after another; questions get results."""
        said: dict[int, list[Row]] = {}
        for row in rows:
            number = row[NUMBER]
            assert isinstance(number, int)
            said.setdefault(number, []).append(
                row
                if row["answer_class"] == "1"
                else {NUMBER: number, "answer_class": row["answer_class"]}
            )
        before = {number: one.result is not None for number, one in self.asked.items()}
        fates, used = [], set()
        for row in rows:
            number = row[NUMBER]
            assert isinstance(number, int)
            if number not in self.asked:
                fates.append("stranger")
            elif before[number]:
                fates.append("closed")
            elif any(other != said[number][0] for other in said[number]):
                fates.append("contradicting")
            elif self.other_number(row, self.asked[number].row):
                fates.append("other_number")
            elif number in used:
                fates.append("duplicate")
            else:
                used.add(number)
                fates.append("taken")
                self.asked[number].result = self.told(self.asked[number], row)
        return fates

    def other_number(self, row: Row, asked: Row) -> bool:
        told = row["answer_class"] == "1" and row["update_status"] != "1"
        return self.kind == "basic_four" and told and row["my_number"] != asked["my_number"]

    def told(self, one: Asked, row: Row) -> Row:
        result = self.result(row)
        items = (*FOUR, *DETAILS) if self.kind == "basic_four" else ("my_number", *FOUR, *DETAILS)
        compared = ("my_number",) if self.kind == "basic_four" else FOUR
        person = result in ("1", "5", "6")
        values: Row = {"query_result_class": result}
        values |= {name: row.get(name) if person else None for name in items}
        for name in compared:
            same = "1" if one.row[name] == row[name] else "8"
            values[f"{name}_match"] = same if person else None
        return values

    def result(self, row: Row) -> str:
        if row["answer_class"] != "1":
            return str(row["answer_class"])
        if row["alive_status"] == "2":
            return "4"
        if row["update_status"] == "1" and self.kind == "basic_four":
            return "5"
        return "6" if row["change_presence"] == "1" else "1"

    def state(self, one: Asked) -> str:
        if one.result is None:
            return "unanswered"
        return "ambiguous" if one.result["query_result_class"] == "3" else "answered"


# --- what is tested, kept as a run would keep it


@dataclass
class Kept:
    """The frames of one pool between files."""

    kind: Kind
    open: pl.DataFrame
    asked: pl.DataFrame
    answered: list[pl.DataFrame] = field(default_factory=list)

    def ask(self, rows: list[Row]) -> None:
        more = questions_frame(self.kind, rows)
        self.open = pl.concat([self.open, more])
        self.asked = pl.concat([self.asked, more.select(NUMBER)])

    def receive(self, rows: list[Row]) -> Reconciled:
        found = reconcile(self.kind, self.open, self.asked, answers_frame(rows), {})
        self.open = found.open
        self.answered.append(found.answered)
        return found


class Histories(RuleBasedStateMachine):
    """Questions and files of answers, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.pools = {name: Pool(kind) for name, kind in KINDS.items()}
        self.kept = {
            name: Kept(kind, questions_frame(kind, []), asked_frame([]))
            for name, kind in KINDS.items()
        }
        self.next_number = 1
        self.lines: Counter[str] = Counter()

    @rule(
        name=st.sampled_from(sorted(KINDS)),
        insurers=st.lists(st.sampled_from(["甲", "乙", "丙"]), min_size=1, max_size=5),
        sex=st.sampled_from(["1", "2", None]),
    )
    def ask(self, name: str, insurers: list[str], sex: str | None) -> None:
        pool, rows = self.pools[name], []
        for insurer in insurers:
            self.lines[insurer] += 1
            values = {"sex": sex} if pool.kind == "my_number" and sex else {}
            row = question(pool.kind, self.next_number, self.lines[insurer], **values)
            pool.asked[self.next_number] = Asked(self.lines[insurer], row)
            rows.append(row)
            self.next_number += 1
        self.kept[name].ask(rows)

    @precondition(lambda self: self.next_number > 1)
    @rule(
        name=st.sampled_from(sorted(KINDS)),
        draws=st.lists(
            st.tuples(st.integers(0, 30), st.sampled_from(SAYS), st.booleans()), max_size=8
        ),
        turned=st.booleans(),
    )
    def receive(
        self, name: str, draws: list[tuple[int, dict[str, str], bool]], turned: bool
    ) -> None:
        """Numbers of this pool mostly, of the others at times, and some that nobody asked."""
        own = sorted(self.pools[name].asked)
        rows = []
        for draw, says, anywhere in draws:
            beyond = 1 + draw % (self.next_number + 1)
            number = beyond if anywhere or not own else own[draw % len(own)]
            rows.append(answer(number, **says))
        if turned:
            rows.reverse()
        fates = self.pools[name].receive(rows)
        found = self.kept[name].receive(rows)
        assert [code or verdict for verdict, code in found.verdicts.rows()] == fates
        self.balanced(name, found, Counter(fates))

    def balanced(self, name: str, found: Reconciled, fates: Counter[str]) -> None:
        """Counts of one file: received = taken + duplicate + held, and each as the oracle says."""
        counts = found.counts
        assert counts.received == counts.taken + counts.duplicate + counts.held == fates.total()
        assert counts.taken == counts.answered + counts.ambiguous == found.answered.height
        order = found.answered.select("line_number", NUMBER).rows()
        assert order == sorted(order)
        for fate in ("taken", "duplicate", "stranger", "closed", "contradicting", "other_number"):
            assert getattr(counts, fate) == fates[fate]
        pool = self.pools[name]
        assert counts.unanswered == sum(one.result is None for one in pool.asked.values())

    @invariant()
    def every_question_is_in_one_state_and_the_closed_ones_never_change(self) -> None:
        for name, pool in self.pools.items():
            kept = self.kept[name]
            still = kept.open[NUMBER].to_list()
            closed = [row for frame in kept.answered for row in frame.to_dicts()]
            numbers = [*still, *(row[NUMBER] for row in closed)]
            assert sorted(numbers) == sorted(pool.asked)  # each one once
            states = Counter(pool.state(one) for one in pool.asked.values())
            assert states["unanswered"] == len(still)
            assert states["ambiguous"] == sum(row["query_result_class"] == "3" for row in closed)
            assert states.total() == len(pool.asked) == kept.asked.height
            for row in closed:
                one = pool.asked[row[NUMBER]]
                line = {"line_number": one.line, "record_number": one.line + 500}
                assert row == {NUMBER: row[NUMBER], **line, **(one.result or {})}
            for row in kept.open.to_dicts():
                assert row == pool.asked[row[NUMBER]].row


TestHistories = Histories.TestCase
TestHistories.settings = settings(
    max_examples=HISTORIES,
    stateful_step_count=12,
    suppress_health_check=list(HealthCheck),
)


def test_the_oracle_looks_at_all_that_an_answer_says() -> None:
    assert set(answer(1)) | {"change_reason", "change_date"} == {NUMBER, *ANSWER}
