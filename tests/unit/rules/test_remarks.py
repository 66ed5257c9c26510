from __future__ import annotations

from datetime import date

import pytest

from koukan.rules.remarks import is_late, with_remark


@pytest.mark.parametrize(
    ("created", "days", "late"),
    [
        ("20260401", 10, False),
        ("20260331", 10, True),
        ("20260401", 9, True),
        ("20250101", 0, False),  # no day is too late
        ("20269901", 10, False),  # no day at all: the line that says so is judged elsewhere
        ("", 10, False),
        ("20260501", 10, False),
    ],
)
def test_a_file_is_late_beyond_its_days(created: str, days: int, *, late: bool) -> None:
    assert is_late(created, date(2026, 4, 11), days) is late


def test_remarks_are_kept_once_and_in_order() -> None:
    assert with_remark((), None) == ""
    assert with_remark(("W502",), "W501") == "W501 W502"
    assert with_remark(("W502",), "W502") == "W502"
