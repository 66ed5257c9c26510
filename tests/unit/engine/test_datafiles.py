"""Names of data files: what was written anew tells where its rows are from."""

from __future__ import annotations

import pytest

from koukan.engine.datafiles import Origin, in_time, may_hold, new_name, origin_of, together
from koukan.engine.steps.commit import file_name
from koukan.tables.table import DataFile


def file(name: str) -> DataFile:
    return DataFile(f"bucket=1/section=basic/{name}.k1.parquet", {}, 1, 1)


FIRST, SECOND, THIRD = (file(file_name(*at)) for at in ((5, 2, 1), (5, 2, 30), (12, 1, 4)))
ANEW = file(new_name(40, 3, together([SECOND, THIRD], 2)))


def test_a_groups_file_is_of_that_group() -> None:
    assert origin_of(FIRST) == Origin(5, 1, 5, 0)


def test_a_file_written_anew_tells_its_groups_and_depth() -> None:
    assert ANEW.path.endswith("/g00000040-001-00003-d2-r00000005-00030-00000012.k1.parquet")
    assert origin_of(ANEW) == Origin(5, 30, 12, 2)


def test_files_are_in_order_of_their_first_rows() -> None:
    later = file(file_name(13, 1, 0))
    assert in_time([later, ANEW, FIRST]) == [FIRST, ANEW, later]


def test_only_files_of_a_span_may_hold_its_groups() -> None:
    assert may_hold(ANEW, [1, 7, 90])
    assert may_hold(FIRST, [5])
    assert not may_hold(ANEW, [1, 4, 13])
    assert not may_hold(FIRST, [])


def test_another_name_is_nobodys() -> None:
    with pytest.raises(ValueError, match="another name"):
        origin_of(file("g5-1"))
