"""What an operator does with lines of a 資格確認実績ログ that no office is known for.

Who keeps `site.toml` gives an office its 公費負担者番号; an operator then lets the lines go, or
gives them up. The numbers themselves are shown to a person with the right "review" alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import polars as pl

from koukan.engine import usage as engine
from koukan.engine.centre import Centre
from koukan.engine.leases import lease
from koukan.engine.operate import require_person
from koukan.engine.steps.provide import rows_of
from koukan.errors import UsageError
from koukan.flows import usage
from koukan.ledger import usage as known
from koukan.ledger.usage import Held
from koukan.oplog import OperationLog
from koukan.rules.line_keys import NONE


class Wished(NamedTuple):
    """How many held lines of a log go with the next run, and how many have no office yet."""

    going: int
    staying: int


def release(centre: Centre, reception: int, reason: str, operator: str) -> Wished:
    """Let a log's held lines go whose offices the site knows by now; the next run does it.

    Raises:
        UsageError: nothing of it is held, no office has come to be known, there is no reason, or
            the operator is no person.
        LeaseHeld: a job is running.
    """
    with _decision(centre, "usage_release", reception, reason, operator) as found:
        rows: dict[int, int] = {}
        offices = engine.offices(centre)
        for item in found:
            for place, count in rows_of(centre, item, offices).items():
                rows[place] = rows.get(place, 0) + count
        staying = rows.pop(NONE, 0)
        if not rows:
            raise UsageError("usage.still_unknown", reception=reception)
        with centre.ledger.begin() as transaction:
            for item in found:
                known.set_held(transaction, item, state="wished")
    return Wished(sum(rows.values()), staying)


def refuse(centre: Centre, reception: int, reason: str, operator: str) -> int:
    """Give a log's held lines up: they are destroyed, with a signed record; how many.

    Errors are those of `release`.
    """
    with _decision(centre, "usage_refuse", reception, reason, operator) as found:
        with centre.ledger.begin() as transaction:
            for item in found:
                known.set_held(transaction, item, state="refused")
        engine.erase_closed(centre, centre.ledger.reception(reception).job)
    return sum(item.rows for item in found)


@contextmanager
def _decision(
    centre: Centre, name: str, reception: int, reason: str, operator: str
) -> Iterator[list[Held]]:
    """A log's held lines, under the lease, with intent and outcome in the log."""
    require_person(centre, reception, reason, operator)
    log = OperationLog(centre.folder("log"), operator, centre.clock)
    with lease(centre.folder("locks"), centre.ledger, "jobs", centre.clock()):
        found = known.all_held(centre.ledger, states=known.WAITING, reception=reception)
        if not found:
            raise UsageError("usage.nothing_held", reception=reception)
        rows = sum(item.rows for item in found)
        with log.operation(name, reception=reception, reason=reason) as operation:
            yield found
            operation.note(rows=rows)


def payers(centre: Centre, reception: int) -> list[tuple[str, int]]:
    """公費負担者番号 of a log's held lines and their number. Raises UsageError: nothing is held."""
    found = known.all_held(centre.ledger, states=known.WAITING, reception=reception)
    if not found:
        raise UsageError("usage.nothing_held", reception=reception)
    parts = pl.concat([engine.payers_held(centre, item) for item in found])
    return parts.group_by(usage.PAYER).agg(pl.col("rows").sum()).sort(usage.PAYER).rows()
