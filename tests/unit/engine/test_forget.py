"""管理終了: nothing is left of a member, everything of everybody else, and a record says so."""

from __future__ import annotations

import json
import os
import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from centres import Place, lay
from codes_support import failed, made, put, wanted
from compacting import COMPACT
from histories import KENPO, KYOKAI, NIGHTS, three_nights
from sqlalchemy import delete, update
from withdrawals import FORGET, Member, members, numbers_of, rows_of, state, withdraw

from koukan.engine import history
from koukan.engine.centre import Centre, open_centre
from koukan.engine.changes import changes
from koukan.engine.digest import state_digest
from koukan.engine.issued import codes_of
from koukan.engine.people import people_of
from koukan.engine.run import run_job
from koukan.engine.verify import verify_ledger, verify_tables
from koukan.errors import IntegrityError, SecretError, UsageError
from koukan.flows.codes import CODES
from koukan.flows.copies import REPLICA
from koukan.flows.disclosure import RECORDS
from koukan.flows.pmh import ISSUES
from koukan.flows.registration import HISTORY, PARTITION, PERSON_LINKS, VAULT
from koukan.keys.keyring import derive
from koukan.ledger import schema
from koukan.rules.line_keys import NONE
from koukan.tables import encrypted
from koukan.tables.definition import MIXED, bucket_label, bucket_of_link, partition_name
from koukan.tables.table import DataFile

LONG = os.environ.get("KOUKAN_TEST_LONG") == "1"
STOPS = None if LONG else 4  # events at which a run is stopped; None: all
BUCKETS = 4
CODE = "ABCDEFGHIJKLMNOPQRSTU"


class Stopped(BaseException):
    """No `except Exception` of a run sees it."""


class Cast:
    """Who is who in the three nights."""

    def __init__(self, centre: Centre) -> None:
        ours, theirs = members(centre, KYOKAI), members(centre, KENPO)
        elsewhere = {member.link: member for member in theirs}
        self.alone = next(member for member in ours if member.link not in elsewhere)
        self.both = next(member for member in ours if member.link in elsewhere)
        self.other = elsewhere[self.both.link]
        self.kept = next(member for member in reversed(ours) if member.link in elsewhere)


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Two members of 協会 are withdrawn. Copy it; do not run it."""
    folder = tmp_path_factory.mktemp("before")
    place = Place(folder / "site", folder / "keys" / "batch.key").initialised(buckets=BUCKETS)
    three_nights(place)
    with place.opened() as centre:
        cast = Cast(centre)
        put(centre, wanted(cast.alone.link), wanted(cast.both.link), wanted(cast.kept.link))
        put(centre, made(cast.alone.link, CODE), made(cast.both.link, CODE[::-1]))
        put(centre, failed(cast.kept.link))
        withdraw(centre, cast.alone, cast.both)
    return place


@pytest.fixture(scope="module")
def cast(before: Place) -> Cast:
    with before.opened() as centre:
        return Cast(centre)


@pytest.fixture(scope="module")
def after(before: Place, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """The same, when they are forgotten. Look only."""
    place = copied(before, tmp_path_factory.mktemp("after"))
    place.run(FORGET)
    return place


@pytest.fixture
def place(before: Place, tmp_path: Path) -> Place:
    return copied(before, tmp_path)


def copied(before: Place, folder: Path) -> Place:
    shutil.copytree(before.root, folder / "site")
    return Place(folder / "site", before.key, before.now)


def bucket(link: int) -> str:
    return bucket_label(bucket_of_link(link, BUCKETS), BUCKETS)


def leftovers(centre: Centre) -> list[str]:
    """Data files of no version, keys of no data file, and groups that are not at their end."""
    files = [(name, file) for name in centre.tables for file in centre.snapshot(name).files()]
    known = {f"{name}/{file.path}" for name, file in files}
    folder = centre.folder("tables")
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*.parquet")}
    return sorted(found ^ known) + [f"group {one.number}" for one in centre.ledger.open_groups()]


# --- what is gone, and what is not


@pytest.mark.requirement("R030")
def test_nothing_is_left_of_the_members(before: Place, after: Place, cast: Cast) -> None:
    with before.opened() as centre:
        assert len(rows_of(centre, cast.alone)) == len(rows_of(centre, cast.both)) == 7
    with after.opened() as centre:
        for member in (cast.alone, cast.both):
            assert rows_of(centre, member) == {}
            for known in (*NIGHTS, None):
                with pytest.raises(UsageError) as error:
                    history.spells(
                        centre, history.Member(KYOKAI, f"{member.member_id:010d}"), known=known
                    )
                assert error.value.key == "history.unknown"
        for known in (*NIGHTS, None):
            link = history.Link(f"{cast.alone.link:016d}")
            assert history.spells(centre, link, known=known).is_empty()
        assert centre.snapshot(PERSON_LINKS).rows() == 0


def test_everything_of_others_is_left(before: Place, after: Place, cast: Cast) -> None:
    with before.opened() as old, after.opened() as new:
        for member in (cast.kept, cast.other):
            assert rows_of(new, member) == rows_of(old, member)
        link = history.Link(f"{cast.both.link:016d}")
        for centre, known, wanted in (
            (old, NIGHTS[2], {KYOKAI, KENPO}),  # before they were withdrawn
            (old, None, {KENPO}),
            (new, NIGHTS[2], {KENPO}),  # what is erased was never known
            (new, None, {KENPO}),
        ):
            assert set(history.spells(centre, link, known=known)["insurer_code"]) == wanted
        assert changes(new, NIGHTS[0], NIGHTS[1]) == changes(old, NIGHTS[0], NIGHTS[1])


def test_a_number_goes_with_the_last_insurer_that_has_the_person(after: Place, cast: Cast) -> None:
    with after.opened() as centre:
        assert numbers_of(centre, cast.alone.link) == 0
        assert numbers_of(centre, cast.both.link) == 1
        assert centre.snapshot(VAULT).rows() == 40 - 1


def test_a_code_goes_with_the_last_insurer_that_has_the_person(
    before: Place, after: Place, cast: Cast
) -> None:
    links = np.array([cast.alone.link, cast.both.link, cast.kept.link, cast.both.link, NONE])
    own = {cast.both.link: (CODE[::-1], "set"), cast.kept.link: (None, "failed")}
    for place, wanted_to_be in (
        (before, {cast.alone.link: (CODE, "set"), **own}),
        (after, own),
    ):
        with place.opened() as centre:
            found = codes_of(centre, people_of(centre), links)
            assert {link: (code, state) for link, code, state, *_ in found.rows()} == wanted_to_be
            assert codes_of(centre, people_of(centre), links[:0]).is_empty()


def test_only_who_has_the_right_opens_the_codes(before: Place, tmp_path: Path) -> None:
    """They are under a purpose key of their own: the history's does not open them."""
    place = copied(before, tmp_path)
    shutil.rmtree(place.root / "keyring" / "purposes" / "code")
    with place.opened() as centre:
        for name in (HISTORY, VAULT):
            snapshot = centre.snapshot(name)
            file = snapshot.files()[0]
            assert snapshot.scan(file).collect().height == file.rows
        codes = centre.snapshot(CODES)
        with pytest.raises(SecretError):
            codes.read(codes.files())


