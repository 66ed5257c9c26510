"""What a laid night must come to: the outcome of each file and the counts of its lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Outcome = Literal["accepted", "refused", "duplicate", "held", "not received"]


@dataclass(frozen=True)
class Counts:
    """Lines: received = accepted + rejected + duplicate + held."""

    received: int = 0
    accepted: int = 0
    rejected: int = 0
    duplicate: int = 0
    held: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.received + other.received,
            self.accepted + other.accepted,
            self.rejected + other.rejected,
            self.duplicate + other.duplicate,
            self.held + other.held,
        )


@dataclass(frozen=True)
class ExpectedFile:
    """One laid file.

    Args:
        code: of rejects.toml; None for an accepted file and for one that is not received.
        counts: by 保険者コード; empty for refused files and those not received.
        faults: code -> persons whose lines carry that fault.
    """

    sender: str
    door: str
    name: str
    format: str
    outcome: Outcome
    code: str | None = None
    counts: Mapping[str, Counts] = field(default_factory=dict)
    faults: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class ExpectedNight:
    """All laid files.

    Args:
        persons: the persons of the population that occur in any file of the night or the earlier
            one are those below this number.
    """

    files: tuple[ExpectedFile, ...]
    persons: int

    def outcomes(self) -> dict[str, int]:
        """Outcome -> files."""
        return dict(Counter(file.outcome for file in self.files))

    def insurers(self) -> dict[str, Counts]:
        """保険者コード -> lines of all its files that were not refused."""
        found: dict[str, Counts] = {}
        for file in self.files:
            for code, counts in file.counts.items():
                found[code] = found.get(code, Counts()) + counts
        return found

    def records(self) -> Counts:
        """All lines of files that were not refused."""
        return sum(self.insurers().values(), Counts())

    def faults(self) -> dict[str, int]:
        """Code -> persons."""
        found: Counter[str] = Counter()
        for file in self.files:
            found.update(file.faults)
        return dict(sorted(found.items()))

    def summary(self) -> dict[str, Any]:
        """The same as plain data, for JSON."""
        return {
            "receptions": self.outcomes(),
            "records": asdict(self.records()),
            "insurers": {code: asdict(counts) for code, counts in self.insurers().items()},
            "faults": self.faults(),
            "files": [asdict(file) for file in self.files],
        }
