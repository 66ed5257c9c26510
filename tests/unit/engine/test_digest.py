from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
from centres import Place, lay, vouch

from koukan.engine.digest import ordered, parts_of, state_digest
from koukan.engine.workers import Workers
from koukan.flows.registration import PARTITION


def digest(place: Place) -> str:
    with place.opened() as centre:
        return state_digest(centre)


@pytest.fixture
def twins(tmp_path: Path) -> tuple[Place, Place]:
    """Two empty centres with the same keys."""
    one = Place(tmp_path / "one", tmp_path / "keys" / "batch.key").initialised()
    other = Place(tmp_path / "other", one.key)
    shutil.copytree(one.root / "keyring", other.root / "keyring")
    return one, other.initialised()


def test_the_digest_does_not_tell_in_how_many_runs_the_files_came(
    twins: tuple[Place, Place],
) -> None:
    one, other = twins
    for place in twins:
        lay(place, "kenpo-a", 1, persons=40, bad_persons=10)
    other.run()
    for place in twins:  # some of the same persons, so that the second links to the first
        lay(place, "kyokai", 1, persons=40, first_person=20)
    one.run()
    other.run()
    with one.opened() as first, other.opened() as second:
        assert len(first.ledger.group(1).members) == 2
        assert len(second.ledger.group(1).members) == 1
    assert digest(one) == digest(other)


def test_the_digest_does_not_tell_when_the_files_came(twins: tuple[Place, Place]) -> None:
    one, other = twins
    other.now += timedelta(days=3)  # not so late that it is remarked upon
    for place in twins:
        lay(place, "kenpo-a", 1, persons=10)
        place.run()
    assert digest(one) == digest(other)


def test_a_run_without_new_files_keeps_the_digest(place: Place) -> None:
    before = digest(place)
    place.run()
    assert digest(place) == before


def test_threads_and_processes_find_the_same_digest(place: Place) -> None:
    with place.opened() as centre:
        before = state_digest(centre)
        centre.workers.close()
        centre.__dict__["workers"] = Workers(centre, "processes", 1)
        assert state_digest(centre) == before


def statement(place: Place, text: str) -> None:
    with sqlite3.connect(place.root / "ledger" / "koukan.sqlite") as connection:
        assert connection.execute(text).rowcount > 0
    connection.close()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda place: statement(place, "UPDATE insurer_count SET rejected = rejected + 1"),
        lambda place: statement(place, "UPDATE finding_count SET count = count + 1"),
        lambda place: statement(place, "UPDATE reception SET outcome = 'held' WHERE number = 1"),
        lambda place: statement(place, "UPDATE reception SET sequence = 9 WHERE number = 1"),
        lambda place: next(place.outbox("kyokai").iterdir()).unlink(),
        lambda place: (place.outbox("kyokai") / "stranger.csv").touch(),
    ],
    ids=["counts", "findings", "outcome", "sequence", "file taken", "file added"],
)
def test_anything_that_is_state_changes_the_digest(
    place: Place, spoil: Callable[[Place], None]
) -> None:
    before = digest(place)
    spoil(place)
    assert digest(place) != before


def test_one_row_changes_the_digest_and_its_place_among_the_files_does_not(place: Place) -> None:
    with place.opened() as centre:
        before = state_digest(centre)
        part = next(part for part in parts_of(centre, PARTITION) if "basic" in part.partition)
        table, snapshot = centre.tables[PARTITION], centre.snapshot(PARTITION)
        rows = snapshot.read(part.files)
        where = dict(part.files[0].partition)

        def stands(*frames: object) -> str:
            """The digest with other files in place of the partition's own."""
            names = (f"again-{len(frames)}-{number}" for number in range(len(frames)))
            new = [
                table.write(where, frame, name) for frame, name in zip(frames, names, strict=True)
            ]
            vouch(centre, PARTITION, new, 900 + len(frames))
            expected = centre.snapshot(PARTITION).version
            old = centre.snapshot(PARTITION).files(**where)
            version = table.commit(new, old, transaction=900 + len(frames), expected=expected)
            statement(
                place,
                f"UPDATE table_version SET number = {version.number}, commit_hash = "
                f"'{version.commit_hash}', files_digest = '{version.files_digest}' "
                f"WHERE name = '{PARTITION}'",
            )
            return state_digest(centre)

        assert stands(rows[7:], rows[:3], rows[3:7].reverse()) == before
        assert stands(rows[1:]) != before


def test_nothing_and_the_empty_string_are_told_apart(place: Place) -> None:
    with place.opened() as centre:
        before = state_digest(centre)
        table, snapshot = centre.tables[PARTITION], centre.snapshot(PARTITION)
        part = next(part for part in parts_of(centre, PARTITION) if "basic" in part.partition)
        rows = snapshot.read(part.files)
        assert rows["other_name"].null_count() == rows.height
        filled = rows.with_columns(other_name=rows["other_name"].fill_null(""))
        file = table.write(dict(part.files[0].partition), filled, "filled")
        vouch(centre, PARTITION, [file])
        version = table.commit([file], part.files, transaction=900, expected=snapshot.version)
        statement(
            place,
            f"UPDATE table_version SET number = {version.number}, commit_hash = "
            f"'{version.commit_hash}', files_digest = '{version.files_digest}' "
            f"WHERE name = '{PARTITION}'",
        )
        assert state_digest(centre) != before


def test_rows_with_the_same_numbers_are_ordered_by_the_rest() -> None:
    rows = pl.DataFrame(
        {"text": ["b", "a", None, "a"], "number": [1, 1, 1, 0], "line": [2, 2, 2, None]},
        schema={"text": pl.String, "number": pl.Int64, "line": pl.Int64},
    )
    expected = ordered(rows)
    assert expected["text"].to_list() == ["a", None, "a", "b"]
    assert ordered(rows.reverse()).equals(expected)
    assert ordered(rows[[0, 3]])["number"].to_list() == [0, 1]
