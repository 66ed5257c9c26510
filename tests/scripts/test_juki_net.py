"""The counterpart as a process: it reads what koukan writes and writes what koukan reads."""

from __future__ import annotations

import ast
import re
import sys
import unicodedata
from collections import Counter
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from juki_net_support import (
    BULK,
    BY_ITEMS,
    BY_NUMBER,
    COUNTERPARTS,
    IMMEDIATE,
    SEED,
    Exchange,
    PlainReconciler,
    definitions,
    module,
    questions,
    read_answer,
    request,
)

from koukan.samples.population import Population
from koukan.samples.residents import residents

PERSONS = 4_000
MANY, SOME, FEW = 3_000, 300, 8  # questions of the requests: in three files, in two, at once


# --- the layout


def test_the_layout_is_that_of_the_definitions() -> None:
    """Written down twice: by hand there, in the TOML here."""
    layout = module("fixed_width")
    forms = definitions().formats
    asking, answering = forms["juki_net_request"], forms["juki_net_answer"]
    for table, fields in (
        (layout.CONTROL, asking.control),
        (layout.CONTROL, answering.control),
        (layout.REQUEST, asking.fields(asking.section("request"))),
        (layout.REQUEST_END, asking.end),
        (layout.ANSWER, answering.fields(answering.section("answer"))),
        (layout.ANSWER_END, answering.end),
    ):
        assert list(table.items()) == [(item.name, item.slot) for item in fields]
    codes = {item.name: item.sample for item in answering.control}
    assert codes["layout_code"] == layout.ANSWER_LAYOUT
    assert layout.REQUEST_LAYOUT in {item.value for item in asking.control}
    assert asking.section("request").code == layout.REQUEST_TYPE
    assert answering.section("answer").code == layout.ANSWER_TYPE
    assert layout.LINE_END == asking.file.line_end == answering.file.line_end
    assert {asking.file.encoding, answering.file.encoding} == {"cp932"}
    assert layout.REQUEST_NAME.fullmatch(asking.file.example)
    assert answering.file.expression.fullmatch(layout.answer_name(1))["sender"] == "juki-net"  # type: ignore[index]


def test_it_imports_nothing_of_koukan() -> None:
    own = {path.stem for path in COUNTERPARTS.glob("*.py")}
    found = set()
    for path in COUNTERPARTS.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                found |= {item.name.partition(".")[0] for item in node.names}
            elif isinstance(node, ast.ImportFrom):
                found.add(str(node.module).partition(".")[0])
    assert found - own - set(sys.stdlib_module_names) == {"numpy", "polars"}
    assert "juki_net" in own


# --- a whole exchange


class Answered:
    """Four requests, answered over all ticks."""

    def __init__(self, folder: Path, *, seed: int = 1) -> None:
        self.exchange = Exchange(folder, seed=seed)
        self.exchange.write_register(PERSONS)
        self.asked = {
            1: (BY_ITEMS, BULK, questions(BY_ITEMS, range(500, 500 + MANY))),
            2: (BY_NUMBER, BULK, questions(BY_NUMBER, range(MANY))),
            3: (BY_ITEMS, IMMEDIATE, questions(BY_ITEMS, range(FEW))),
            4: (BY_NUMBER, BULK, questions(BY_NUMBER, range(700, 700 + SOME))),
        }
        for sequence, (kind, mode, frame) in self.asked.items():
            self.exchange.lay(sequence, request(frame, sequence, kind, mode))
        self.expected = self.exchange.call("--expect")
        self.untouched = len(list(self.exchange.outbox.iterdir()))
        self.ticks = [self.exchange.call() for _ in range(4)]
        self.files = [
            (name, *read_answer(content)) for name, content in self.exchange.answers().items()
        ]

    def lines_for(self, sequence: int) -> list[pl.DataFrame]:
        """The answer files to one request, in their order."""
        kind, mode, frame = self.asked[sequence]
        numbers = frame["request_record_number"].implode()
        return [
            lines
            for _, control, lines in self.files
            if (control["query_type"], control["query_mode"]) == (kind, mode)
            and lines["request_record_number"].is_in(numbers).any()
        ]

    def closing(self, sequence: int) -> pl.DataFrame:
        """Of each question of a request that was answered, what koukan takes in."""
        frame = self.asked[sequence][2]
        reconciler = PlainReconciler(frame["request_record_number"])
        for lines in self.lines_for(sequence):
            reconciler.take(lines)
        found = pl.DataFrame(list(reconciler.closed.values()), infer_schema_length=None)
        return frame.select("request_record_number").join(
            found, on="request_record_number", how="left", maintain_order="left"
        )


@pytest.fixture(scope="module")
def answered(tmp_path_factory: pytest.TempPathFactory) -> Answered:
    return Answered(tmp_path_factory.mktemp("answered"))


def test_expecting_changes_nothing_and_stays_the_same(answered: Answered) -> None:
    assert answered.untouched == 4
    assert answered.exchange.call("--expect") == answered.expected


