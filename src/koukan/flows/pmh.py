"""Flow 4 PMH-ID: what is issued for whom, and where it is kept.

Step 5-1: PMH asks with 個人番号. Step 5-2: each person of the history gets one PMH-ID, which has
nothing of the person or of the number in it; it is kept beside the history in `pmh_issues`. Step
5-3: it goes to OQS under the 紐付番号. The numbers received are kept nowhere.
"""

from __future__ import annotations

import polars as pl

from koukan.tables.definition import TableDefinition

SYSTEM = "pmh"
ISSUES = "pmh_issues"
PMH_DIGITS = 16
REQUEST, ANSWER, RECEIPT = "pmh_request", "pmh_answer", "pmh_receipt"
REQUEST_SECTION, ANSWER_SECTION = "asked_person", "answer"
ITEMS = ("my_number", "pmh_id")  # all that an answer has
NOT_ASCII = "F172"

# A row for each raw link that something was issued for; `group_number` is the group that wrote it.
COLUMNS: dict[str, pl.DataType] = {
    "link_number": pl.Int64(),
    "pmh_id": pl.Int64(),
    "group_number": pl.Int64(),
}


def definition(buckets: int) -> TableDefinition:
    """The issue history: 紐付番号 and PMH-ID, in the buckets of the history."""
    return TableDefinition(ISSUES, ("bucket",), {"": COLUMNS}, buckets)
