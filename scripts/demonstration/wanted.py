"""What became of the laid files, against what their generator planned."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from koukan import reports
from koukan.engine.centre import open_centre
from koukan.samples.expected import ExpectedFile

COUNTS = ("received", "accepted", "rejected", "duplicate", "held")


def differing(
    root: Path, key_file: Path, planned: Sequence[ExpectedFile], numbers: Sequence[int]
) -> list[str]:
    """Names of laid files that did not end as planned.

    Args:
        numbers: the receptions of this night.
    """
    found = {}
    centre = open_centre(root, key_file)
    for number in numbers:
        shown = reports.reception(centre, number)
        counts = {item["insurer"]: [item[name] for name in COUNTS] for item in shown["insurers"]}
        found[shown["sender"], shown["file"]] = (shown["outcome"], shown["code"], counts)
    centre.close()
    return [file.name for file in planned if found.get((file.sender, file.name)) != wanted(file)]


def wanted(file: ExpectedFile) -> tuple[str, str | None, dict[str, list[int]]] | None:
    """Outcome, code and counts; None for a file that is not to be received."""
    if file.outcome == "not received":
        return None
    counts = {
        insurer: [getattr(item, name) for name in COUNTS] for insurer, item in file.counts.items()
    }
    return file.outcome, file.code, counts
