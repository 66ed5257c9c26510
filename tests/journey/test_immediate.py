"""Immediate questions and ticks: out at the next one, back at the one after the answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from journey import checks, nights, outside
from journey.acts import ASK, Outside
from journey.nights import Prepared
from journey.stops import stopping
from journey.whole import KENPO_B

from koukan.engine.centre import Centre
from koukan.engine.run import run_job, tick
from koukan.ledger import identity as asked
from koukan.ledger.approvals import open_approvals
from koukan.reports import status

Open = Callable[..., Centre]
IMMEDIATE, BULK = "BQ_kenpo-b_000001.csv", "NQ_kenpo-b_000001.csv"


@pytest.fixture
def quiet(
    whole: Prepared, tmp_path: Path, opened: Open
) -> tuple[Callable[[int], Centre], Outside, dict[str, bytes]]:
    """The centre so many minutes after a tick at which everything was due and nothing came.

    And the files of questions that may come then.
    """
    root = whole.copy(tmp_path / "root")
    questions = {path.name: path.read_bytes() for path in nights.inbox_files(root)}
    for path in nights.inbox_files(root):
        path.unlink()
    people = Outside(root, outside.Keys(whole.people), tmp_path / "outside", whole.now, KENPO_B)

    def at(minutes: int) -> Centre:
        return opened(replace(whole, now=whole.now + timedelta(minutes=minutes)), root)

    assert ASK in {ran.job for ran in tick(at(0))}
    return at, people, questions


def lay(people: Outside, questions: dict[str, bytes], name: str) -> None:
    inbox = people.root / "exchange" / "kenpo-b" / "inbox" / "dedicated_terminal"
    (inbox / name).write_bytes(questions[name])


def requests(centre: Centre) -> list[tuple[str, str]]:
    return [(item.mode, item.state) for item in asked.requests(centre.ledger)]


@pytest.mark.requirement("R127", "R128", "R129")
def test_an_immediate_question_takes_two_ticks_and_the_bulk_ones_beside_it_wait_for_each_other(
    quiet: tuple[Callable[[int], Centre], Outside, dict[str, bytes]],
) -> None:
    at, people, questions = quiet
    lay(people, questions, IMMEDIATE)
    lay(people, questions, BULK)
    centre = at(1)
    assert [ran.job for ran in tick(centre)] == [ASK]
    assert {item.mode for item in asked.questions(centre.ledger)} == {"1", "2"}
    assert requests(centre) == [("1", "sent")]
    assert open_approvals(centre.ledger) == []
    people.juki_net().answer()
    centre = at(2)
    assert [ran.job for ran in tick(centre)] == ["answer_identity"]
    assert len(outside.packages_of(people.root, "kenpo-b")) == 1
    assert requests(centre) == [("1", "erased")]
    assert status(centre)["waiting"]["due_jobs"] == []
    centre = at(10)
    assert {ASK, "answer_identity"} <= {ran.job for ran in tick(centre)}
    assert requests(centre) == [("1", "erased"), ("2", "cut")]
    assert [item.operation for item in open_approvals(centre.ledger)] == ["send"]
    assert checks.problems(centre) == []


def test_a_tick_at_which_nothing_came_tells_of_nothing(
    quiet: tuple[Callable[[int], Centre], Outside, dict[str, bytes]],
) -> None:
    at, _, _ = quiet
    assert tick(at(1)) == tick(at(1)) == []


def test_what_was_killed_between_two_ticks_goes_on_at_the_next(
    quiet: tuple[Callable[[int], Centre], Outside, dict[str, bytes]],
) -> None:
    at, people, questions = quiet
    lay(people, questions, IMMEDIATE)
    centre = at(1)
    for event, step in (("picked_up", "pick_up"), ("stored", "ask"), ("request cut", "request")):
        with stopping(centre, event, step=step):
            run_job(centre, ASK, between=True)
        centre.close()
        centre = at(1)
    tick(centre)
    assert requests(centre) == [("1", "sent")]
    people.juki_net().answer()
    centre = at(2)
    with stopping(centre, "answers taken", step="split"):
        run_job(centre, "answer_identity", between=True)
    centre.close()
    centre = at(3)
    tick(centre)
    assert len(outside.packages_of(people.root, "kenpo-b")) == 1
    assert checks.problems(centre) == []


def test_who_has_the_lease_makes_no_tick_busy_at_which_nothing_is_due(
    quiet: tuple[Callable[[int], Centre], Outside, dict[str, bytes]],
) -> None:
    from koukan.engine.leases import lease

    at, people, questions = quiet
    lay(people, questions, IMMEDIATE)
    first, second = at(1), at(1)
    with lease(first.folder("locks"), first.ledger, "jobs", first.clock()):
        assert tick(second) == []
    assert [ran.job for ran in tick(second)] == [ASK]
