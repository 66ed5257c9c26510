"""Flow 2-(4), copies (副本): looked at by their insurer, in a package, and by nobody else."""

from __future__ import annotations

import re
import shutil
import subprocess
from datetime import timedelta
from pathlib import Path

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
    site,
    sound,
    stand,
    take,
    tell,
    told,
    with_copies,
)
from histories import member_ids
from independent_reader import read
from journey.stops import Stopped
from package_support import program

from koukan.cli import main
from koukan.engine.run import run_job
from koukan.engine.verify import verify_ledger
from koukan.errors import Exit, SecretError
from koukan.flows.copies import REPLICA
from koukan.ledger import copies as known
from koukan.reports.copies import needs
from koukan.reports.package_list import package_list

CONFIRM, ERASE, COMPACT = "confirm_delivery", "erase_expired", "compact_tables"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Six members of each of two health societies. Copy it."""
    return site(tmp_path_factory.mktemp("copies"))


@pytest.fixture(scope="module")
def held(made: Place, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """The same when both have copies of two kinds of each member. Copy it."""
    return with_copies(made, tmp_path_factory.mktemp("held") / "own")


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
    held: Place, tmp_path: Path
) -> None:
    place = copied(held, tmp_path / "own")
    ask(place, [""], sender="kyokai")
    ask(place, [""])

    def observe(event: str, **_: object) -> None:
        if event == "extracted":
            raise Stopped

    with place.opened() as centre:
        centre.observe = observe
        with pytest.raises(Stopped):
            run_job(centre, RETURN)
    text = (place.root / "site.toml").read_text("utf-8")
    place.write_site(re.sub('package_key = ".*"\n', "", text))
    assert place.run(RETURN).exit is Exit.HELD
    assert results(place, 1, "kyokai", "QA_CV") == ["R508"]
    with place.opened() as centre:
        assert needs(centre) == {"undelivered": 1, "uncollected_long": 0}
    sound(place)
    place.write_site(text)
    assert place.run(RETURN).exit is Exit.DONE
    assert len(packages(place)) == 1
    sound(place)


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
