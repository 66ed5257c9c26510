"""Statements that are executed for every file of a night, built once.

Building one, and looking for its compiled form, takes SQLAlchemy longer than SQLite takes for it.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlalchemy import (
    Delete,
    Select,
    Table,
    Update,
    bindparam,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.dialects.sqlite import insert as upsert

from koukan.ledger import schema as s


@cache
def like(table: Table, names: tuple[str, ...]) -> Select[Any]:
    """Rows with these columns equal to parameters of their names."""
    return select(table).where(*(table.c[name] == bindparam(name) for name in names))


@cache
def change(names: tuple[str, ...]) -> Update:
    """Set these columns of the reception `this`."""
    chosen = update(s.receptions).where(s.receptions.c.number == bindparam("this"))
    return chosen.values({name: bindparam(name) for name in names})


def _gone(table: Table) -> Delete:
    return delete(table).where(table.c.reception == bindparam("reception"))


RECEPTION, NEWEST = insert(s.receptions), select(func.max(s.receptions.c.number))
COUNTS, COUNTS_GONE = insert(s.insurer_counts), _gone(s.insurer_counts)
FINDINGS, FINDINGS_GONE = insert(s.finding_counts), _gone(s.finding_counts)
_laying = upsert(s.laid_out)
LAID_OUT = _laying.on_conflict_do_update(
    index_elements=["reception", "kind"],
    set_={name: _laying.excluded[name] for name in ("name", "sha256", "lines")},
)
