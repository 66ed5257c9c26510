"""What lines suppose to have been told before, against one word after another."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import polars as pl
import pytest

from koukan.rules.hindsight import (
    CODES,
    NO_CANDIDATE,
    NO_SPELL,
    WORDS,
    Spoken,
    nothing,
    place_of,
    spoken_of,
    supposing,
    unfounded,
    unnumbered,
    words_of,
)
from koukan.rules.line_keys import DAYS, NONE
from koukan.rules.register import (
    CANCELLATION,
    CHANGE,
    CORRECTION,
    LOSS,
    NEW,
    WITHDRAWAL,
    Lines,
    Persons,
)
from koukan.rules.settling import Linked

QUALIFICATION, BASIC = 2, 1  # record types


class Word(NamedTuple):
    whom: int
    insurer: int
    day: int
    place: int
    line: int
    process: int
    class_: int


class Asked(NamedTuple):
    person: int
    whom: int
    insurer: int
    day: int
    place: int
    process: int


def slowly(asked: list[Asked], words: list[Word]) -> dict[int, str]:
    """Each line by itself, over all that its insurer said of the person before."""
    found: dict[int, str] = {}
    for line in asked:
        said = sorted(
            (
                word
                for word in words
                if (word.whom, word.insurer) == (line.whom, line.insurer)
                and word.place < line.place
            ),
            key=lambda word: (word.place, word.line),
        )
        corrections = [word.place for word in said if word.process == CORRECTION]
        said = [word for word in said if word.place >= max(corrections, default=0)]
        spells = [word.process for word in said if word.day == line.day]
        classes = [word.class_ for word in said if word.class_]
        if line.process == WITHDRAWAL:
            right = bool(classes) and classes[-1] in NO_CANDIDATE
        else:
            right = bool(spells) and spells[-1] not in NO_SPELL
        if not right:
            found.setdefault(line.person, dict(CODES)[line.process])
    return found


def drawn(draw: random.Random) -> tuple[list[Asked], list[Word]]:
    words = [
        Word(
            draw.randrange(2), draw.randrange(2), draw.choice([NONE, 1, 2]), draw.randrange(1, 8),
            line, draw.choice([0, NEW, CHANGE, LOSS, CORRECTION, CANCELLATION, WITHDRAWAL]),
            draw.randrange(4),
        )
        for line in range(draw.randrange(12))
    ]  # fmt: skip
    asked = []
    for person in range(draw.randrange(1, 5)):
        process, place = draw.choice(CODES)[0], draw.randrange(1, 9)
        link, insurer = draw.randrange(3), draw.randrange(2)
        asked += [
            Asked(person, link, insurer, day, place, process)
            for day in draw.sample([1, 2], draw.randrange(1, 3))
        ]
    return asked, words


def frame(words: list[Word]) -> pl.DataFrame:
    return pl.DataFrame(words, schema=WORDS, orient="row")


@pytest.mark.parametrize("seed", range(300))
def test_lines_are_unfounded_as_one_word_after_another_says(seed: int) -> None:
    asked, words = drawn(random.Random(seed))
    schema = dict.fromkeys(Asked._fields, pl.Int64) | {"process": pl.Int8}
    found = unfounded(pl.DataFrame(asked, schema=schema, orient="row"), frame(words))
    assert dict(found.iter_rows()) == slowly(asked, words)


def test_a_group_stands_before_the_next_one_whatever_its_receptions_are() -> None:
    group, reception = np.array([1, 2]), np.array([10**9, 1])
    assert np.all(np.diff(place_of(group, reception)) > 0)


def lines_of(rows: list[tuple[int, int, int]]) -> Lines:
    """Lines of (レコード識別番号, record type, 資格取得年月日)."""
    count = len(rows)
    number, kind, day = (np.array(column, np.int64) for column in zip(*rows, strict=True))
    none, no = np.full(count, NONE), np.zeros(count, np.bool_)
    return Lines(none, number, kind, none, none, none, none, none, day, no)


def persons_of(of_line: list[int], process: list[int], insurer: list[int]) -> Persons:
    none = np.full(len(process), NONE)
    return Persons(
        none, np.array(of_line), none, np.array(process), np.array(insurer), none, none, none
    )


def test_what_is_said_comes_by_person_whatever_the_order_of_lines_is() -> None:
    lines = lines_of(
        [(2, QUALIFICATION, DAYS + 7), (1, BASIC, 0), (1, QUALIFICATION, DAYS + 5), (2, 2, NONE)]
    )
    persons = persons_of([1, 0, 0, 1], [LOSS, NEW], [8, 8])
    spoken = spoken_of(lines, persons, QUALIFICATION, np.array([0, 3]))
    assert (spoken.person.tolist(), spoken.day.tolist()) == ([0, 1], [5, 7])
    assert spoken.line.tolist() == [2, 0]
    second = spoken.part(1, 2)
    assert (second.person.tolist(), second.day.tolist()) == ([0], [7])
    assert second.classes.tolist() == [3]


def test_who_moves_has_left_the_former_insurer_and_who_waits_has_no_link() -> None:
    persons = persons_of([], [NEW, CHANGE, NEW, CHANGE, NEW], [8] * 5)
    persons = replace(persons, member_id=np.array([NONE, 2, NONE, 4, NONE]))
    said = Spoken(np.arange(5), np.arange(5, 10), np.arange(5), np.zeros(5))
    no, none = np.zeros(5, np.bool_), pl.DataFrame()
    linked = Linked(
        np.array([11, 12, NONE, NONE, NONE]), np.array([1, 22, 3, 44, NONE]),
        np.array([8, 9, 8, 9, 8]), none, np.array([False] * 4 + [True]), no, no, no,
        none, none, none,
    )  # fmt: skip
    words = words_of(persons, said, linked, np.ones(5, np.int64))
    assert words.select("link_number", "member_id", "insurer", "day", "process").rows() == [
        (11, 1, 8, 5, NEW),
        (12, 22, 9, 6, CHANGE),
        (None, 3, 8, 7, NEW),
        (None, 44, 9, 8, CHANGE),
        (12, 2, 8, 6, 0),
    ]


def test_who_waits_is_named_apart_from_every_link() -> None:
    named = unnumbered(np.array([1, 1, 2], np.int32), np.array([0, 1, 0]))
    assert len(set(named.tolist())) == 3
    assert named.min() > 10**16


def test_only_losses_cancellations_and_withdrawals_suppose_anything() -> None:
    persons = persons_of([], list(range(NEW, 9)), [8] * 8)
    asks = supposing(persons, np.zeros(8, np.bool_))
    assert (np.flatnonzero(asks) + 1).tolist() == [LOSS, CANCELLATION, WITHDRAWAL]
    assert not supposing(persons, np.ones(8, np.bool_)).any()
    assert len(nothing(persons).person) == 0
    assert nothing(persons).classes.tolist() == [0] * 8
