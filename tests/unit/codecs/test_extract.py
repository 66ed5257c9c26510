"""Lines of a file as a file of their own: the gate takes it, and they are as they came."""

from __future__ import annotations

import numpy as np
import pytest
from plain_files import Plain, shipped_format

from koukan.codecs.extract import Extract
from koukan.codecs.gate import Gate

A, B = "06990014", "01990015"


@pytest.mark.parametrize("syntax", ["csv", "fixed"])
@pytest.mark.parametrize(
    ("wanted", "places"), [([1, 2, 3], [1, 3]), ([0], [0]), ([2], []), ([], [])]
)
def test_chosen_lines_are_a_whole_file(syntax: str, wanted: list[int], places: list[int]) -> None:
    form = shipped_format(syntax)
    section = form.records[0].section
    samples = {item.name: item.sample for item in form.fields(form.records[0])}
    lines = tuple(
        (
            section,
            {**samples, "record_number": f"{number + 9_999_999_995:010d}", "insurer_code": code},
        )
        for number, code in enumerate((A, A, B, A))
    )
    whole = Plain(form, lines)
    control, *records, _ = (line + form.file.line_end for line in whole.all_lines())
    extract = Extract(form, A)
    half = len(records) // 2
    parts = [
        extract.chosen(b"".join(records[start : start + half]), start, np.array(wanted, np.int64))
        for start in (0, half)
    ]
    assert b"".join(parts) == b"".join(records[place] for place in places)
    assert extract.rows == len(places)
    verdict = Gate(form).read([control, *parts, extract.end()])
    assert (verdict.code, verdict.rows) == (None, len(places))
