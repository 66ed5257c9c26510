"""`map(task, items)`: the whole interface between the driver and whatever computes.

A task is a module-level function of a centre and one item; items are paths and numbers, never
frames or keys. A task may run twice, sorts its output, and gives back counts and names; only the
driver commits. Where tasks run is one setting of the site: threads (polars and iconv leave the
interpreter alone most of the time), or processes that each open the centre for themselves.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures import ThreadPoolExecutor as Threads
from itertools import islice
from multiprocessing import connection
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from koukan.errors import Exit

if TYPE_CHECKING:
    from koukan.engine.centre import Centre

Item = TypeVar("Item")
Result = TypeVar("Result")

TURN = 0.0005  # seconds
AHEAD = 8  # tasks that may wait for a worker while the driver is busy: what they give is small

_centre: Centre | None = None  # of this worker process


def take_turns() -> None:
    """Let a thread that runs Python give way sooner than after the usual five milliseconds.

    A thread that comes back from polars, a disk, a hash or numpy needs the interpreter for some
    microseconds, and then leaves it alone again; while it waits for it, its core has nothing to do.
    Of a million lines that was one part in thirty of the time.
    """
    sys.setswitchinterval(TURN)


def _end_with_parent() -> None:
    """A worker whose driver was killed has nobody to work for, and holds keys in memory."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(Exit.TERMINATED)


def _open(arguments: tuple[str, str]) -> None:
    from koukan.engine.centre import open_centre  # only worker processes need it

    global _centre  # noqa: PLW0603 - one centre for the life of a worker process
    threading.Thread(target=_end_with_parent, daemon=True).start()
    root, key_file = arguments
    _centre = open_centre(Path(root), Path(key_file))


def _call(task: Callable[[Centre, Any], Any], item: Any) -> Any:
    assert _centre is not None
    return task(_centre, item)


class Workers:
    """Runs tasks; started on first use, closed with the centre."""

    def __init__(self, centre: Centre, kind: str, count: int) -> None:
        self._centre = centre
        self._kind = kind
        self._count = count
        self._pools: dict[int, Executor] = {}  # by their number of workers

    def map(
        self,
        task: Callable[[Centre, Item], Result],
        items: Iterable[Item],
        *,
        more: int = 0,
        ahead: int = 1,
    ) -> Iterator[Result]:
        """Results in the order of the items; a bounded number of tasks is under way.

        The first tasks start at once, so the driver may do work of its own before it asks.

        Args:
            more: threads beyond the site's number, for tasks that wait for polars a good part of
                their time and need little memory. Processes stay as many as they are.
            ahead: tasks that wait for a worker: one, or more where the driver has long work of its
                own before it asks, and results are small.
        """
        waiting = iter(items)
        count = self._count + (more if self._kind == "threads" else 0)
        pool = self._started(count)
        running = [self._submit(pool, task, item) for item in islice(waiting, count + ahead)]
        return self._results(pool, task, waiting, running)

    def _results(
        self,
        pool: Executor,
        task: Callable[[Centre, Item], Result],
        waiting: Iterator[Item],
        running: list[Future[Result]],
    ) -> Iterator[Result]:
        try:
            while running:
                wait(running, return_when=FIRST_COMPLETED)
                yield running.pop(0).result()
                for item in islice(waiting, 1):
                    running.append(self._submit(pool, task, item))
        finally:
            for left in running:
                left.cancel()
            wait(running)

    def _submit(
        self, pool: Executor, task: Callable[[Centre, Item], Result], item: Item
    ) -> Future[Result]:
        if self._kind == "threads":
            return pool.submit(task, self._centre, item)
        return pool.submit(_call, task, item)

    def _started(self, count: int) -> Executor:
        if count not in self._pools:
            if self._kind == "threads":
                self._pools[count] = Threads(count, thread_name_prefix="task")
            else:
                # spawn: a process that has run one polars query must not fork
                self._pools[count] = ProcessPoolExecutor(
                    count,
                    mp_context=multiprocessing.get_context("spawn"),
                    initializer=_open,
                    initargs=((str(self._centre.root), str(self._centre.key_file)),),
                )
        return self._pools[count]

    def close(self) -> None:
        while self._pools:
            self._pools.popitem()[1].shutdown(wait=True, cancel_futures=True)