def test_merged_codes_are_the_same(before: Place, cast: Cast, tmp_path: Path) -> None:
    place = copied(before, tmp_path)
    with place.opened() as centre:
        for code in "KLMNOPQR":
            put(centre, made(cast.alone.link, code))
        asked = np.array([cast.alone.link, cast.both.link])
        found, digest = codes_of(centre, people_of(centre), asked), state_digest(centre)
        files = len(centre.snapshot(CODES).files(bucket=bucket(cast.alone.link)))
    place.run(COMPACT)
    with place.opened() as centre:
        assert len(centre.snapshot(CODES).files(bucket=bucket(cast.alone.link))) < files
        again = codes_of(centre, people_of(centre), asked)
        assert again.sort("link_number").equals(found.sort("link_number"))
        assert state_digest(centre) == digest
        assert verify_ledger(centre) + verify_tables(centre) == []


def test_a_second_run_changes_nothing(after: Place, tmp_path: Path) -> None:
    place = copied(after, tmp_path)
    with place.opened() as centre:
        versions, digest = centre.ledger.table_versions(), state_digest(centre)
        run_job(centre, FORGET)
        assert (centre.ledger.table_versions(), state_digest(centre)) == (versions, digest)
        assert len(records(centre)) == 1


def test_who_comes_back_is_somebody_new(after: Place, cast: Cast, tmp_path: Path) -> None:
    place = copied(after, tmp_path)
    lay(place, "kyokai", 3, persons=30)
    place.run()
    with place.opened() as centre:
        ours = members(centre, KYOKAI)
        assert len(ours) == 30
        assert cast.alone.link not in {member.link for member in ours}
        (back,) = [member for member in ours if member.link == cast.both.link]
        assert back.member_id != cast.both.member_id
        assert verify_ledger(centre) == []


# --- keys, files and the record


def test_the_partitions_concerned_have_new_keys_and_no_others(after: Place, cast: Cast) -> None:
    with after.opened() as centre:
        ring = centre.keyring
        assert ring.partition_versions(PARTITION, f"insurer={KYOKAI}") == [2]
        assert ring.partition_versions(PARTITION, f"insurer={KENPO}") == [1]
        assert ring.partition_versions(HISTORY, "bucket=mixed") == [2]
        vault = [ring.partition_versions(VAULT, f"bucket={n}") for n in range(BUCKETS)]
        assert sorted(vault) == [[1]] * (BUCKETS - 1) + [[2]]
        assert ring.partition_versions(PERSON_LINKS, "whole") == []
        assert leftovers(centre) == []
        assert verify_tables(centre) == []


