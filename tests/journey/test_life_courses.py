"""Life courses through the whole pipeline, beside a slow and obvious second implementation."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from course_files import CODES, SPEAKS_FOR
from course_shrink import Night, near, shrunk, told
from course_states import differences
from course_trial import Disagreement, Trial
from journey import checks, nights
from life_acts import NUMBERS, Person
from life_courses import Courses
from slow_registry import CHANGE, NEW, PARTING, WITHDRAWAL, File, Statement, Told
from withdrawals import FORGET

from koukan.samples.population import Population

COURSES = (20_000, 12) if nights.LONG else (500, 4)  # persons, nights
ALONE = (2_000, 5) if nights.LONG else (40, 2)
MIXED = (2_000, 6) if nights.LONG else (60, 2)

DRAWN = {  # what becomes of lines in every course: it would say nothing without them
    *("R215", "R216", "R217", "R223", "R224", "R225", "R226", "R302"),
    *("R401", "R402", "R403", "R404", "R405", "R406", "R407", "R408"),
    *("W401", "W402"),
}


def people(count: int) -> list[Person]:
    numbers = Population(nights.SEED).numbers(np.arange(count * NUMBERS, dtype=np.int64)).to_list()
    return [Person(numbers[first : first + NUMBERS]) for first in range(0, len(numbers), NUMBERS)]


def lived(trial: Trial, seed: int, persons: int, count: int) -> list[Night]:
    """So many nights of so many persons; what the senders laid."""
    draw = random.Random(seed)
    courses = Courses(draw, trial.registry, CODES, people(persons), arrivals=persons // (count + 1))
    laid = []
    for _ in range(count):
        again = draw.sample(sorted(trial.site.laid), min(2, len(trial.site.laid)))
        files = courses.night()
        laid.append(files)
        trial.night(files, again={name: draw.random() < 0.5 for name in again})
        for file in files:
            for statement in file.statements:
                courses.learn(statement, trial.answers.get(statement.serial))
    return laid


def everything(trial: Trial) -> list[Disagreement]:
    """Answers, then what is known."""
    found = list(trial.found)
    for what, numbers, koukan, slow in differences(trial, random.Random(1)):
        serials = [
            one.serial
            for file in trial.site.laid.values()
            for one in file.statements
            if {one.number, one.new_number} & set(numbers)
        ]
        found.append(Disagreement(what, tuple(serials), koukan, slow))
    return found


def require_agreement(trial: Trial, laid: Sequence[Night]) -> None:
    """Nothing is said differently; else the fewest statements for which it is."""
    found = everything(trial)
    if not found:
        return
    first = found[0]
    course = shrunk(near(laid, first.serials, 2), everything)
    lines = [
        f"{len(found)} disagreements; {first.what}",
        f"koukan: {first.koukan}",
        f"slow:   {first.slow}",
        told(course),
    ]
    pytest.fail("\n".join(lines), pytrace=False)


@pytest.mark.parametrize("seed", [1])
def test_whatever_insurers_say_is_known_as_the_slow_registry_knows_it(
    seed: int, tmp_path: Path
) -> None:
    trial = Trial.new(tmp_path, compacts=True)
    require_agreement(trial, lived(trial, seed, *COURSES))
    with trial.site.opened() as centre:
        assert checks.problems(centre) == []
    answers = trial.answers.values()
    assert {code for one in answers for codes in one.codes.values() for code in codes} >= DRAWN


def test_one_run_and_a_run_for_every_file_give_the_same_answers(tmp_path: Path) -> None:
    together, apart = (Trial.new(tmp_path / name) for name in ("together", "apart"))
    laid = lived(together, 2, *ALONE)
    for files in laid:
        apart.night(*([file] for file in sorted(files, key=lambda file: file.sender)))
    require_agreement(together, laid)
    require_agreement(apart, laid)
    assert apart.answers == together.answers


def test_insurers_files_in_another_order_are_answered_as_one_after_another(tmp_path: Path) -> None:
    first, second = (Trial.new(tmp_path / name) for name in ("first", "second"))
    laid, draw = lived(first, 3, *MIXED), random.Random(3)
    for files in laid:
        mixed = draw.sample(files, len(files))
        second.night(mixed[::2], mixed[1::2])
    require_agreement(second, laid)


def test_one_member_told_of_under_both_numbers_is_no_reason_not_to_join_them(
    tmp_path: Path,
) -> None:
    """It went on at another insurer under a number that was then parted from it."""
    one, other = people(1)[0].numbers[:2]
    here, there = SPEAKS_FOR["nhi-aggregation"][:2]
    told = (Told(date(2022, 4, 1)),)
    course = [
        [Statement(1, NEW, here, told, number=one), Statement(2, NEW, there, told, number=one)],
        [Statement(3, CHANGE, here, told, number=one, member=1, new_number=other)],
        [Statement(4, CHANGE, here, told, number=other, member=1, new_insurer=there)],
        [Statement(5, PARTING, here, told, number=one, member=1, new_number=other)],
        [Statement(6, CHANGE, here, told, number=other, member=1, new_number=one)],
    ]
    trial = Trial.new(tmp_path)
    laid = [[File("nhi-aggregation", (said,)) for said in night] for night in course]
    for files in laid:
        trial.night(files)
    require_agreement(trial, laid)
    assert not any(answer.rejected for answer in trial.answers.values())
    assert len(set(trial.states[trial.nights[-1]].person.values())) == 1


@pytest.mark.requirement("R030")
def test_who_waited_or_went_on_elsewhere_is_accounted_for_when_forgotten(tmp_path: Path) -> None:
    """The lines of the one never came into the history; the other's were two insurers'."""
    number = people(1)[0].numbers[0]
    here, there = SPEAKS_FOR["nhi-aggregation"][:2]
    told, of_household = (Told(date(2022, 4, 1)),), {"member_class": "3"}
    course = [
        [
            Statement(1, NEW, here, told, **of_household),
            Statement(2, NEW, here, told, number=number, **of_household),
        ],
        [
            Statement(3, WITHDRAWAL, here, told, member=1, **of_household),
            Statement(4, CHANGE, here, told, number, 2, new_insurer=there, **of_household),
        ],
        [Statement(5, WITHDRAWAL, there, told, number, 4, **of_household)],
    ]
    trial = Trial.new(tmp_path)
    for said in course:
        trial.night([File("nhi-aggregation", tuple(said))])
    assert not any(answer.rejected for answer in trial.answers.values())
    trial.site.place.run(FORGET)
    with trial.site.opened() as centre:
        assert [row.what for row in centre.ledger.erasures()] == ["members"]
        assert checks.problems(centre) == []
