"""A desk: what a person needs who looks at a centre and approves, without any key of the centre."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from koukan.engine.centre import require_definitions, utc_now, whole_ledger
from koukan.formats import Catalogue
from koukan.ledger import Ledger
from koukan.oplog import OperationLog
from koukan.sites import Job, Person, Site


@dataclass
class Desk:
    """Definitions, ledger and operation log of a centre: a `Source` of reports."""

    root: Path
    site: Site
    catalogue: Catalogue
    jobs: dict[str, Job]
    ledger: Ledger
    clock: Callable[[], datetime] = utc_now

    def log(self, person: Person) -> OperationLog:
        """The operation log, to be written under a person's name."""
        return OperationLog(self.root / "log", person.name, self.clock)

    def close(self) -> None:
        self.ledger.close()


def open_desk(root: Path, *, clock: Callable[[], datetime] = utc_now) -> Desk:
    """Open a site that was initialised.

    Raises:
        DefinitionError, EnvironmentRefused: with what to mend.
    """
    root, site, catalogue, jobs = require_definitions(root)
    return Desk(root, site, catalogue, jobs, whole_ledger(root), clock)
