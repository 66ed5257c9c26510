"""What stands alone is done by threads while the caller goes on, where it is worth one."""

from __future__ import annotations

import threading

import pytest
from centres import Place

from koukan.engine.lookup import MANY, beside, side_by_side


def test_many_rows_are_looked_at_while_the_block_goes_on() -> None:
    meeting = threading.Barrier(2, timeout=10)
    with beside(meeting.wait, MANY) as met:
        own = meeting.wait()
        assert {own, met()} == {0, 1}


def test_for_few_rows_no_thread_is_started() -> None:
    with beside(threading.current_thread, MANY - 1) as found:
        assert found() is threading.current_thread()


def test_a_thread_has_ended_when_its_block_fails() -> None:
    done = threading.Event()

    def work() -> None:
        done.wait(0.05)
        done.set()

    with pytest.raises(ZeroDivisionError), beside(work, MANY):
        raise ZeroDivisionError
    assert done.is_set()


def test_what_a_thread_raises_is_raised_where_it_is_asked_for() -> None:
    def work() -> None:
        raise ZeroDivisionError

    with beside(work, MANY) as asked, pytest.raises(ZeroDivisionError):
        asked()


def test_items_are_looked_at_two_at_once_and_told_in_their_order(empty: Place) -> None:
    meeting = threading.Barrier(2, timeout=10)

    def look(item: int) -> tuple[int, bool]:
        meeting.wait()
        return item, threading.current_thread() is threading.main_thread()

    with empty.opened() as centre:
        assert centre.site.workers.count == 2
        found = list(side_by_side(centre, look, iter(range(8))))
    assert found == [(item, False) for item in range(8)]


@pytest.mark.parametrize("count", [0, 1])
def test_for_one_item_no_thread_is_started(empty: Place, count: int) -> None:
    with empty.opened() as centre:
        found = list(side_by_side(centre, lambda _: threading.current_thread(), range(count)))
    assert found == [threading.main_thread()] * count


def test_no_more_is_looked_at_than_at_once_and_one_beyond_what_was_taken(empty: Place) -> None:
    begun: list[int] = []
    with empty.opened() as centre:
        count = centre.site.workers.count
        for taken, _ in enumerate(side_by_side(centre, begun.append, range(50)), 1):
            assert len(begun) <= taken + count


def test_what_fails_for_an_item_is_raised_and_ends_the_rest(empty: Place) -> None:
    def look(item: int) -> int:
        if item == 3:
            raise ZeroDivisionError
        return item

    with empty.opened() as centre:
        found = side_by_side(centre, look, range(50))
        assert [next(found) for _ in range(3)] == [0, 1, 2]
        with pytest.raises(ZeroDivisionError):
            next(found)
        assert not list(found)
