"""Which data files of a partition become one. Pure.

A file's *depth* says how often its rows were written anew. Wherever `FAN_IN` neighbours in time
have the same depth, they become one file that is one deeper; so a row is written at most once for
each power of `FAN_IN` among the files that ever came, and fewer than `FAN_IN` files of each depth
are left. Files are counted, not rows: nights of all sizes may follow each other, and neighbours
stay neighbours.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

FAN_IN = 8


class Item(NamedTuple):
    """A data file, or files that become one: places `start` to `stop` in order of time."""

    rows: int
    depth: int
    start: int
    stop: int


def merges(files: Sequence[tuple[int, int]], full: int) -> list[Item]:
    """What is to be merged now.

    Args:
        files: rows and depth of each, in order of time.
        full: a file with as many rows is left alone, and divides those before it from those
            after; so nothing that comes of it has twice as many.

    Returns:
        disjoint, ascending, of two files at least. Files that would be merged at once again, with
        what has come of others, are merged with these: no row is written twice in one run.
    """
    items = [Item(rows, depth, at, at + 1) for at, (rows, depth) in enumerate(files)]
    while (found := list(_once(items, full))) != items:
        items = found
    return [item for item in items if item.stop - item.start > 1]


def spreads(files: Sequence[tuple[int, int]], full: int) -> list[Item]:
    """What is to be put into its buckets now, from files with rows of all of them.

    As with `merges` what comes of it is one deeper, and `FAN_IN` files are waited for, or rows
    enough for a full one: of these a single file may have enough.
    """
    items = [Item(rows, depth, at, at + 1) for at, (rows, depth) in enumerate(files)]
    found = []
    for part in _parts(items, full):
        rows, depth = sum(item.rows for item in part), max(item.depth for item in part)
        if len(part) >= FAN_IN or rows >= full:
            found.append(Item(rows, depth + 1, part[0].start, part[-1].stop))
    return found


def _once(items: Sequence[Item], full: int) -> Iterator[Item]:
    """Every run of equals that is long enough, merged."""
    for (depth, whole), group in groupby(items, lambda item: (item.depth, item.rows >= full)):
        run = list(group)
        if whole or len(run) < FAN_IN:
            yield from run
            continue
        for part in _parts(run, full):
            if len(part) >= FAN_IN or sum(item.rows for item in part) >= full:
                rows = sum(item.rows for item in part)
                yield Item(rows, depth + 1, part[0].start, part[-1].stop)
            else:
                yield from part


def _parts(run: Sequence[Item], full: int) -> Iterator[list[Item]]:
    """Cut where the rows are enough for a full file."""
    part: list[Item] = []
    for item in run:
        part.append(item)
        if sum(one.rows for one in part) >= full:
            yield part
            part = []
    if part:
        yield part
