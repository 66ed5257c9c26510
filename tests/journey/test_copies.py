"""Flow 2-(4), copies (副本): registered by their insurer alone, and erased when it says so."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from centres import Place
from copies_site import (
    DEPOSIT,
    Copy,
    code,
    copied,
    results,
    rows,
    site,
    sound,
    stand,
    tell,
    with_copies,
)
from histories import member_ids
from sqlalchemy import delete, update
from withdrawals import FORGET, Member, members, state, withdraw

from koukan.engine.centre import Centre
from koukan.engine.digest import state_digest
from koukan.engine.erasing import plan
from koukan.engine.verify import verify_ledger
from koukan.errors import Exit
from koukan.flows.copies import REPLICA
from koukan.flows.registration import HISTORY
from koukan.ledger import copies as known
from koukan.ledger import schema

CONFIRM, ERASE, COMPACT = "confirm_delivery", "erase_expired", "compact_tables"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Six members of each of two health societies. Copy it."""
    return site(tmp_path_factory.mktemp("copies"))


@pytest.fixture
def place(made: Place, tmp_path: Path) -> Place:
    return copied(made, tmp_path / "own")


@pytest.fixture(scope="module")
def held(made: Place, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """The same when both have copies of two kinds of each member. Copy it."""
    return with_copies(made, tmp_path_factory.mktemp("held") / "own")


def renumber(centre: Centre, member: Member, successor: int) -> None:
    """The member goes on as another 被保険者枝番, by hand."""
    said = {"act": "renumbered", "insurer_code": member.insurer, "member_id": member.member_id}
    state(centre, {**said, "link_number": member.link, "successor": successor})


# --- registering


@pytest.mark.requirement("R010", "R098", "R100")
def test_copies_go_into_their_insurers_partition_and_are_answered_line_by_line(
    place: Place,
) -> None:
    ours, theirs = member_ids(place, "kenpo-a"), member_ids(place, "kenpo-b")
    first = Copy(ours[0])
    tell(place, [first, Copy(ours[1]), first._replace(kind="0201"), Copy("0000000000")])
    tell(place, [Copy(theirs[0]), Copy(ours[0])], sender="kenpo-b")  # of another insurer's member
    ran = place.run(DEPOSIT)
    assert ran.exit is Exit.REJECTS
    assert results(place, 1) == ["", "", "", "R504"]
    assert results(place, 1, "kenpo-b") == ["", "R504"]
    assert rows(place)["member_id"].to_list() == [int(ours[0]), int(ours[1]), int(ours[0])]
    assert rows(place, "kenpo-b")["member_id"].to_list() == [int(theirs[0])]
    with place.opened() as centre:
        table = centre.tables[REPLICA].definition
        assert table.partition_by == ("insurer",)
        assert not {"my_number", "link_number"} & set(table.columns({}))
        keys = {path.name for path in centre.folder("keyring", "random", REPLICA).iterdir()}
    assert keys == {f"insurer={code(name)}.1.key" for name in ("kenpo-a", "kenpo-b")}
    sound(place)


@pytest.mark.requirement("R010", "R090")
@pytest.mark.parametrize(
    ("sender", "door", "insurer", "refusal"),
    [
        ("nhi-aggregation", "", "mihon-shi", "F203"),
        ("city-a", "", "mihon-shi", "F203"),
        ("fukushi", "dedicated_terminal", "fukushi", "F203"),
        ("kenpo-a", "dedicated_terminal", "kenpo-b", "F201"),
    ],
)
def test_nobody_else_registers_any(
    place: Place, sender: str, door: str, insurer: str, refusal: str
) -> None:
    member = member_ids(place, "kenpo-b")[0]
    tell(place, [Copy(member)], sender=sender, door=door, insurer=code(insurer))
    place.run(DEPOSIT)
    with place.opened() as centre:
        (found,) = centre.ledger.receptions(formats=["copy_registration"])
        assert (found.outcome, found.code) == ("refused", refusal)
        assert centre.snapshot(REPLICA).rows() == 0


def test_the_last_word_of_each_copy_counts_whether_files_come_together_or_not(
    made: Place, tmp_path: Path
) -> None:
    one, two, three = (Copy(member) for member in member_ids(made, "kenpo-a")[:3])
    files = [
        [one, two.replaced("x"), three.deleted()],
        [one, one._replace(kind="0201"), two],
        [one.replaced("changed"), two.deleted(), two._replace(last="202604")],
        [one.deleted(), two, two, three, three._replace(flag="1")],
        [one, two.replaced("again"), three.replaced("x")],
    ]
    wanted = [
        ["", "R507", "R507"],
        ["R506", "", ""],
        ["", "", ""],
        ["", "", "D301", "R308", "R308"],
        ["", "", "R507"],
    ]
    digests = []
    for name in ("together", "apart"):
        place = copied(made, tmp_path / name)
        for sequence, lines in enumerate(files, 1):
            tell(place, lines, sequence)
            if name == "apart":
                place.run(DEPOSIT)
        place.run(DEPOSIT)
        assert [results(place, number) for number in range(1, 6)] == wanted
        kinds = {(line[0], line[1], line[3], line[4]) for line in stand(place)}
        assert kinds == {
            (one.member, "0101", "202603", "高額療養費"),
            (one.member, "0201", "202603", "高額療養費"),
            (two.member, "0101", "202603", "again"),
            (two.member, "0101", "202604", "高額療養費"),
        }
        sound(place)
        with place.opened() as centre:
            digests.append(state_digest(centre))
    assert digests[0] == digests[1]


def test_a_copy_keeps_what_was_said_and_a_member_that_is_withdrawn_has_none(place: Place) -> None:
    ours = member_ids(place, "kenpo-a")
    tell(place, [Copy(ours[0], ("甲", "乙"), flag="1", nondisclosure="1"), Copy(ours[1])])
    place.run(DEPOSIT)
    (first, _) = rows(place).to_dicts()
    assert first["no_automatic_answer_flag"] == "1" and first["nondisclosure_code"] == "1"
    assert (first["content_1"], first["content_2"], first["content_3"]) == ("甲", "乙", None)
    with place.opened() as centre:
        gone = [one for one in members(centre, code("kenpo-a")) if one.member_id == int(ours[1])]
        withdraw(centre, *gone)
    assert {line[0] for line in stand(place)} == {ours[0]}
    tell(place, [Copy(ours[1], kind="0201")], 2)
    place.run(DEPOSIT)
    assert results(place, 2) == ["R504"]


def test_what_a_member_has_goes_on_with_it(held: Place, tmp_path: Path) -> None:
    """Under another 被保険者枝番 its copies are found, changed and erased by that one."""
    place = copied(held, tmp_path / "own")
    ours = member_ids(place, "kenpo-a")
    old, new = int(ours[0]), int(ours[1])
    with place.opened() as centre:
        by_number = {one.member_id: one for one in members(centre, code("kenpo-a"))}
        renumber(centre, by_number[old], new)
    numbers = [line[0] for line in stand(place)]
    assert ours[0] not in numbers and numbers.count(ours[1]) == 2
    tell(place, [Copy(ours[0]).replaced("x"), Copy(ours[1], kind="0201").deleted()], 2)
    place.run(DEPOSIT)
    assert results(place, 2) == ["", ""]
    place.run(FORGET)
    own = [line[1:2] + line[4:] for line in stand(place) if line[0] == ours[1]]
    assert own == [("0101", "x")]
    sound(place)


# --- erasing


@pytest.mark.requirement("R165", "R166")
def test_deleted_copies_and_those_of_withdrawn_members_are_erased_behind_the_night(
    held: Place, tmp_path: Path
) -> None:
    place = copied(held, tmp_path / "own")
    ours = member_ids(place, "kenpo-a")
    one = Copy(ours[0], kind="0101")
    tell(place, [one.deleted(), one._replace(kind="0201").replaced("changed")], 2)
    place.run(DEPOSIT)
    tell(place, [one._replace(content=("again",))], 3)
    place.run(DEPOSIT)
    with place.opened() as centre:
        (due,) = (item for item in plan(centre) if item.what == "copies")
        assert (due.whose, due.rows) == (code("kenpo-a"), 1)
        (gone,) = (m for m in members(centre, code("kenpo-a")) if m.member_id == int(ours[5]))
        withdraw(centre, gone)
        old = {file.path for file in centre.snapshot(REPLICA).files(insurer=code("kenpo-a"))}
        other = centre.snapshot(REPLICA).files(insurer=code("kenpo-b"))
    before = stand(place)
    place.run(FORGET)
    assert stand(place) == before
    left = rows(place)
    assert int(ours[5]) not in left["member_id"].to_list()
    of_one = left.filter(member_id=int(ours[0]), specific_information_code="0101")
    assert of_one["content_1"].to_list() == ["again"]  # the first, and its deletion, are gone
    with place.opened() as centre:
        ring = centre.keyring
        assert ring.partition_versions(REPLICA, f"insurer={code('kenpo-a')}") == [2]
        assert ring.partition_versions(REPLICA, f"insurer={code('kenpo-b')}") == [1]
        assert centre.snapshot(REPLICA).files(insurer=code("kenpo-b")) == other
        assert not any((centre.folder("tables", REPLICA) / path).exists() for path in old)
        (record,) = (row.record for row in centre.ledger.erasures() if row.what == "members")
        assert centre.signer.verify(said := json.loads(record))
        assert said["counts"][REPLICA] == {
            "3": {code("kenpo-a"): 3},  # one copy, and two of who was withdrawn
            "5": {code("kenpo-a"): 1},  # the deletion
        }
        assert ours[0] not in record and ours[5] not in record
        assert not [item for item in plan(centre) if item.what == "copies"]
        digest = state_digest(centre)
    place.run(FORGET)
    with place.opened() as centre:
        assert state_digest(centre) == digest
    sound(place)


def test_a_whole_insurers_copies_may_go(held: Place, tmp_path: Path) -> None:
    place = copied(held, tmp_path / "own")
    tell(place, [Copy(line[0], kind=line[1]).deleted() for line in stand(place)], 2)
    place.run(DEPOSIT)
    assert stand(place) == []
    with place.opened() as centre:
        history = centre.snapshot(HISTORY).files()
    place.run(FORGET)
    with place.opened() as centre:
        assert history == centre.snapshot(HISTORY).files()  # copies are no reason to write it anew
        assert centre.snapshot(REPLICA).files(insurer=code("kenpo-a")) == []
        assert centre.keyring.partition_versions(REPLICA, f"insurer={code('kenpo-a')}") == []
    tell(place, [Copy(member_ids(place, "kenpo-a")[0])], 3)
    place.run(DEPOSIT)
    assert len(stand(place)) == 1
    sound(place)


def test_merged_files_say_the_same(place: Place) -> None:
    ours = member_ids(place, "kenpo-a")
    for sequence in range(1, 10):
        tell(place, [Copy(one, last=f"20260{sequence}") for one in ours], sequence)
        place.run(DEPOSIT)
    tell(place, [Copy(ours[0], last="202601").deleted()], 10)
    place.run(DEPOSIT)
    before = stand(place)
    with place.opened() as centre:
        digest, files = state_digest(centre), len(centre.snapshot(REPLICA).files())
    place.run(COMPACT)
    with place.opened() as centre:
        assert len(centre.snapshot(REPLICA).files()) < files
        assert state_digest(centre) == digest
    assert stand(place) == before
    place.run(FORGET)
    assert stand(place) == before
    sound(place)


def test_what_went_from_a_partition_or_is_said_of_it_is_counted(
    held: Place, tmp_path: Path
) -> None:
    """Rows by insurer and file are the accepted lines, less those that a signed record has."""
    place = copied(held, tmp_path / "own")
    tell(place, [Copy(member_ids(place, "kenpo-a")[0]).deleted()], 2)
    place.run(DEPOSIT)
    place.run(FORGET)
    sound(place)
    with place.opened() as centre:
        with centre.ledger.begin() as transaction:
            transaction.execute(update(known.deletions).values(erased_by=99))
        assert [one.key for one in verify_ledger(centre)] == ["copies.verify_deletion"]
        with centre.ledger.begin() as transaction:
            transaction.execute(update(known.deletions).values(erased_by=None))
            gone = schema.erasures.c.what == "members"
            transaction.execute(delete(schema.erasures).where(gone))
        keys = [one.key for one in verify_ledger(centre)]
        assert sorted(keys) == ["verify.forgotten_missing", *["verify.replica_rows"] * 2]
