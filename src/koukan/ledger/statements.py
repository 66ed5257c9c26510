"""Statements that are executed for every file of a night, built once and handed to the driver.

Building one, looking for its compiled form, and wrapping what comes back take SQLAlchemy ten times
as long as SQLite takes for all of it. These are compiled once; the connection, and with it the
transaction, is SQLAlchemy's.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import (
    Boolean,
    Connection,
    Delete,
    Executable,
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
from sqlalchemy.dialects.sqlite import dialect
from sqlalchemy.dialects.sqlite import insert as upsert

from koukan.ledger import schema as s

Values = Mapping[str, object]
_DIALECT = dialect(paramstyle="named")


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
_next = upsert(s.sequences)
SEQUENCE = _next.on_conflict_do_update(
    index_elements=["sender", "format"], set_={"next": _next.excluded["next"]}
)
FILE_HASH = select(s.group_files.c.sha256).where(
    *(s.group_files.c[name] == bindparam(name) for name in ("name", "path"))
)


class _Compiled(NamedTuple):
    sql: str
    columns: tuple[str, ...]  # of what it finds
    flags: tuple[str, ...]  # those that SQLite has as 0 and 1


@cache
def _compiled(statement: Executable, names: tuple[str, ...] | None) -> _Compiled:
    text = str(statement.compile(dialect=_DIALECT, column_keys=names))  # type: ignore[attr-defined]
    found = list(statement.selected_columns) if isinstance(statement, Select) else []
    flags = tuple(str(item.name) for item in found if isinstance(item.type, Boolean))
    return _Compiled(text, tuple(str(item.name) for item in found), flags)


def _driver(connection: Connection) -> Any:
    found = connection.connection.driver_connection
    assert found is not None  # it is open
    return found


def found(connection: Connection, query: Select[Any], values: Values) -> list[dict[str, Any]]:
    """The rows of one of these queries, by the names of their columns."""
    compiled = _compiled(query, None)
    rows = _driver(connection).execute(compiled.sql, values)
    made = [dict(zip(compiled.columns, row, strict=True)) for row in rows]
    for name in compiled.flags:
        for row in made:
            row[name] = bool(row[name])
    return made


def done(connection: Connection, statement: Executable, *values: Values) -> None:
    """Execute one of these statements, once for each of the values, which have the same names.

    A new row is given all its columns: no default of the schema is looked for.
    """
    if values:
        sql = _compiled(statement, tuple(sorted(values[0]))).sql
        _driver(connection).executemany(sql, values)
