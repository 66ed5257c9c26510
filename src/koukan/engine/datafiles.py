"""What the name of a data file tells: which group wrote it, and of which groups its rows are.

    g00000012-001-00003.k1.parquet                                  group, attempt, part
    g00000150-001-00003-d2-r00000012-00003-00000149.k1.parquet      written anew

A file that was written anew has rows of many groups; in its name stand its depth (see
`rules.tiers`), the group and part that its first rows came with, and the last group. So rows of a
group are found without a look into every file, and files have an order in time.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from koukan.tables.table import DataFile

_NAME = re.compile(
    r"g(?P<group>\d{8})-\d{3}-(?P<part>\d{5})"
    r"(?:-d(?P<depth>\d{1,2})-r(?P<first>\d{8})-(?P<first_part>\d{5})-(?P<last>\d{8}))?"
    r"\.k(?P<key>\d+)\.parquet"
)


class Origin(NamedTuple):
    """Where a file's rows are from; sorts in order of time."""

    first: int  # group
    part: int  # of the first group
    last: int  # group
    depth: int


def origin_of(file: DataFile) -> Origin:
    """Read from the file's name.

    Raises:
        ValueError: it is none of the names above.
    """
    found = _numbers(file)
    if found["depth"] < 0:
        return Origin(found["group"], found["part"], found["group"], 0)
    return Origin(found["first"], found["first_part"], found["last"], found["depth"])


def key_version(file: DataFile) -> int:
    """Of the partition's key that it is under. Raises ValueError as `origin_of` does."""
    return _numbers(file)["key"]


def _numbers(file: DataFile) -> dict[str, int]:
    match = _NAME.fullmatch(file.path.rpartition("/")[2])
    if match is None:
        raise ValueError("a data file has another name")
    return {name: int(text) for name, text in match.groupdict(default="-1").items()}


def in_time(files: Iterable[DataFile]) -> list[DataFile]:
    """The oldest rows first."""
    return sorted(files, key=origin_of)


def together(files: Sequence[DataFile], depth: int) -> Origin:
    """Origin of a file with the rows of these, which are neighbours in order of time."""
    found = [origin_of(file) for file in files]
    return Origin(*found[0][:2], max(item.last for item in found), depth)


def new_name(group: int, number: int, origin: Origin) -> str:
    """Of a file that a group writes anew. An attempt that was killed never goes on: it is 1."""
    first, part, last, depth = origin
    return f"g{group:08d}-001-{number:05d}-d{depth}-r{first:08d}-{part:05d}-{last:08d}"


def may_hold(file: DataFile, groups: Sequence[int]) -> bool:
    """Whether rows of any of these groups, ascending, may be in the file."""
    origin = origin_of(file)
    at = bisect_left(groups, origin.first)
    return at < len(groups) and groups[at] <= origin.last
