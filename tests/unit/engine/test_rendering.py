"""A result is rendered in parts: every line and every finding is in one of them, once."""

from __future__ import annotations

import polars as pl
import pytest

from koukan.engine import rendering
from koukan.engine.rendering import Share, parts_of
from koukan.formats import Catalogue
from koukan.rules.acknowledge import explanations, result_records, worded_records
from koukan.rules.checks import FINDINGS

ROWS = range(30, 47)  # lines of a chunk in the midst of a group
FOUND = [30, 30, 33, 34, 34, 34, 40, 46]
CODES = ["R101", "R201", "R101", "R101", "R102", "R201", "D301", "W401"]


@pytest.fixture
def share() -> Share:
    rows = [(row, row + 2, row, 2 if row in FOUND else 1, None) for row in ROWS]
    names = ["row", "line_number", "record_number", "class", "member_id"]
    findings = [(row, "my_number", code) for row, code in zip(FOUND, CODES, strict=True)]
    return Share(
        pl.DataFrame(rows, dict.fromkeys(names, pl.Int64), orient="row"),
        pl.DataFrame(findings, FINDINGS, orient="row"),
    )


@pytest.mark.parametrize("size", [2, 3, 8, 9, 16, 17, 100])
def test_parts_hold_all_lines_and_what_was_found_in_them(
    size: int, share: Share, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rendering, "PART", size)
    form = catalogue.formats["registration_result"]
    told = explanations(catalogue.formats["member_registration"], catalogue.reasons)
    few = len(FOUND) < size
    parts = list(parts_of(form, share, told))
    assert pl.concat([part.share.lines for part in parts]).equals(share.lines)
    assert pl.concat([part.share.findings for part in parts]).equals(share.findings)
    length = size if few else size // 2
    assert [part.share.lines.height for part in parts[:-1]] == [length] * (len(parts) - 1)
    for (lines, findings), worded in parts:
        assert set(findings["row"]) <= set(lines["row"])
        # Words are rendered for the whole share where there are few, else with their part.
        assert worded is None or worded.rows.tolist() == FOUND
        assert (worded is not None) == few


def test_words_of_a_share_are_those_of_its_parts(share: Share, catalogue: Catalogue) -> None:
    form = catalogue.formats["registration_result"]
    told = explanations(catalogue.formats["member_registration"], catalogue.reasons)
    worded = worded_records(form, *share, told)
    for start in range(0, len(ROWS), 3):
        lines = share.lines[start : start + 3]
        own = worded_records(form, lines, share.findings, told)
        assert result_records(form, lines, worded) == result_records(form, lines, own)
