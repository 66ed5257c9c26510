"""Columns of a group put together chunk by chunk."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

Column = npt.NDArray[Any]


class Filling:
    """Columns of one length, filled from frames.

    One that holds the same value throughout takes no memory: a file of new persons gives nobody's
    被保険者枝番, and mostly one insurer.
    """

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self._filled: dict[str, Column] = {}

    def put(self, start: int, frame: pl.DataFrame) -> None:
        """Rows from `start` on, one at least, and behind those of the last frame.

        All frames have the same columns.
        """
        for name in frame.columns:
            values = frame[name].to_numpy()
            if name not in self._filled:
                self._filled[name] = (
                    np.broadcast_to(values[:1], self._rows) if len(values) else values
                )
            whole = self._filled[name]
            if not whole.flags.writeable:  # the same value so far
                if bool((values == whole[0]).all()):
                    continue
                same, whole = whole[0], np.empty(self._rows, whole.dtype)
                whole[:start] = same  # the rest is written once, by those that follow
                self._filled[name] = whole
            whole[start : start + len(values)] = values

    def columns(self) -> dict[str, Column]:
        return self._filled
