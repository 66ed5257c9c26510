"""A ledger of an earlier koukan: `init` makes what is lacking, or says what stands against it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Column, Index, Integer, MetaData, String, Table

from koukan.errors import EnvironmentRefused
from koukan.ledger import Ledger
from koukan.ledger import schema as s

EARLIER = Path(__file__).with_name("earlier.sql").read_text("utf-8")
ROW = {
    **dict.fromkeys("job format definition rights sender door file_name".split(), "x"),
    **dict.fromkeys("sha256 original received_at state".split(), "x"),
    **dict.fromkeys("number sequence length line rows original_erased".split(), 1),
    "cuts": "[[0, 5]]",
}


def structure(path: Path) -> dict[str, object]:
    """Columns with type, need, default and key of each table, and the indexes."""
    with closing(sqlite3.connect(path)) as database:
        tables = [row[0] for row in database.execute("select name from sqlite_schema")]
        return {
            name: sorted(row[1:] for row in database.execute(f"pragma table_info('{name}')"))
            for name in tables
            if not name.startswith("sqlite_")
        }


@pytest.fixture
def earlier(tmp_path: Path) -> Ledger:
    """One with a reception."""
    path = tmp_path / "earlier.sqlite"
    with closing(sqlite3.connect(path)) as database:
        database.executescript(EARLIER)
        places = ", ".join("?" * len(ROW))
        database.execute(
            f"insert into reception ({', '.join(ROW)}) values ({places})", list(ROW.values())
        )
        database.commit()
    return Ledger(path)


@pytest.fixture
def further() -> Iterator[MetaData]:
    """The schema, to be added to."""
    before = set(s.metadata.tables)
    yield s.metadata
    for name in set(s.metadata.tables) - before:
        s.metadata.remove(s.metadata.tables[name])


def test_an_earlier_ledger_is_refused_until_it_has_what_this_koukan_knows(
    earlier: Ledger, tmp_path: Path
) -> None:
    with pytest.raises(EnvironmentRefused, match=r"ledger\.earlier"):
        earlier.require_whole()
    made = earlier.create()
    assert {"correction", "review", "notice", "forgotten", "reception.policy"} <= set(made)
    earlier.require_whole()
    assert earlier.create() == []
    fresh = Ledger(tmp_path / "fresh.sqlite")
    fresh.create()
    names = {table: {row[0] for row in rows} for table, rows in structure(fresh.path).items()}
    assert {
        table: {row[0] for row in rows} for table, rows in structure(earlier.path).items()
    } == names


def test_rows_that_are_there_stay_and_get_defaults(earlier: Ledger) -> None:
    earlier.create()
    (found,) = earlier.receptions()
    assert (found.number, found.cuts) == (1, ((0, 5),))
    assert (found.policy, found.remarks, found.told_at, found.expects) == ("", (), None, None)


def test_a_column_that_rows_would_need_a_value_for_is_refused_and_nothing_altered(
    earlier: Ledger, further: MetaData
) -> None:
    before = structure(earlier.path)
    with closing(sqlite3.connect(earlier.path)) as database:
        database.execute("create table further (number integer primary key)")
        database.execute("insert into further values (1)")
        database.commit()
    Table(
        "further",
        further,
        Column("number", Integer, primary_key=True),
        Column("needed", String, nullable=False),
    )
    with pytest.raises(EnvironmentRefused, match=r"ledger\.column"):
        earlier.create()
    after = structure(earlier.path)
    assert after.pop("further") == [("number", "INTEGER", 0, None, 1)]
    assert after == before


def test_an_empty_table_is_made_anew_and_a_new_index_is_made(
    earlier: Ledger, further: MetaData
) -> None:
    with closing(sqlite3.connect(earlier.path)) as database:
        database.execute("create table further (number integer primary key)")
        database.commit()
    Table(
        "further",
        further,
        Column("number", Integer, primary_key=True),
        Column("needed", String, nullable=False),
        Index("further_needed", "needed"),
    )
    Index("reception_sequence_of_test", s.receptions.c.sequence)
    try:
        earlier.create()
        found = structure(earlier.path)
    finally:
        index = next(i for i in s.receptions.indexes if i.name == "reception_sequence_of_test")
        s.receptions.indexes.discard(index)
    assert ("needed", "VARCHAR", 1, None, 0) in found["further"]
    assert {"further_needed", "reception_sequence_of_test"} <= found.keys()
