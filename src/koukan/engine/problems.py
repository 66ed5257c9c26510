"""What `verify` finds: a sentence's key and the places that it is about."""

from __future__ import annotations

import json
from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """Something is not as the ledger says.

    Args:
        key: of the word catalogue.
        where: what it is about; `known` shows the ledger's number and the one found, "12 ≠ 11".
    """

    key: str
    where: dict[str, str]


def problem(key: str, **where: object) -> Problem:
    return Problem(key, {name: str(value) for name, value in where.items()})


def differing(known: object, found: object) -> str:
    return f"{known} ≠ {found}"


def parsed(text: str) -> dict[str, object] | None:
    """A record of an erasure; None when it is no JSON object."""
    try:
        record = json.loads(text)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None