def test_requests_are_taken_and_answers_come_over_three_ticks(answered: Answered) -> None:
    asked = 2 * MANY + SOME + FEW
    first, second, third, fourth = answered.ticks

    assert list(answered.exchange.outbox.iterdir()) == []
    assert (first["requests"], first["questions"]) == (4, asked)
    assert (first["files"], second["files"], third["files"]) == (4, 3, 2)
    assert (first["waiting_files"], second["waiting_files"], third["waiting_files"]) == (5, 2, 0)
    assert [tick["idle"] for tick in answered.ticks] == [False, False, False, True]
    assert fourth == {
        "tick": 4,
        "idle": True,
        **dict.fromkeys(("requests", "questions", "refused", "files", "rows", "waiting_files"), 0),
    }


def test_files_are_numbered_without_gaps(answered: Answered) -> None:
    for number, (name, control, _) in enumerate(answered.files, 1):
        assert name == f"JA_juki-net_{number:06d}.dat"
        assert (control["sender"], control["file_sequence"]) == ("juki-net", f"{number:06d}")
        assert control["creation_date"] == "20260402"
    assert len(answered.files) == 9 == answered.expected["files"]


def test_what_must_come_of_it_is_what_a_plain_reader_finds(answered: Answered) -> None:
    total: Counter[str] = Counter()
    results: Counter[str] = Counter()
    asked = answered_rows = ambiguous = 0
    by_kind = {}
    for kind, mode, frame in answered.asked.values():
        by_kind.setdefault((kind, mode), []).extend(frame["request_record_number"])
    for place, numbers in by_kind.items():
        reconciler = PlainReconciler(numbers)
        for _, control, lines in answered.files:
            if (control["query_type"], control["query_mode"]) == place:
                reconciler.take(lines)
        asked += len(reconciler.asked)
        ambiguous += reconciler.results()["3"]
        answered_rows += len(reconciler.closed) - reconciler.results()["3"]
        total.update(reconciler.counts)
        results.update(reconciler.results())
    wanted = answered.expected

    assert wanted["asked"] == asked
    assert (wanted["answered"], wanted["ambiguous"]) == (answered_rows, ambiguous)
    assert wanted["unanswered"] == asked - answered_rows - ambiguous
    assert wanted["rows"] == total["rows"] == sum(tick["rows"] for tick in answered.ticks)
    assert wanted["duplicate"] == total["duplicate"]
    for code in ("H201", "H202", "H203"):
        assert wanted["held"][code] == total[code]
    assert wanted["rejected"] == {code: total[code] for code in ("R201", "R220", "R503")}
    assert wanted["results"] == dict(sorted(results.items()))


def test_everything_that_can_go_wrong_does(answered: Answered) -> None:
    wanted = answered.expected

    for count in (*wanted["held"].values(), *wanted["rejected"].values()):
        assert count > 2
    assert set(wanted["held"]) == {"H201", "H202", "H203"}
    assert set(wanted["results"]) == set("123456")
    assert wanted["duplicate"] > 2
    assert 5 < wanted["unanswered"] < 0.01 * wanted["asked"] + 20
    assert wanted["ambiguous"] > 3


def test_an_immediate_question_is_answered_at_once_and_without_mishap(answered: Answered) -> None:
    (lines,) = answered.lines_for(3)
    frame = answered.asked[3][2]

    assert sorted(lines["request_record_number"]) == sorted(frame["request_record_number"])
    assert lines["bad"].null_count() == FEW


def test_a_smaller_request_is_answered_in_two_files(answered: Answered) -> None:
    assert [len(answered.lines_for(number)) for number in (1, 2, 4)] == [3, 3, 2]


def test_some_come_again_as_they_were_and_one_otherwise(answered: Answered) -> None:
    first, *later = answered.lines_for(2)
    numbers = set(first.filter(pl.col("bad").is_null())["request_record_number"])
    again = pl.concat(later).filter(pl.col("request_record_number").is_in(list(numbers)))
    both = again.join(first, on="request_record_number", suffix="_first")
    same = both.filter(pl.col("address") == pl.col("address_first"))
    assert same.height > 3
    assert both.filter(pl.col("address") == pl.col("address_first") + "　別棟").height == 1


# --- whom it finds


def _known(persons: range) -> pl.DataFrame:
    """What the register has of each person that it has."""
    return residents(Population(SEED), np.array(persons, np.int64))


