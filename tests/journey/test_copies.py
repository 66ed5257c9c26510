"""Flow 2-(4), copies (副本): each insurer's own, which nobody else registers, sees or erases."""

from __future__ import annotations

import json
import shutil
import subprocess
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
from centres import Place
from copies_site import (
    DEPOSIT,
    RETURN,
    Copy,
    ask,
    code,
    copied,
    opened,
    packages,
    results,
    rows,
    site,
    take,
    tell,
    told,
)
from histories import member_ids
from independent_reader import read
from package_support import program
from sqlalchemy import delete, update
from withdrawals import FORGET, Member, members, state, withdraw

from koukan.cli import main
from koukan.engine import copies
from koukan.engine.centre import Centre
from koukan.engine.digest import state_digest
from koukan.engine.erasing import plan
from koukan.engine.verify import verify_ledger, verify_tables
from koukan.errors import Exit, SecretError
from koukan.flows.copies import REPLICA
from koukan.ledger import copies as known
from koukan.ledger import schema
from koukan.reports.package_list import package_list

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
    place = copied(made, tmp_path_factory.mktemp("held") / "own")
    for sender in ("kenpo-a", "kenpo-b"):
        lines = [
            Copy(member, (sender, kind, "57600"), kind=kind)
            for member in member_ids(place, sender)
            for kind in ("0101", "0201")
        ]
        tell(place, lines, sender=sender)
    place.run(DEPOSIT)
    return place


def renumber(centre: Centre, member: Member, successor: int) -> None:
    """The member goes on as another 被保険者枝番, by hand."""
    said = {"act": "renumbered", "insurer_code": member.insurer, "member_id": member.member_id}
    state(centre, {**said, "link_number": member.link, "successor": successor})


def sound(place: Place) -> None:
    with place.opened() as centre:
        assert verify_ledger(centre) == verify_tables(centre) == []


def stand(place: Place, sender: str = "kenpo-a") -> list[tuple[str, ...]]:
    """What stands in an insurer's partition, as `told` has it."""
    with place.opened() as centre:
        found = pl.concat(list(copies.standing(centre, code(sender))))
    columns = ["member_id", "specific_information_code", "period_start_month", "period_end_month"]
    content = [f"content_{number}" for number in range(1, 7)]
    lines = found.with_columns(pl.col("member_id").cast(pl.String).str.zfill(10))
    return [tuple(filter(None, line)) for line in lines.select(*columns, *content).iter_rows()]


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
    place.run(FORGET)
    with place.opened() as centre:
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


# --- looked at by their owner


@pytest.mark.requirement("R098", "R099")
def test_an_insurer_gets_its_own_copies_and_nobody_elses(held: Place, tmp_path: Path) -> None:
    """Both share three persons; each opens its own package with its own key alone."""
    program("age", "age")
    place = copied(held, tmp_path / "own")
    ours, theirs = member_ids(place, "kenpo-a"), member_ids(place, "kenpo-b")
    ask(place, [""])
    ask(place, [ours[2], ours[4], theirs[0], ours[2]], 2)
    ask(place, ["", theirs[0]], sender="kenpo-b")
    ran = place.run(RETURN)
    assert ran.exit is Exit.REJECTS
    assert results(place, 1, prefix="QA_CV") == [""]
    assert results(place, 2, prefix="QA_CV") == ["", "", "R504", "D301"]
    whole, some = opened(place)
    (other,) = opened(place, "kenpo-b")
    assert whole.insurer == some.insurer == code("kenpo-a") and other.insurer == code("kenpo-b")
    assert told(whole) == stand(place) and len(told(whole)) == 12
    assert told(some) == [line for line in stand(place) if line[0] in (ours[2], ours[4])]
    assert told(other) == stand(place, "kenpo-b")
    for found, name in ((whole, "kenpo-a"), (some, "kenpo-a"), (other, "kenpo-b")):
        assert {line[4] for line in told(found)} == {name}
        assert found.counts["rows"] == found.lines == len(told(found))
    with place.opened() as centre:
        listed = [one for one in package_list(centre) if one["kind"] == "copies"]
        assert {(one["state"], one["key"]) for one in listed} == {("laid_out", "current")}
        assert list(centre.folder("packages").iterdir()) == []  # nothing that we could open
        assert list(centre.folder("keyring", "random", "package").iterdir()) == []
    sound(place)
    take(place)
    place.run(CONFIRM)
    assert packages(place) == [] and len(packages(place, "kenpo-b")) == 1
    with place.opened() as centre:
        states = [(item.state, item.erased) for item in known.all_packages(centre.ledger)]
        assert states == [("delivered", True), ("delivered", True), ("laid_out", False)]
    place.now += timedelta(days=8)
    assert place.run(RETURN).exit is Exit.OVERDUE
    place.now += timedelta(days=7)
    place.run(ERASE)
    with place.opened() as centre:
        assert known.all_packages(centre.ledger)[-1].state == "expired"
    assert packages(place, "kenpo-b") == []
    sound(place)


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