@pytest.mark.requirement("R166")
def test_where_rows_lay_before_they_were_put_into_their_buckets_no_key_is_left(
    place: Place, cast: Cast
) -> None:
    """A copy of a file that went long ago may lie anywhere."""
    text = (place.root / "site.toml").read_text(encoding="utf-8")
    place.write_site(text.replace("[limits]", "[limits]\npiece_rows = 2", 1))
    with place.opened() as centre:
        mixed = centre.snapshot(HISTORY).files(bucket=MIXED)
    place.run(COMPACT)
    place.run(FORGET)
    with place.opened() as centre:
        ring, table = centre.keyring, centre.tables[HISTORY]
        assert mixed
        for file in mixed:
            with pytest.raises(SecretError):
                table.access(file)
        assert ring.partition_versions(HISTORY, "bucket=mixed") == []
        concerned = {bucket(member.link) for member in (cast.alone, cast.both)}
        for label in map(str, range(BUCKETS)):
            wanted = [2] if label in concerned else [1]
            assert ring.partition_versions(HISTORY, f"bucket={label}") == wanted
        assert leftovers(centre) == []
    lay(place, "kyokai", 3, persons=30)
    place.run()
    with place.opened() as centre:
        assert len(members(centre, KYOKAI)) == 30
        assert verify_ledger(centre) + verify_tables(centre) == []


@pytest.mark.requirement("R166")
def test_no_key_that_is_left_opens_what_was_there(before: Place, after: Place) -> None:
    with before.opened() as old, after.opened() as new:
        ring = new.keyring
        for name, table in new.tables.items():
            stays = {file.path for file in new.snapshot(name).files()}
            gone = [file for file in old.snapshot(name).files() if file.path not in stays]
            # Nobody has asked for anybody, and no insurer has copies.
            assert gone or name in (ISSUES, RECORDS, REPLICA)
            keys = [
                ring.existing_key(name, path.name.removesuffix(".key"))
                for path in (new.folder("keyring", "random", name)).glob("*.key")
            ]
            for file in gone:
                assert not (new.folder("tables", name) / file.path).exists()
                with pytest.raises(SecretError):
                    table.access(file)
                for key in keys:
                    assert not opens(old, name, file, key)


def opens(centre: Centre, name: str, file: DataFile, key: bytes) -> bool:
    path, _, aad = centre.tables[name].access(file)
    whole = derive(key, "table file", name, partition_name(file.partition), path.name)
    try:
        encrypted.read(path, whole, aad)
    except IntegrityError:
        return False
    return True


def records(centre: Centre) -> list[dict[str, Any]]:
    return [json.loads(row.record) for row in centre.ledger.erasures() if row.what == "members"]


@pytest.mark.requirement("R165")
def test_the_record_counts_what_went_and_names_nobody(
    before: Place, after: Place, cast: Cast
) -> None:
    with after.opened() as centre:
        (record,) = records(centre)
        assert centre.signer.verify(record)
        assert verify_ledger(centre) == []
        text = json.dumps(record)
    assert CODE not in text
    for member in (cast.alone, cast.both):
        assert f"{member.member_id}" not in text
        assert f"{member.link}" not in text
    counts = record["counts"]
    assert set(counts) == {PARTITION, HISTORY, VAULT, PERSON_LINKS, CODES, "roster"}
    assert counts["roster"] == {"1": {KYOKAI: 2}}
    assert counts[PARTITION] == counts[HISTORY]
    assert counts[PARTITION]["1"] == {KYOKAI: 2 * 3}
    assert counts[PERSON_LINKS] == {"1": {KYOKAI: 2}}
    assert counts[VAULT] == {"1": {"": 1}}
    assert counts[CODES] == {"1": {"": 2}}  # both events of the one whom nobody has any more
    assert set(record["removed"]) == {PARTITION, HISTORY, VAULT, PERSON_LINKS, CODES}


def test_without_its_record_nothing_balances(after: Place, tmp_path: Path) -> None:
    place = copied(after, tmp_path)
    with place.opened() as centre:
        with centre.ledger.begin() as transaction:
            transaction.execute(delete(schema.erasures).where(schema.erasures.c.what == "members"))
        keys = {item.key for item in verify_ledger(centre)}
        wanted = {"verify.forgotten_missing", "verify.partition_rows", "verify.history_rows"}
        assert keys == wanted | {"codes.verify_rows"}


