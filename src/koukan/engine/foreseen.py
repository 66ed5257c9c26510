"""Verdicts of files that passed the gate while they were copied: their bytes need no second pass.

They live in the process that picked the files up. After a kill, or where a file is read by another
definition, the gate reads the sealed copy.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor, Future
from queue import Queue

from koukan.codecs.gate import BLOCK, Gate, Verdict
from koukan.formats import Bundle
from koukan.formats.model import Format
from koukan.ledger import Reception

WAITING = 2  # blocks between the copy and the gate


class Foreseen:
    """By name of the sealed copy."""

    def __init__(self) -> None:
        self._verdicts: dict[str, tuple[str, Verdict]] = {}

    def note(self, name: str, bundle: Bundle, verdict: Verdict) -> None:
        self._verdicts[name] = bundle.digest, verdict

    def take(self, reception: Reception) -> Verdict | None:
        """The verdict, once; None where there is none by the reception's own definition."""
        found = self._verdicts.pop(reception.original, None)
        return found[1] if found and found[0] == reception.definition else None


class Passing:
    """A file's blocks on their way through the gate, beside whatever else is done to them.

    Args:
        length: of the file, as it was looked at; a small one is gated at the end, without a thread.
    """

    def __init__(self, form: Format, length: int, helpers: Executor) -> None:
        self._form = form
        self._few: list[bytes] = []
        self._queue: Queue[bytes | None] = Queue(WAITING)
        self._verdict: Future[Verdict] | None = None
        if length > BLOCK:
            self._verdict = helpers.submit(self._read)

    def seen(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
        """The same blocks."""
        try:
            for block in blocks:
                if self._verdict is None:
                    self._few.append(block)
                else:
                    self._queue.put(block)
                yield block
        finally:
            if self._verdict is not None:
                self._queue.put(None)

    def verdict(self) -> Verdict:
        """When all blocks were seen."""
        return Gate(self._form).read(self._few) if self._verdict is None else self._verdict.result()

    def _read(self) -> Verdict:
        blocks = self._queued()
        try:
            return Gate(self._form).read(blocks)
        finally:
            for _ in blocks:  # a refused file is copied to its end all the same
                pass

    def _queued(self) -> Iterator[bytes]:
        while (block := self._queue.get()) is not None:
            yield block
