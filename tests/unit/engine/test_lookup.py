"""What stands alone is done by a thread while the caller goes on, where it is worth one."""

from __future__ import annotations

import threading

import pytest

from koukan.engine.lookup import MANY, beside


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
