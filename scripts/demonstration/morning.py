"""The morning after: reports to the insurers, the review, erasures, merging; what each came to."""

from __future__ import annotations

from demonstration.commands import Commands

from koukan.samples.scenario import INSURERS

JOBS = ("report_errors", "review_spells", "forget_persons", "compact_tables")
SHOWN = "kenpo-a"  # whose waiting persons are counted


class Morning:
    """One run of it; `found` is known afterwards."""

    def __init__(self, commands: Commands) -> None:
        self._commands = commands
        self.found: dict[str, int] = {}

    def run(self) -> None:
        """Every job of the morning, one after another."""
        withdrawn, files = self._withdrawn(), self._files()
        self._commands.ask("run", *JOBS)
        waiting = self._commands.ask("waiting", INSURERS[SHOWN][0].code)["waiting"]
        overlaps = self._commands.ask("review")["found"]
        self.found = {
            "lists": self._laid("ER_*.xlsx"),
            "corrections": self._laid("CF_*.age"),
            "same": sum(one["same"] for one in overlaps),
            "other": sum(one["other"] for one in overlaps),
            "erased": withdrawn - self._withdrawn(),
            "waiting": len(waiting),
            "files_before": files,
            "files": self._files(),
        }

    def _withdrawn(self) -> int:
        return int(self._commands.ask("status")["waiting"]["withdrawals"]["members"])

    def _files(self) -> int:
        return sum(1 for _ in (self._commands.root / "tables").rglob("*.parquet"))

    def _laid(self, pattern: str) -> int:
        return sum(1 for _ in (self._commands.root / "exchange").glob(f"*/outbox/{pattern}"))
