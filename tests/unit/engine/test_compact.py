"""Few files instead of many: every answer stays, and a run that stops anywhere is finished."""

from __future__ import annotations

import os
import random
import shutil
from collections import Counter
from pathlib import Path

import polars as pl
import pytest
from centres import Place, lay
from compacting import COMPACT, NIGHTS, answers, files, many_files
from histories import KYOKAI
from histories import told as told_of

from koukan.engine.centre import Centre, open_centre
from koukan.engine.changes import changed_events
from koukan.engine.digest import state_digest, table_state
from koukan.engine.history import Link, spells
from koukan.engine.reading import steady
from koukan.engine.run import run_job
from koukan.engine.verify import verify_ledger, verify_tables
from koukan.errors import Exit, TableRefused, TransientError
from koukan.flows.registration import HISTORY, PARTITION, QUALIFICATION, ROSTER
from koukan.ledger import rewritings
from koukan.rules.tiers import FAN_IN

LONG = os.environ.get("KOUKAN_TEST_LONG") == "1"
STOPS = None if LONG else 3  # events at which a run is stopped; None: all
EVENTS = ("wrote", "written", "table committed", "replaced", "unlinked")


class Stopped(BaseException):
    """No `except Exception` of a run sees it."""


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Many files. Copy it; do not run it."""
    folder = tmp_path_factory.mktemp("many")
    return many_files(Place(folder / "site", folder / "keys" / "batch.key"))


@pytest.fixture(scope="module")
def after(before: Place, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """The same, compacted. Look only."""
    place = copied(before, tmp_path_factory.mktemp("few"))
    place.run(COMPACT)
    return place


@pytest.fixture
def place(before: Place, tmp_path: Path) -> Place:
    return copied(before, tmp_path)


def copied(before: Place, folder: Path) -> Place:
    shutil.copytree(before.root, folder / "site")
    return Place(folder / "site", before.key, before.now)


def digest(place: Place) -> str:
    with place.opened() as centre:
        return state_digest(centre)


def leftovers(centre: Centre) -> list[str]:
    """Data files that belong to no version, and groups that are not at their end."""
    known = {f"{name}/{f.path}" for name in centre.tables for f in centre.snapshot(name).files()}
    folder = centre.folder("tables")
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*.parquet")}
    return sorted(found ^ known) + [f"group {one.number}" for one in centre.ledger.open_groups()]


def logical(centre: Centre) -> set[tuple[str, str]]:
    """Partitions that have any row, wherever it lies."""
    return {(str(one["table"]), str(one["partition"])) for one in table_state(centre)}


def test_few_files_are_left_and_every_answer_is_what_it_was(before: Place, after: Place) -> None:
    with before.opened() as old, after.opened() as new:
        many, few = files(old), files(new)
        assert max(many.values()) >= FAN_IN > max(few.values())
        assert logical(old) == logical(new)
        assert {part for name, part in many if name == HISTORY and "mixed" not in part} == set()
        assert {part for name, part in few if name == HISTORY and "mixed" in part} == set()
        assert answers(old) == answers(new)
        assert old.snapshot(HISTORY).rows() == new.snapshot(HISTORY).rows()
        assert leftovers(new) == []
        assert verify_ledger(new) == []
        assert verify_tables(new) == []
    assert digest(before) == digest(after)


def test_merged_rows_are_in_the_order_of_their_table(after: Place) -> None:
    wanted = {
        (HISTORY, QUALIFICATION): ["group_number", "reception", "line_number"],
        (PARTITION, QUALIFICATION): ["group_number", "reception", "line_number"],
        (PARTITION, ROSTER): ["member_id", "reception"],
        ("vault", ""): ["token_hi", "token_lo"],
    }
    with after.opened() as centre:
        for (name, section), by in wanted.items():
            snapshot = centre.snapshot(name)
            named = {"section": section} if section else {}
            merged = [file for file in snapshot.files(**named) if "-d1-" in file.path]
            assert merged
            for file in merged:
                rows = snapshot.read([file])
                assert rows.equals(rows.sort(by, maintain_order=True))


def test_with_nothing_to_merge_nothing_happens(after: Place, tmp_path: Path) -> None:
    place = copied(after, tmp_path)
    with place.opened() as centre:
        versions = centre.ledger.table_versions()
        assert run_job(centre, COMPACT).exit == Exit.DONE
        assert centre.ledger.table_versions() == versions


def test_files_with_enough_rows_are_left_alone(place: Place) -> None:
    text = (place.root / "site.toml").read_text(encoding="utf-8")
    place.write_site(text.replace("group_files = 1", "group_files = 1\npiece_rows = 2"))
    with place.opened() as centre:
        before, known = files(centre), answers(centre)
    place.run(COMPACT)
    with place.opened() as centre:
        after = files(centre)
        assert without_history(after) == without_history(before)
        # Each file with rows of all buckets alone becomes one for every bucket that it has rows of.
        for name in ("basic", "qualification", "certificate"):
            found = [after[HISTORY, f"bucket={label},section={name}"] for label in ("0", "1")]
            assert max(found) <= before[HISTORY, f"bucket=mixed,section={name}"] <= sum(found)
        assert answers(centre) == known
    place.run(COMPACT)
    with place.opened() as centre:
        assert files(centre) == after


def without_history(found: Counter[tuple[str, str]]) -> dict[tuple[str, str], int]:
    return {key: count for key, count in found.items() if key[0] != HISTORY}


def test_files_of_before_and_after_compaction_stand_beside_each_other(
    after: Place, tmp_path: Path
) -> None:
    """What comes later about the same persons is found with what is in their buckets already."""
    place = copied(after, tmp_path)
    lay(place, "kenpo-a", 4, persons=9, first_person=0)
    place.run()
    with place.opened() as centre:
        assert {key[1].split(",")[0] for key in files(centre) if key[0] == HISTORY} == {
            "bucket=0",
            "bucket=1",
            "bucket=mixed",
        }
        known, before = answers(centre), state_digest(centre)
        lives = told_of(centre)
        assert max(len({event.insurer_code for event in life}) for life in lives.values()) == 2
    text = (place.root / "site.toml").read_text(encoding="utf-8")
    place.write_site(text.replace("group_files = 1", "group_files = 1\npiece_rows = 2"))
    place.run(COMPACT)
    with place.opened() as centre:
        assert not [key for key in files(centre) if "bucket=mixed" in key[1]]
        assert answers(centre) == known
        assert state_digest(centre) == before
        assert verify_ledger(centre) + verify_tables(centre) == []


# --- stopped anywhere


@pytest.fixture(scope="module")
def told(before: Place, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What a whole run tells."""
    place, events = copied(before, tmp_path_factory.mktemp("told")), []

    def observe(event: str, **_: object) -> None:
        events.append(event)

    centre = open_centre(place.root, place.key, clock=lambda: place.now, observe=observe)
    run_job(centre, COMPACT)
    centre.close()
    return events