def test_a_forged_record_and_one_of_other_counts_are_named(after: Place, tmp_path: Path) -> None:
    place = copied(after, tmp_path)
    with place.opened() as centre:
        (row,) = [row for row in centre.ledger.erasures() if row.what == "members"]
        record = json.loads(row.record)
        record["counts"]["roster"]["1"][KYOKAI] = 3
        forged = json.dumps(record)
        del record["signature"], record["key"]
        signed = json.dumps(centre.signer.sign(record))
        for text, key in ((forged, "forged"), (signed, "counts")):
            with centre.ledger.begin() as transaction:
                transaction.execute(
                    update(schema.erasures)
                    .where(schema.erasures.c.what == "members")
                    .values(record=text)
                )
            assert f"verify.forgotten_{key}" in {item.key for item in verify_ledger(centre)}


def test_a_file_that_was_put_back_is_named(before: Place, after: Place, tmp_path: Path) -> None:
    place = copied(after, tmp_path)
    for name in (before.root / "tables" / VAULT).glob("*/*.parquet"):
        shutil.copy(name, place.root / name.relative_to(before.root))
    with place.opened() as centre:
        assert {item.key for item in verify_ledger(centre)} == {"verify.forgotten_left"}


# --- stopped anywhere


@pytest.fixture(scope="module")
def told(before: Place, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What a whole run tells."""
    place, events = copied(before, tmp_path_factory.mktemp("told")), []

    def observe(event: str, **_: object) -> None:
        events.append(event)

    centre = open_centre(place.root, place.key, clock=lambda: place.now, observe=observe)
    run_job(centre, FORGET)
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
        run_job(centre, FORGET)
    centre.close()


def end_of(place: Place) -> tuple[str, list[dict[str, Any]], list[str]]:
    """State, what the records say but for what was drawn, and what should not be there."""
    with place.opened() as centre:
        said = records(centre)
        for record in said:
            del record["signature"]
        problems = [item.key for item in verify_ledger(centre)] + leftovers(centre)
        return state_digest(centre), said, problems


@pytest.mark.requirement("R030")
def test_stopped_anywhere_and_started_again_it_ends_the_same(
    before: Place, after: Place, told: list[str], tmp_path: Path
) -> None:
    assert {"grouped", "wrote", "written", "table committed", "replaced"} <= set(told)
    assert {"keys destroyed", "unlinked", "committed"} <= set(told)
    wanted = end_of(after)
    assert wanted[2] == []
    places = range(1, len(told) + 1)
    for at in places if STOPS is None else random.Random(8).sample(places, STOPS):
        place = copied(before, tmp_path / f"{at}")
        stop(place, at)
        with place.opened() as centre:
            assert rows_of(centre, Cast(centre).kept)  # a reader in between
        place.run(FORGET)
        assert end_of(place) == wanted, told[at - 1]


def test_what_was_left_is_finished_by_whatever_comes_next(
    after: Place, place: Place, told: list[str]
) -> None:
    stop(place, told.index("keys destroyed") + 1)
    place.run()  # registers, though nothing came
    assert end_of(place) == end_of(after)


# --- beside the other jobs


def test_forgotten_and_compacted_files_go_together(place: Place, cast: Cast) -> None:
    text = (place.root / "site.toml").read_text(encoding="utf-8")
    place.write_site(f"{text}group_files = 1\n")
    for number in range(3, 10):
        lay(place, "kyokai", number, persons=2, first_person=100 + 2 * number)
    place.run()
    place.run(COMPACT)
    place.run(FORGET)
    lay(place, "kyokai", 10, persons=2, first_person=200)
    place.run()
    place.run(COMPACT)
    with place.opened() as centre:
        assert rows_of(centre, cast.alone) == {}
        assert rows_of(centre, cast.kept)
        assert verify_ledger(centre) == []
        assert leftovers(centre) == []


def test_a_whole_insurer_may_go(place: Place) -> None:
    with place.opened() as centre:
        withdraw(centre, *members(centre, KENPO))
    place.run(FORGET)
    with place.opened() as centre:
        assert centre.snapshot(PARTITION).files(insurer=KENPO) == []
        assert centre.keyring.partition_versions(PARTITION, f"insurer={KENPO}") == []
        assert verify_ledger(centre) == []
        assert leftovers(centre) == []
    lay(place, "kenpo-a", 2, persons=3)
    place.run()
    with place.opened() as centre:
        assert len(members(centre, KENPO)) == 3


def test_a_member_that_waits_for_its_number_is_in_its_partition_alone(place: Place) -> None:
    waiting = Member(KYOKAI, 4_000_000_001, 0)
    with place.opened() as centre:
        statement = {"act": "withdrawn", "insurer_code": KYOKAI, "member_id": waiting.member_id}
        state(centre, statement)
        run_job(centre, FORGET)
        assert verify_ledger(centre) == []
        assert centre.snapshot(PERSON_LINKS).rows() == 0
