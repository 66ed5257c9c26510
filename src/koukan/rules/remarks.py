"""Remarks about whole files: what was passed over when they were taken in, and by whose leave."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

GAP_PASSED, LATE, SHARE_PASSED, SUMS_PASSED = "W501", "W502", "W503", "W504"
PASSED = {"H101": GAP_PASSED, "H104": SUMS_PASSED, "H105": SHARE_PASSED}  # by what would have held
SUMS = ("F114", "F115")  # counts and total of the end record are not those of the file
SUMS_HELD, SHARE_HELD = "H104", "H105"


def with_remark(remarks: Iterable[str], code: str | None) -> str:
    """Remarks as the ledger keeps them, in order, with one more."""
    return " ".join(sorted({*remarks, *([code] if code else [])}))


def is_late(created: str, received: date, days: int) -> bool:
    """Whether a file came more days after its 作成年月日 (YYYYMMDD, maybe no day) than allowed."""
    try:
        made = date(int(created[:4]), int(created[4:6]), int(created[6:8]))
    except ValueError:
        return False
    return days > 0 and (received - made).days > days
