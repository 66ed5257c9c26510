"""A result is rendered in parts: every line and every finding is in one of them, once."""

from __future__ import annotations

import polars as pl
import pytest

from koukan.engine import rendering
from koukan.engine.rendering import Share, parts_of

ROWS = range(30, 47)  # lines of a chunk in the midst of a group
FOUND = [30, 30, 33, 34, 34, 34, 40, 46]


@pytest.mark.parametrize("size", [2, 3, 8, 9, 16, 17, 100])
def test_parts_hold_all_lines_and_what_was_found_in_them(
    size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rendering, "PART", size)
    share = Share(
        pl.DataFrame({"row": ROWS}),
        pl.DataFrame({"row": FOUND}).with_row_index("place"),
    )
    parts = list(parts_of(share))
    assert pl.concat([part.lines for part in parts]).equals(share.lines)
    assert pl.concat([part.findings for part in parts]).equals(share.findings)
    size = size // 2 if size <= len(FOUND) else size
    assert [part.lines.height for part in parts[:-1]] == [size] * (len(parts) - 1)
    for lines, findings in parts:
        assert set(findings["row"]) <= set(lines["row"])
