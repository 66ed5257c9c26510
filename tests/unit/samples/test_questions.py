"""Questions: the insurer's own writing, which differs from the register as real files do."""

from __future__ import annotations

import io
import unicodedata
from collections.abc import Callable
from datetime import date
from typing import Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from koukan.formats.model import Catalogue, Format
from koukan.samples import bulk
from koukan.samples.bulk import Bulk, write_lines
from koukan.samples.line_faults import LINE_FAULTS
from koukan.samples.population import Population
from koukan.samples.questions import KINDS, question_frames
from koukan.samples.scenario import SCENARIO
from koukan.samples.spelling import as_insurers_write

DAY = date(2026, 4, 2)
COUNT = 20_000
PERSONS = np.arange(COUNT, dtype=np.int64)
INSURER = SCENARIO.insurers[1]


@pytest.fixture(scope="module")
def known() -> pl.DataFrame:
    people = Population(11).people(0, COUNT)
    return people.rename({"name": "resident_name", "name_kana": "resident_name_kana"})


@pytest.fixture(scope="module")
def written() -> pl.DataFrame:
    return as_insurers_write(Population(11), PERSONS, seed=3)


def _folded(value: str) -> str:
    return "".join(unicodedata.normalize("NFKC", value).split())


def test_most_is_written_as_the_register_has_it(known: pl.DataFrame, written: pl.DataFrame) -> None:
    for name, least in (("resident_name", 0.7), ("resident_name_kana", 0.6), ("address", 0.6)):
        same = (written[name] == known[name]).fill_null(False).mean()
        assert least < same < 0.9
    assert (written["birth_date"] == known["birth_date"]).all()
    assert written["sex"].drop_nulls().equals(known["sex"].filter(written["sex"].is_not_null()))
    assert 0.08 < written["sex"].null_count() / COUNT < 0.12


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("resident_name", "^[^ ]+ [^ ]+$"),  # a half-width space
        ("resident_name", "^[^ 　]+$"),  # none
        ("resident_name", "[ｱ-ﾝ]"),
        ("resident_name", "[高崎浜澤]"),
        ("resident_name_kana", "[ｱ-ﾝ]ﾞ"),
        ("resident_name_kana", "[あ-ん]"),
        ("resident_name_kana", "[ァ-ン]ー"),
        ("resident_name_kana", "[ァ-ン][－‐-]"),
        ("resident_name_kana", "^[^ 　]+$"),
        ("address", "[0-9]丁目[0-9]+番[0-9]+号"),
        ("address", "[０-９]－[０-９]+－[０-９]"),
        ("address", "[0-9]-[0-9]+-[0-9]"),
        ("address", "[０-９][ー‐][０-９]+[ー‐][０-９]"),
        ("address", "番地の?[０-９]"),
        ("address", "[一二三四五六七八九]丁目"),
        ("address", "号 [^ ]"),
        ("address", "号(見本荘|試験ハイツ)"),
    ],
)
def test_each_habit_occurs_and_the_register_has_none_of_it(
    known: pl.DataFrame, written: pl.DataFrame, name: str, pattern: str
) -> None:
    assert written[name].str.contains(pattern).sum() > 20
    assert known[name].str.contains(pattern).sum() == 0


def test_other_widths_and_spaces_are_still_the_same_name(
    known: pl.DataFrame, written: pl.DataFrame
) -> None:
    """All but other characters and the few with another name fold to what is known."""
    rows = zip(written["resident_name"], known["resident_name"], strict=True)
    same = sum(_folded(one) == _folded(other) for one, other in rows)
    assert 0.93 < same / COUNT < 0.99


