"""Copies (副本): the last word of each counts, and what was deleted goes; said again in Python."""

from __future__ import annotations

import random
from typing import NamedTuple

import polars as pl
import pytest

from koukan.rules.copies import (
    CLASS,
    DELETED,
    KEY,
    NEW,
    ORDER,
    REPLACED,
    SEVERAL,
    STANDS,
    STANDS_NOT,
    UNKNOWN,
    ended,
    endings,
    judge,
    no_endings,
    standing,
)

Key = tuple[int, str, str, str]
KINDS = {"member_id": pl.Int64, **dict.fromkeys((*KEY[1:], CLASS), pl.String)}
EVENT = {**KINDS, **dict.fromkeys(ORDER, pl.Int64)}
LINE = {"row": pl.Int64, "reception": pl.Int64, **KINDS, "exists": pl.Boolean}
MEMBERS, STRANGER = (11, 12), 13


class Line(NamedTuple):
    """A line of a file."""

    reception: int
    key: Key
    said: str

    @property
    def exists(self) -> bool:
        return self.key[0] != STRANGER


def key(draw: random.Random) -> Key:
    member = draw.choice([*MEMBERS, STRANGER])
    return member, draw.choice(["0101", "0201"]), "202504", draw.choice(["202603", "202604"])


def drawn(draw: random.Random, lines: int, receptions: int) -> list[Line]:
    """Lines of files in the order of their receptions."""
    said = [draw.choice((NEW, REPLACED, DELETED)) for _ in range(lines)]
    found = [Line(draw.randrange(receptions), key(draw), one) for one in said]
    return sorted(found, key=lambda line: line.reception)


def slowly(lines: list[Line], stood: set[Key]) -> list[str | None]:
    """One line after another."""
    stands, codes = set(stood), []
    for line in lines:
        same = [one for one in lines if (one.reception, one.key) == (line.reception, line.key)]
        code = None
        if len(same) > 1:
            code = SEVERAL
        elif not line.exists:
            code = UNKNOWN
        elif line.said == NEW and line.key in stands:
            code = STANDS
        elif line.said != NEW and line.key not in stands:
            code = STANDS_NOT
        elif line.said == NEW:
            stands.add(line.key)
        elif line.said == DELETED:
            stands.remove(line.key)
        codes.append(code)
    return codes


def lines_of(lines: list[Line]) -> pl.DataFrame:
    rows = [
        (row, line.reception, *line.key, line.said, line.exists) for row, line in enumerate(lines)
    ]
    return pl.DataFrame(rows, schema=LINE, orient="row")


def keys_of(keys: set[Key]) -> pl.DataFrame:
    return pl.DataFrame(sorted(keys), schema=dict(list(KINDS.items())[:-1]), orient="row")


@pytest.mark.parametrize("seed", range(60))
def test_lines_are_judged_as_if_their_files_had_come_one_after_another(seed: int) -> None:
    draw = random.Random(seed)
    lines = drawn(draw, draw.randrange(1, 30), draw.randrange(1, 6))
    stood = {key(draw) for _ in range(draw.randrange(5))}
    judged = judge(lines_of(lines), keys_of(stood))
    assert judged.sort("row")["code"].to_list() == slowly(lines, stood)


def test_what_no_line_tells_of_comes_to_nothing() -> None:
    assert judge(lines_of([]), keys_of(set())).is_empty()
    line = Line(1, (11, "0101", "202504", "202603"), NEW)
    assert judge(lines_of([line]), keys_of({line.key}))["code"].to_list() == [STANDS]


def events(draw: random.Random, count: int) -> list[tuple[object, ...]]:
    """Accepted lines of one insurer, told in any order."""
    told, stands, rows = 0, set[Key](), []
    while len(rows) < count:
        one = key(draw)
        said = draw.choice((REPLACED, DELETED)) if one in stands else NEW
        (stands.discard if said == DELETED else stands.add)(one)
        told += draw.randrange(3)
        rows.append((*one, said, told // 6, told // 2, len(rows)))
    return rows


@pytest.mark.parametrize("seed", range(60))
def test_the_last_word_counts_and_what_was_told_up_to_a_deletion_goes(seed: int) -> None:
    draw = random.Random(seed)
    rows = events(draw, draw.randrange(1, 40))
    last: dict[object, tuple[object, ...]] = {}
    gone: dict[object, tuple[object, ...]] = {}
    for row in rows:
        last[row[:4]] = row
        if row[4] == DELETED:
            gone[row[:4]] = row[5:]
    shuffled = draw.sample(rows, len(rows))
    frame = pl.DataFrame(shuffled, schema=EVENT, orient="row")
    found = standing(frame)
    assert found.rows() == sorted(row for row in last.values() if row[4] != DELETED)
    ends = endings(frame)
    assert {row[:4]: row[4:] for row in ends.rows()} == gone
    assert ends.schema == no_endings().schema
    going = [row[:4] in gone and row[5:] <= gone[row[:4]] for row in shuffled]
    assert ended(frame, ends).to_list() == going
    left = frame.filter(~ended(frame, ends))
    assert standing(left).equals(found) and endings(left).is_empty()
    assert not ended(frame, no_endings()).any()
