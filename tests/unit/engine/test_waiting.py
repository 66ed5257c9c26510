"""Whom an insurer has still to settle, from rows as events of each kind leave them."""

from __future__ import annotations

import json
from collections import Counter
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
from centres import Place, lay
from course_files import CODES
from course_trial import Trial
from histories import KYOKAI
from slow_registry import CHANGE, NEW, File, Statement, Told
from statements import renumbered, say, tell, withdrawn

from koukan.engine.centre import Centre
from koukan.engine.waiting import waiting
from koukan.errors import UsageError
from koukan.samples.population import Population

DAYS = 40


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path / "site", tmp_path / "keys" / "batch.key").initialised()
    lay(place, "kyokai", 1, persons=3)
    place.run()
    place.now += timedelta(days=DAYS)
    return place


def listed(centre: Centre) -> list[tuple[object, ...]]:
    return waiting(centre, KYOKAI).rows()


def test_who_waits_is_listed_until_a_later_word_settles_it(place: Place) -> None:
    with place.opened() as centre:
        assert listed(centre) == []
        tell(
            centre,
            KYOKAI,
            2,
            {11: "1", 12: "2", 13: "3", 14: "2"},
            {11: None, 12: 5, 13: 6, 14: None},
        )
        assert listed(centre) == [
            ("my_number", 11, 1, 20, DAYS),
            ("2", 12, 1, 21, DAYS),
            ("3", 13, 1, 22, DAYS),
            ("my_number", 14, 1, 23, DAYS),
            ("2", 14, 1, 23, DAYS),
        ]
        tell(
            centre, KYOKAI, 3, {12: "1", 13: "3", 11: "1"}, {11: 9}
        )  # joined; still so; has a number
        assert listed(centre) == [
            ("3", 13, 1, 22, DAYS),
            ("my_number", 14, 1, 23, DAYS),
            ("2", 14, 1, 23, DAYS),
        ]
        say(centre, [withdrawn(13, 4, insurer=int(KYOKAI))], group=4)
        say(centre, [renumbered(14, 12, 5, insurer=int(KYOKAI))], group=5)
        assert listed(centre) == []


def test_looking_is_logged_with_the_insurer_and_a_count(place: Place) -> None:
    with place.opened() as centre:
        tell(centre, KYOKAI, 2, {11: "2"}, {11: None})
        assert len(listed(centre)) == 2
    entry = json.loads(next((place.root / "log").glob("*.jsonl")).read_text().splitlines()[-1])
    assert (entry["operation"], entry["where"], entry["note"]) == (
        "waiting",
        {"insurer": KYOKAI},
        {"rows": 2},
    )


@pytest.mark.parametrize(
    ("typed", "key"), [("123456789018", "history.insurer_form"), ("99999999", "waiting.unknown")]
)
def test_another_insurer_is_wrong_usage(place: Place, typed: str, key: str) -> None:
    with place.opened() as centre, pytest.raises(UsageError) as error:
        waiting(centre, typed)
    assert error.value.key == key


def test_who_went_on_at_another_insurer_is_listed_there_alone(tmp_path: Path) -> None:
    """With a 個人番号 and without; what is said again of whom went makes it the former one's."""
    trial, told = Trial.new(tmp_path), (Told(date(2026, 4, 1)),)
    here, there = CODES["kenpo-a"], CODES["kenpo-b"]
    number = Population(7).numbers(np.array([1])).item()
    coming = {"told": told, "member_class": "2"}
    new = [
        Statement(serial, NEW, here, number=number if serial == 1 else None, **coming)
        for serial in (1, 2, 3)
    ]
    goes = [
        Statement(
            10 + one.serial, CHANGE, here, number=one.number, member=one.serial,
            new_insurer=there, **coming,
        )
        for one in new
    ]  # fmt: skip
    back = Statement(23, CHANGE, here, member=3, **coming)
    counted = []
    for statements in (new, goes, [back]):
        trial.night([File("kenpo-union", tuple(statements))])
        with trial.site.opened() as centre:
            listed = [waiting(centre, code)["waiting_for"].to_list() for code in (here, there)]
        counted.append([Counter(kinds) for kinds in listed])
    every = {"2": 3, "my_number": 2}
    assert trial.found == []
    assert counted == [[every, {}], [{}, every], [{"2": 1, "my_number": 1}, every]]
