"""Lines that stand alone: numbers name one line, the same content twice is a duplicate."""

from __future__ import annotations

from collections import Counter

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from koukan.rules.checks import FINDINGS
from koukan.rules.single import Lines, content_of, judge

Line = tuple[int, int, bool, int, int]  # file, record number, bad, content, insurer


def lines(rows: list[Line]) -> Lines:
    columns = list(zip(*rows, strict=True)) if rows else [(), (), (), (), ()]
    content = np.array(columns[3], np.uint64)
    return Lines(
        reception=np.array(columns[0], np.int64),
        record_number=np.array(columns[1], np.int64),
        insurer=np.array(columns[4], np.int32),
        bad=np.array(columns[2], np.bool_),
        content=(content, content + np.uint64(1)),
    )


def wanted(rows: list[Line]) -> tuple[list[bool], list[bool]]:
    """Rejected and duplicate, line by line."""
    named = Counter((file, number) for file, number, *_ in rows)
    rejected, duplicate, seen = [], [], set()
    for file, number, bad, content, insurer in rows:
        wrong = bad or named[file, number] > 1
        rejected.append(wrong)
        duplicate.append(not wrong and (file, insurer, content) in seen)
        if not wrong:
            seen.add((file, insurer, content))
    return rejected, duplicate


@given(
    st.lists(
        st.tuples(
            st.integers(0, 2),
            st.integers(0, 4),
            st.booleans(),
            st.integers(0, 3),
            st.integers(0, 1),
        ),
        max_size=12,
    )
)
def test_lines_are_judged_as_plain_python_judges_them(rows: list[Line]) -> None:
    rows = sorted(rows, key=lambda row: row[0])
    found = judge(lines(rows))
    rejected, duplicate = wanted(rows)
    assert found.rejected.tolist() == rejected
    assert found.duplicate.tolist() == duplicate
    assert found.findings.schema == FINDINGS
    twice = Counter((file, number) for file, number, *_ in rows)
    codes = {(place, "R306") for place, row in enumerate(rows) if twice[row[0], row[1]] > 1} | {
        (place, "D301") for place, again in enumerate(duplicate) if again
    }
    assert set(found.findings.select("row", "code").rows()) == codes


def test_one_of_two_equal_hashes_does_not_make_lines_equal() -> None:
    same, other = np.array([7, 7], np.uint64), np.array([1, 2], np.uint64)
    found = judge(
        Lines(
            reception=np.zeros(2, np.int64),
            record_number=np.array([1, 2]),
            insurer=np.zeros(2, np.int32),
            bad=np.zeros(2, np.bool_),
            content=(same, other),
        )
    )
    assert not found.duplicate.any()


Said = dict[str, str | None]
TEXT = st.one_of(st.none(), st.sampled_from(["あ", "い", "あい", "0"]))


@given(st.lists(st.fixed_dictionaries({"a": TEXT, "b": TEXT, "c": TEXT}), min_size=1, max_size=12))
def test_what_lines_say_is_the_same_in_whatever_frame_they_stand(rows: list[Said]) -> None:
    names = ["a", "b", "c"]
    schema = dict.fromkeys(names, pl.String)
    whole = content_of(pl.DataFrame(rows, schema), names)
    for place, row in enumerate(rows):  # alone, without the columns that it has no value of
        given_ = {name: value for name, value in row.items() if value is not None}
        alone = pl.DataFrame({"other": [1], **{name: [value] for name, value in given_.items()}})
        for column, own in zip(whole, content_of(alone, names), strict=True):
            assert own.tolist() == [column[place]]
    assert len(set(whole[0].tolist())) == len({tuple(row[name] for name in names) for row in rows})
