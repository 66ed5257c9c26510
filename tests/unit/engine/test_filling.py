"""Columns that are filled chunk by chunk; what is equal throughout takes no room."""

from __future__ import annotations

import polars as pl

from koukan.engine.filling import Filling


def test_columns_are_what_the_frames_hold_one_after_another() -> None:
    frames = [
        pl.DataFrame({"same": [7, 7], "later": [1, 1], "flag": [False, False]}),
        pl.DataFrame({"same": [7], "later": [1], "flag": [True]}),
        pl.DataFrame({"same": [7, 7], "later": [2, 3], "flag": [False, False]}),
    ]
    whole = Filling(5)
    start = 0
    for frame in frames:
        whole.put(start, frame)
        start += frame.height
    expected = pl.concat(frames)
    found = whole.columns()
    assert found.keys() == set(expected.columns)
    for name, values in found.items():
        assert values.tolist() == expected[name].to_list()
    assert found["same"].strides == (0,)
    assert found["later"].flags.writeable