def test_a_few_have_another_name_or_address_altogether(
    known: pl.DataFrame, written: pl.DataFrame
) -> None:
    frame = pl.DataFrame(
        {
            "surname": known["resident_name"].str.head(1),
            "written": written["resident_name"].str.head(1),
            "place": known["address"].str.slice(3, 3),
            "there": written["address"].str.slice(3, 3),
        }
    )
    assert 0.005 < (frame["surname"] != frame["written"]).mean() < 0.03  # type: ignore[operator]
    assert 0.001 < (frame["place"] != frame["there"]).mean() < 0.01  # type: ignore[operator]


def test_a_person_is_written_the_same_by_one_insurer_and_not_by_another(
    written: pl.DataFrame,
) -> None:
    again = as_insurers_write(Population(11), PERSONS[500:100:-1], seed=3)
    assert_frame_equal(again, written[500:100:-1])
    other = as_insurers_write(Population(11), PERSONS, seed=4)
    assert not other["resident_name_kana"].equals(written["resident_name_kana"])


def test_all_of_it_exists_in_cp932_and_fits(catalogue: Catalogue, written: pl.DataFrame) -> None:
    form = catalogue.formats["my_number_query"]
    for item in form.records[0].own:
        values = written[item.name].drop_nulls()
        "".join(values.unique()).encode("cp932")
        assert int(values.str.len_chars().max()) <= item.length  # type: ignore[call-overload]
        assert not values.str.contains('[,"]').any()


@pytest.mark.parametrize("name", KINDS)
def test_a_question_is_asked_of_each_person(catalogue: Catalogue, name: str) -> None:
    form = catalogue.formats[name]
    persons = np.array([40, 3, 17], np.int64)
    frames = question_frames(form, Population(11), persons, insurer=INSURER, first_record_number=8)
    (frame,) = frames.values()

    assert frame.columns == [item.name for item in form.fields(form.records[0])]
    assert frame["record_number"].to_list() == ["0000000008", "0000000009", "0000000010"]
    assert set(frame["insurer_code"]) == {INSURER.code}
    if name == "basic_four_query":
        assert frame["my_number"].equals(Population(11).numbers(persons).alias("my_number"))
    else:
        assert frame["birth_date"].equals(Population(11).select(persons)["birth_date"])


def _bulk(form: Format, rows: int, codes: list[str]) -> tuple[Bulk, bytes]:
    population, content = Population(9), io.BytesIO()

    def make(persons: range, first: int) -> Any:
        numbers = np.arange(persons.start, persons.stop, dtype=np.int64)
        return question_frames(
            form, population, numbers, insurer=INSURER, first_record_number=first
        )

    made = write_lines(
        content,
        form,
        make,
        seed=9,
        rows=rows,
        sender="kenpo-a",
        as_of=DAY,
        bad_rows=90,
        codes=codes,
        control={"query_mode": "1"},
    )
    return made, content.getvalue()


@pytest.mark.parametrize("name", KINDS)
def test_a_big_file_is_written_in_pieces_with_faults_in_proportion(
    catalogue: Catalogue,
    judge: Any,
    read: Callable[..., Any],
    name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bulk, "PIECE", 300)
    form = catalogue.formats[name]
    codes = list(LINE_FAULTS[name])
    made, content = _bulk(form, 1_000, codes)
    found = read(content, form)
    rows = [row for _, row in found.rows]

    assert found.control["query_mode"] == "1"
    assert made.file.lines == made.counts.received == len(rows)
    assert set(made.faults) == set(codes)
    alone = [number for number, codes in enumerate(judge.single(form, found.rows)) if codes]
    numbers = [row["record_number"] for row in rows]
    shared = {number for number in numbers if numbers.count(number) > 1}
    rejected = set(alone) | {place for place, number in enumerate(numbers) if number in shared}
    assert len(rejected) == made.counts.rejected
    assert len(shared) * 2 == made.faults["R306"]
    good = [tuple(row.values())[1:] for place, row in enumerate(rows) if place not in rejected]
    assert len(good) - len(set(good)) == made.counts.duplicate == made.faults["D301"]
    assert made.counts.accepted == len(set(good))
