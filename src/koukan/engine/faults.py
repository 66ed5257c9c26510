"""What stops a job: named as an error of ours where a person or a second try can mend it.

A failed job is noted in the ledger and in the operation log before its error goes on, so that
`koukan status` tells of it in the morning, when whoever read the run's own words is gone.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from pathlib import Path, PurePath

from koukan.engine.centre import Centre
from koukan.errors import EnvironmentRefused, Exit, KoukanError, TransientError
from koukan.ledger import failures
from koukan.ledger.failures import Failure

SYSTEM = frozenset(
    getattr(errno, name) for name in "EACCES EDQUOT EIO EMFILE ENFILE ENOSPC EPERM EROFS".split()
)
DISK = ("SQLITE_FULL", "SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_IOERR")
BUG = f"exit.{int(Exit.INTERNAL)}"
# Below exchange/ names come from others: no more of a path is shown than <sender>/inbox/<door>.
EXCHANGE, OURS_THERE = "exchange", 4


def foreseen(error: BaseException, root: Path | None = None) -> KoukanError | None:
    """The error as one of ours; None for what nobody foresaw, a bug.

    Args:
        root: of the centre, below which a path is told.
    """
    if isinstance(error, KoukanError):
        return error
    if isinstance(error, OSError):
        return _of_system(error, root)
    return _of_database(error)


def _of_system(error: OSError, root: Path | None) -> KoukanError | None:
    if error.errno not in SYSTEM:
        return None
    known = os.strerror(error.errno or 0)
    place = None if root is None else _place(error, root.resolve())
    if place is None:
        return EnvironmentRefused("engine.system", known=known)
    return EnvironmentRefused("engine.system_at", known=known, path=place)


def _place(error: OSError, root: Path) -> str | None:
    """Where it was, if that is below the root; of what others named only the folder."""
    try:
        path = PurePath(os.fsdecode(error.filename)).relative_to(root)
    except (TypeError, ValueError):
        return None
    parts = path.parts
    return "/".join(parts[:OURS_THERE] if parts[:1] == (EXCHANGE,) else parts) or root.name


def _of_database(error: BaseException) -> KoukanError | None:
    """A fault of the ledger's database that a person or a second try can mend."""
    origin = getattr(error, "orig", error)
    if not isinstance(origin, sqlite3.OperationalError):
        return None
    name = getattr(origin, "sqlite_errorname", "")
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return TransientError("engine.ledger_busy")
    return EnvironmentRefused("engine.system", known=name) if name.startswith(DISK) else None


def note(centre: Centre, job: str, error: Exception) -> None:
    """Tell ledger and operation log that a job failed. What cannot be written there stays unsaid:
    the job's own error matters more, and goes on with a note of it.
    """
    found = foreseen(error, centre.root)
    code, key = (Exit.INTERNAL, BUG) if found is None else (found.exit_code, found.key)
    where = {} if found is None else found.where
    failure = Failure(job, centre.now(), int(code), key, where)
    try:
        with (
            centre.log.operation("job_failed", job=job, code=key),
            centre.ledger.begin() as transaction,
        ):
            failures.put_failure(transaction, failure)
    except Exception as second:
        if foreseen(second) is None:
            raise
        error.add_note(f"that it failed could not be noted: {type(second).__name__}")


def forget(centre: Centre, job: str) -> None:
    """The job has done its work: what stopped it before is mended."""
    if any(item.job == job for item in failures.failures(centre.ledger)):
        with centre.ledger.begin() as transaction:
            failures.forget_failure(transaction, job)