def test_no_command_reads_copies_and_no_history_right_opens_them(
    held: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = copied(held, tmp_path / "own")
    member = member_ids(place, "kenpo-a")[0]
    where = ("--root", str(place.root), "--key", str(place.key))
    commands = (
        ["history", code("kenpo-a"), member],
        ["trace", "3", "2"],
        ["status"],
        ["show", "3"],
        ["package", "list"],
    )
    for command in commands:
        main([*command, *where])
    said = capsys.readouterr()
    assert "kenpo-a,0101" not in said.out and "57600" not in said.out + said.err
    shutil.rmtree(place.root / "keyring" / "purposes" / "copy")
    with place.opened() as centre:
        for name in (name for name in centre.tables if name != REPLICA):
            snapshot = centre.snapshot(name)
            assert all(snapshot.scan(file).collect().height for file in snapshot.files())
        own = centre.snapshot(REPLICA)
        with pytest.raises(SecretError):
            own.read(own.files())


def test_an_insurer_without_a_key_is_told_so_and_one_that_lost_it_waits(
    made: Place, tmp_path: Path
) -> None:
    place = copied(made, tmp_path / "own")
    ask(place, [""], sender="kyokai")
    place.run(RETURN)
    assert results(place, 1, "kyokai", "QA_CV") == ["R508"]
    sound(place)


# --- what is altered is told


def test_what_contradicts_the_ledger_is_named(held: Place, tmp_path: Path) -> None:
    place = copied(held, tmp_path / "own")
    ask(place, [""])
    place.run(RETURN)
    with place.opened() as centre:
        (path,) = packages(place)
        path.write_bytes(path.read_bytes() + b"x")
        assert [item.key for item in verify_ledger(centre)] == ["copies.verify_other"]
        path.write_bytes(path.read_bytes()[:-1])
        (item,) = known.all_packages(centre.ledger)
        with centre.ledger.begin() as transaction:
            known.set_package(transaction, item, erased=True, state="delivered")
        keys = {one.key for one in verify_ledger(centre)}
        assert keys == {"copies.verify_record", "copies.verify_left"}
        with centre.ledger.begin() as transaction:
            known.set_package(transaction, item, erased=False, state="built")
        assert [one.key for one in verify_ledger(centre)] == ["copies.verify_sealed"]


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


@pytest.mark.requirement("R010", "R099")
def test_who_speaks_for_two_insurers_gets_a_package_of_each_for_its_own_key(
    made: Place, tmp_path: Path
) -> None:
    place = copied(made, tmp_path / "own")
    both = (code("kenpo-a"), code("kenpo-b"))
    text = (place.root / "site.toml").read_text("utf-8")
    mine = f'insurers = ["{both[0]}"]'
    assert text.count(mine) == 1
    place.write_site(text.replace(mine, f'insurers = ["{both[0]}", "{both[1]}"]'))
    ours, theirs = (member_ids(place, name)[0] for name in ("kenpo-a", "kenpo-b"))
    path = tell(place, [Copy(ours, ("a",)), Copy(theirs, ("b",))])
    path.write_bytes(second_line_of(path.read_bytes(), both[1]))
    path = ask(place, ["", "", theirs])
    path.write_bytes(second_line_of(path.read_bytes(), both[1]))
    place.run(DEPOSIT)
    place.run(RETURN)
    assert results(place, 1) == ["", ""]
    assert results(place, 1, prefix="QA_CV") == ["", "", "R504"]  # of the one, asked as the other
    signers = place.key.parent / "signers"
    with place.opened() as centre:
        signers.write_text(f"koukan {centre.signer.ssh}\n", encoding="ascii")
    for name, found, content in zip(("kenpo-a", "kenpo-b"), packages(place), "ab", strict=True):
        opened_one = read(found, place.key.parent / f"{name}.txt", signers)
        assert opened_one.insurer == code(name)
        assert [line[4:] for line in told(opened_one)] == [(content,)]
    with pytest.raises(subprocess.CalledProcessError):
        read(packages(place)[0], place.key.parent / "kenpo-b.txt", signers)
    sound(place)


def second_line_of(content: bytes, insurer: str) -> bytes:
    """The same file; its second data line is of another insurer."""
    lines = content.split(b"\r\n")
    fields = lines[2].split(b",")
    fields[2] = insurer.encode()
    return b"\r\n".join([*lines[:2], b",".join(fields), *lines[3:]])


def test_many_copies_are_judged_and_given_share_by_share(made: Place, tmp_path: Path) -> None:
    """With shares of a member or two, all comes to the same as in one piece."""
    ours = member_ids(made, "kenpo-a")
    lines = [
        Copy(one, (f"{one}-{n}",), kind="0101", last=f"20260{n}") for one in ours for n in (1, 2)
    ]
    found = []
    for limit in ("", "piece_rows = 3"):
        place = copied(made, tmp_path / (limit or "whole"))
        with pytest.MonkeyPatch.context() as patch:
            if limit:
                patch.setattr("koukan.engine.copies.SMALLEST", 1)
                patch.setattr("koukan.engine.groups.CHUNK", 200)
                patch.setattr("koukan.codecs.gate.CUT", 200, raising=False)
                text = (place.root / "site.toml").read_text("utf-8")
                place.write_site(text.replace("[limits]", f"[limits]\n{limit}"))
            tell(place, lines)
            place.run(DEPOSIT)
            tell(place, [lines[0], *(one.replaced("x") for one in lines[4:])], 2)
            ask(place, [""])
            ask(place, ours[:4], 2)
            place.run(DEPOSIT)
            place.run(RETURN)
            given = [told(one) for one in opened(place)]
            found.append((results(place, 2), stand(place), given))
            sound(place)
    assert found[0] == found[1]
    assert found[0][0] == ["R506", *[""] * 8] and len(found[0][2][0]) == 12
