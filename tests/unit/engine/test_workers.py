"""Tasks run side by side, as many as the site says, and are told of in the order of their items."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from typing import cast

import pytest

from koukan.engine.centre import Centre
from koukan.engine.workers import TURN, Workers, take_turns

NO_CENTRE = cast(Centre, None)  # threads hand it to their tasks, and these need none


@pytest.fixture
def workers() -> Iterator[Workers]:
    made = Workers(NO_CENTRE, "threads", 2)
    yield made
    made.close()


@pytest.mark.parametrize("more", [0, 1])
def test_as_many_tasks_as_are_allowed_meet(workers: Workers, more: int) -> None:
    together = 2 + more
    meeting = threading.Barrier(together, timeout=10)
    assert list(workers.map(lambda _, __: meeting.wait() >= 0, range(together), more=more)) == (
        [True] * together
    )


@pytest.mark.parametrize("more", [0, 1])
def test_no_more_tasks_run_at_once(workers: Workers, more: int) -> None:
    running: set[int] = set()
    seen, lock, pause = [], threading.Lock(), threading.Event()

    def task(_: Centre, item: int) -> int:
        with lock:
            running.add(item)
            seen.append(len(running))
        pause.wait(0.002)
        with lock:
            running.discard(item)
        return item

    assert list(workers.map(task, range(40), more=more)) == list(range(40))
    assert max(seen) <= 2 + more


def test_a_task_that_fails_ends_the_others(workers: Workers) -> None:
    done = []

    def task(_: Centre, item: int) -> None:
        done.append(item)
        if item == 3:
            raise KeyError(item)

    with pytest.raises(KeyError):
        list(workers.map(task, range(1000)))
    assert len(done) < 20


def test_closed_workers_start_again_when_they_are_asked(workers: Workers) -> None:
    assert list(workers.map(lambda _, item: item, [1])) == [1]
    workers.close()
    assert list(workers.map(lambda _, item: item, [2], more=1)) == [2]


def test_threads_give_way_sooner_than_they_would() -> None:
    take_turns()
    assert sys.getswitchinterval() == pytest.approx(TURN)
