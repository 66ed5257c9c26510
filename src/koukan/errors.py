"""Every error that koukan raises on purpose, and the exit code that each one ends in.

    KoukanError                        exit   who acts
    ├── UsageError                      64    the caller
    ├── DefinitionError                 40    us, now: site, job or format definition is wrong
    ├── SecretError                     40    us, now: a key is missing, unreadable, or not ours
    ├── EnvironmentRefused              40    us, now: the disk, a folder or a permission is not fit
    ├── LeaseHeld                       20    the scheduler: wait and retry
    ├── TransientError                  21    the scheduler: retry
    └── IntegrityError                  50    us, now; the auditor is informed; the line stops
        ├── SealBroken                        a sealed file does not open as what it should be
        ├── SignatureRefused                  a signature is not one over this content
        ├── TableRefused                      a table or a file of it is not what it should be
        └── LedgerUnbalanced                  counts do not add up

A row is never an error (it is a *reject*, data), a sender's file is never an error (it is a
*refusal*, data). An error's text has three parts: what, where, what next; `where` takes names from
a closed list only, so that the value of a record's field cannot slip in. The sentences themselves
stand in the word catalogue, Japanese and English side by side.
"""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar


class Exit(IntEnum):
    """Exit codes, a contract; several at once end in the largest. An unknown code is a failure."""

    DONE = 0
    REJECTS = 3  # done; some records or files were rejected or refused, the sender was told
    NO_INPUT = 4  # nothing to do although --expect-input was given
    UNANSWERED = 5  # done; questions wait for answers within their time
    HELD = 10  # files wait for an operator, office hours
    OVERDUE = 11  # questions or approvals have waited longer than the site allows
    BUSY = 20  # another run holds the lease
    TRANSIENT = 21  # a second try may do
    CONFIGURATION = 40  # configuration, key or disk needs a person, now
    INTEGRITY = 50
    USAGE = 64
    INTERNAL = 70
    INTERRUPTED = 130
    TERMINATED = 143


WHERE = frozenset(
    "reception file line field code step job sender insurer format table partition folder group "
    "key key_version actor command line_number path version known approval".split()
)


class KoukanError(Exception):
    """Base of all.

    Args:
        key: entry of the word catalogue (`koukan.words`), which holds the sentence (what happened)
            and the next step in Japanese and English.
        where: names from `WHERE` with what they point to: numbers and names, never field values.
    """

    exit_code: ClassVar[Exit] = Exit.INTERNAL
    retryable: ClassVar[bool] = False

    def __init__(self, key: str, /, **where: object) -> None:
        unknown = set(where) - WHERE
        if unknown:
            raise TypeError(f"an error may not carry {sorted(unknown)}")
        self.key = key
        self.where = {name: str(value) for name, value in where.items()}
        super().__init__(key)

    def __str__(self) -> str:
        place = ", ".join(f"{name} {value}" for name, value in self.where.items())
        return f"{self.key} ({place})" if place else self.key


class UsageError(KoukanError):
    exit_code = Exit.USAGE


class DefinitionError(KoukanError):
    exit_code = Exit.CONFIGURATION


class SecretError(KoukanError):
    exit_code = Exit.CONFIGURATION


class EnvironmentRefused(KoukanError):
    exit_code = Exit.CONFIGURATION


class LeaseHeld(KoukanError):
    exit_code = Exit.BUSY
    retryable = True


class TransientError(KoukanError):
    exit_code = Exit.TRANSIENT
    retryable = True


class IntegrityError(KoukanError):
    exit_code = Exit.INTEGRITY


class SealBroken(IntegrityError):
    pass


class SignatureRefused(IntegrityError):
    pass


class TableRefused(IntegrityError):
    pass


class LedgerUnbalanced(IntegrityError):
    pass
