"""Lots: files of a night that a step takes together.

A transaction, a folder made durable and a task cost the same for one file as for many. What a kill
loses is a lot at most, and every step does it again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

FILES = 100
BYTES = 16 * 1024 * 1024  # beyond, files are large enough to be taken one by one
Item = TypeVar("Item")


def lots(items: Iterable[Item], length: Callable[[Item], int]) -> Iterator[list[Item]]:
    """The items in their order, cut where a lot is full.

    Args:
        length: bytes of an item.
    """
    lot: list[Item] = []
    size = 0
    for item in items:
        if lot and (len(lot) == FILES or size + length(item) > BYTES):
            yield lot
            lot, size = [], 0
        lot.append(item)
        size += length(item)
    if lot:
        yield lot