def test_by_the_number_everybody_is_found_as_the_register_has_them(answered: Answered) -> None:
    closing = answered.closing(2).with_columns(person=pl.Series(np.arange(MANY)))
    closed = closing.filter(pl.col("answer_class").is_not_null())
    joined = closed.join(_known(range(MANY)), on="person", how="left", suffix="_known")
    found = joined.filter(pl.col("name").is_not_null())
    unknown = joined.filter(pl.col("name").is_null())

    assert unknown.height > 30
    assert set(unknown["answer_class"]) == {"2"}
    assert set(found["answer_class"]) == {"1"}
    for name in ("my_number", "address", "address_detail", "municipality_code", "resident_class"):
        assert (found[name] == found[f"{name}_known"]).all()
    assert (found["resident_name"] == found["name"]).all()
    for column, (status, value) in {
        "death_date": ("alive_status", ("2", "1")),
        "renumbered_date": ("update_status", ("1", "0")),
    }.items():
        happened = found[column] != ""
        assert happened.any()
        assert (found[status].filter(happened) == value[0]).all()
        assert (found[status].filter(~happened) == value[1]).all()
    changed = found.filter(pl.col("change_presence") == "1")
    dates = pl.concat_str("death_date", "moved_date", "renumbered_date")
    assert (changed["change_date"] == changed.select(dates.alias("d"))["d"]).all()
    assert set(changed["change_reason"]) == {"33", "41", "11", "21"}


def _plain_name(value: str) -> str:
    """Whatever the width, the spaces and the form of a character."""
    folded = "".join(unicodedata.normalize("NFKC", value).split())
    return folded.translate(str.maketrans("髙﨑濵澤", "高崎浜沢"))


def _town(value: str) -> str:
    """An address up to its first number."""
    found = re.match("[^0-9一二三四五六七八九]+", unicodedata.normalize("NFKC", value))
    assert found is not None
    return found[0]


def test_by_their_items_all_are_found_but_those_with_another_name_or_address(
    answered: Answered,
) -> None:
    start = 500
    persons = range(start, start + MANY)
    closing = answered.closing(1).with_columns(person=pl.Series(np.arange(MANY)) + start)
    closed = closing.filter(pl.col("answer_class").is_not_null())
    joined = closed.join(_known(persons), on="person", how="left", suffix="_known")
    known = joined.filter(pl.col("name").is_not_null())
    single = known.filter(pl.col("namesake").is_null())
    double = known.filter(pl.col("namesake").is_not_null())

    assert set(joined.filter(pl.col("name").is_null())["answer_class"]) == {"2"}
    assert double.height > 3
    assert set(double["answer_class"]) <= {"3", "2"}
    assert (double["answer_class"] == "3").sum() > 2
    missed = single.filter(pl.col("answer_class") == "2")
    assert 30 < missed.height < 0.04 * single.height
    assert missed.height + (single["answer_class"] == "1").sum() == single.height
    asked = missed.select("request_record_number").join(
        answered.asked[1][2], on="request_record_number", maintain_order="left"
    )
    for said, known_as in zip(
        asked.select("resident_name", "address").iter_rows(),
        missed.select("name", "address_known").iter_rows(),
        strict=True,
    ):
        assert _plain_name(said[0]) != _plain_name(known_as[0]) or _town(said[1]) != _town(
            known_as[1]
        )
    found = single.filter(pl.col("answer_class") == "1")
    assert (found["my_number"] == found["my_number_known"]).all()
    assert set(found["update_status"]) == {"0"}
    moved = found.filter(pl.col("moved_date") != "")
    assert moved.height > 50
    assert (moved["address"] == moved["address_known"]).all()
    assert set(moved["change_presence"]) == {"1"}


def test_what_is_not_asked_for_is_not_told(tmp_path: Path) -> None:
    exchange = Exchange(tmp_path)
    exchange.write_register(2_000)
    known = residents(Population(SEED), np.arange(2_000, dtype=np.int64))
    dead = known.filter(pl.col("death_date") != "")["person"].to_list()[:4]
    moved = known.filter(pl.col("moved_date") != "")["person"].to_list()[:4]
    frame = questions(BY_NUMBER, [*dead, *moved]).with_columns(
        include_removed=pl.lit("0"), include_change_reason=pl.lit("0")
    )
    exchange.lay(1, request(frame, 1, BY_NUMBER, IMMEDIATE))
    exchange.call()
    ((_, content),) = exchange.answers().items()
    lines = read_answer(content)[1]
    order = frame.select("request_record_number").join(
        lines, on="request_record_number", how="left", maintain_order="left"
    )

    assert order["answer_class"].to_list() == ["2"] * 4 + ["1"] * 4
    assert order["change_presence"].to_list() == [None] * 4 + ["1"] * 4
    assert order["change_reason"].null_count() == order["change_date"].null_count() == 8


def test_the_same_seed_answers_with_the_same_bytes(answered: Answered, tmp_path: Path) -> None:
    again = Answered(tmp_path / "again")
    other = Answered(tmp_path / "other", seed=2)

    assert again.exchange.answers() == answered.exchange.answers()
    assert again.expected == answered.expected
    assert set(other.exchange.answers()) == set(answered.exchange.answers())
    assert other.exchange.answers() != answered.exchange.answers()
    assert other.expected["asked"] == answered.expected["asked"]
