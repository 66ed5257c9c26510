"""Answered questions as the insurer's own lines."""

from __future__ import annotations

import polars as pl

from koukan.rules.edit import result_lines


def test_numbers_are_digits_and_evidence_has_its_fields_names() -> None:
    answered = pl.DataFrame(
        {
            "request_record_number": [7],
            "line_number": [2],
            "record_number": [15],
            "query_result_class": ["1"],
            "my_number": ["123456789018"],
            "sex_match": ["8"],
        }
    )
    assert result_lines(answered).to_dicts() == [
        {
            "query_result_class": "1",
            "my_number": "123456789018",
            "sex_match_class": "8",
            "line_number": "2",
            "record_number": "0000000015",
        }
    ]
