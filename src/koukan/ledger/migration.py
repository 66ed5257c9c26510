"""A ledger that an earlier koukan made gets the tables, columns and indexes that this one knows.

What is there stays as it is: nothing is renamed, retyped or taken away. A new column is empty, or
has its default, in rows that are there; one that would need a value of its own is refused before
anything is altered. Names come from `schema`, never from a file.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from sqlalchemy import Column, Connection, Dialect, Table, func, select
from sqlalchemy.schema import CreateColumn, DropTable
from sqlalchemy.sql.schema import ScalarElementColumnDefault

from koukan.errors import EnvironmentRefused
from koukan.ledger import schema as s

# In one query: each process that opens a centre asks.
COLUMNS = """SELECT t.name, c.name FROM sqlite_schema t, pragma_table_info(t.name) c
             WHERE t.type = 'table'"""


def lacking(connection: Connection) -> list[str]:
    """Tables, and columns as `table.column`, that this koukan knows and the ledger has not."""
    there = _columns(connection)
    found = []
    for table in s.metadata.sorted_tables:
        if table.name not in there:
            found.append(table.name)
        else:
            found += [f"{table.name}.{item.name}" for item in _new(table, there)]
    return found


def migrate(connection: Connection) -> list[str]:
    """Make what is lacking, in one transaction. Repeatable.

    Returns:
        what was made, as `lacking` names it.

    Raises:
        EnvironmentRefused: rows that are there would need a value in a new column.
    """
    there = _columns(connection)
    made = lacking(connection)
    dialect = connection.dialect
    for table in s.metadata.sorted_tables:
        new = _new(table, there)
        if not new:
            continue
        if connection.execute(select(func.count()).select_from(table)).scalar_one() == 0:
            connection.execute(DropTable(table))  # made anew below
            continue
        for item in new:
            connection.exec_driver_sql(_added(dialect, table, item))
    s.metadata.create_all(connection)
    for table in s.metadata.sorted_tables:
        for index in table.indexes:  # those of tables that were there before
            index.create(connection, checkfirst=True)
    return made


def _columns(connection: Connection) -> dict[str, set[str]]:
    found = defaultdict(set)
    for table, column in connection.exec_driver_sql(COLUMNS):
        found[table].add(column)
    return dict(found)


def _new(table: Table, there: dict[str, set[str]]) -> list[Column[Any]]:
    known = there.get(table.name)
    return [] if known is None else [item for item in table.columns if item.name not in known]


def _added(dialect: Dialect, table: Table, item: Column[Any]) -> str:
    """The statement that adds a column, with its default for rows that are there."""
    default = item.default.arg if isinstance(item.default, ScalarElementColumnDefault) else None
    if item.primary_key or (default is None and not item.nullable):
        raise EnvironmentRefused("ledger.column", table=table.name, field=item.name)
    text = str(CreateColumn(item).compile(dialect=dialect))
    if default is not None:
        write = item.type.literal_processor(dialect)
        assert write is not None  # integers, flags and strings all have one
        text += f" DEFAULT {write(default)}"
    return f"ALTER TABLE {dialect.identifier_preparer.format_table(table)} ADD COLUMN {text}"