def stop(place: Place, at: int) -> None:
    """Run until the so many-th event, and not further."""
    left = at

    def observe(_event: str, **_: object) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise Stopped

    centre = open_centre(place.root, place.key, clock=lambda: place.now, observe=observe)
    with pytest.raises(Stopped):
        run_job(centre, COMPACT)
    centre.close()


def test_stopped_anywhere_and_started_again_it_ends_the_same(
    before: Place, after: Place, told: list[str], tmp_path: Path
) -> None:
    assert {"grouped", *EVENTS} <= set(told)
    wanted = digest(after)
    places = range(1, len(told) + 1)
    for at in places if STOPS is None else random.Random(7).sample(places, STOPS):
        place = copied(before, tmp_path / f"{at}")
        stop(place, at)
        assert digest(place) == wanted, told[at - 1]  # a reader in between
        place.run(COMPACT)
        with place.opened() as centre:
            assert leftovers(centre) == [], told[at - 1]
            assert max(files(centre).values()) < FAN_IN
            assert verify_ledger(centre) == [], told[at - 1]
        assert digest(place) == wanted, told[at - 1]


@pytest.mark.parametrize("event", EVENTS if LONG else EVENTS[1::2])
def test_what_was_left_is_finished_before_anything_is_registered(
    event: str, before: Place, place: Place, told: list[str], tmp_path: Path
) -> None:
    stop(place, told.index(event) + 1)
    with place.opened() as centre:
        assert {item.key for item in verify_ledger(centre)} == {"verify.group_open"}
    other = copied(before, tmp_path / "other")
    for one in (place, other):
        lay(one, "kenpo-b", 1, persons=5, first_person=2)
        one.run()
    assert digest(place) == digest(other)
    with place.opened() as centre:
        assert leftovers(centre) == []
        assert verify_ledger(centre) == []


# --- who reads meanwhile


def compact_elsewhere(place: Place) -> None:
    with place.opened() as other:
        run_job(other, COMPACT)


def test_a_question_that_lost_its_files_is_asked_once_more(place: Place) -> None:
    asked = 0

    @steady
    def rows(centre: Centre) -> pl.DataFrame:
        nonlocal asked
        asked += 1
        snapshot = centre.snapshot(HISTORY)
        if asked == 1:
            compact_elsewhere(place)
        return snapshot.read(snapshot.files(section=QUALIFICATION))

    with place.opened() as centre:
        held = centre.snapshot(HISTORY).rows()
        assert 0 < rows(centre).height < held
        assert asked == 2


def test_files_that_nobody_took_away_are_missed(place: Place) -> None:
    with place.opened() as centre:
        snapshot = centre.snapshot(HISTORY)
        file = snapshot.files(section=QUALIFICATION)[0]
        link = snapshot.read([file])["link_number"][0]
        (centre.folder("tables", HISTORY) / file.path).unlink()
        with pytest.raises(TableRefused) as error:
            spells(centre, Link(f"{link:016d}"))
        assert error.value.key == "tables.missing_file"


def test_a_long_answer_that_lost_its_files_ends_as_a_passing_fault(place: Place) -> None:
    with place.opened() as centre:
        found = changed_events(centre, NIGHTS[0], NIGHTS[3], KYOKAI)
        next(found)
        compact_elsewhere(place)
        with pytest.raises(TransientError) as error:
            list(found)
        assert (error.value.key, error.value.exit_code) == ("tables.rewritten", Exit.TRANSIENT)


def test_a_group_that_writes_anew_is_told_from_others(place: Place) -> None:
    with place.opened() as centre:
        assert rewritings.newest(centre.ledger) == 0
        group = rewritings.begin(centre.ledger, rewritings.COMPACT, centre.now())
        assert [one.number for one in rewritings.unfinished(centre.ledger)] == [group.number]
        assert rewritings.newest(centre.ledger) == 0
