"""Flow 5: logs of OQS are split by payer; each welfare office gets its own lines and no others."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from centres import Place
from journey.stops import Stopped
from package_support import program
from partner_host import partner_host
from staff import Staff, employ, key_file
from usage_support import (
    CONFIRM,
    ERASE,
    KNOWN,
    OFFICES,
    PROVIDE,
    STRANGERS,
    door,
    held,
    opened,
    oqs,
    packages,
    signers,
    site,
    site_text,
    states,
    take,
)

from koukan.cli import main
from koukan.engine.centre import open_centre
from koukan.engine.digest import state_digest
from koukan.engine.erasing import plan
from koukan.engine.initialise import initialise
from koukan.engine.run import run_job
from koukan.engine.verify import verify_ledger
from koukan.errors import Exit
from koukan.ledger import usage as known
from koukan.reports.package_list import package_list

LONG = os.environ.get("KOUKAN_TEST_LONG") == "1"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Three offices and OQS, which has a log. Copy it; do not run it."""
    program("age", "age")
    place = site(tmp_path_factory.mktemp("usage"))
    oqs.lay(door(place), oqs.draw(1, KNOWN, STRANGERS, lines=120))
    return place


@pytest.fixture
def place(made: Place, tmp_path: Path) -> Place:
    return copied(made, tmp_path / "own")


def copied(place: Place, folder: Path) -> Place:
    shutil.copytree(place.root.parent, folder, symlinks=True)
    return Place(folder / "root", folder / "keys" / "batch.key", place.now)


def sound(place: Place) -> None:
    with place.opened() as centre:
        assert verify_ledger(centre) == []


def options(place: Place) -> tuple[str, ...]:
    return ("--root", str(place.root), "--key", str(place.key))


def counts(place: Place, reception: int = 1) -> tuple[int, ...]:
    with place.opened() as centre:
        (item,) = centre.ledger.counts(reception)
        return item.received, item.accepted, item.rejected, item.duplicate, item.held


@pytest.mark.requirement("R158", "R159", "R188")
@pytest.mark.parametrize("seed", range(20 if LONG else 2))
def test_each_office_has_its_own_lines_and_nobody_elses(
    seed: int, made: Place, tmp_path: Path
) -> None:
    """A drawn log, split by one that knows nothing of koukan, read by one that knows nothing of it.

    Once in one chunk and lot, once in many: with lots of a line, each office is read alone.
    """
    place = copied(made, tmp_path / "own")
    log = oqs.draw(seed, KNOWN, STRANGERS, lines=400)
    oqs.lay(door(place), log)
    with pytest.MonkeyPatch.context() as patch:
        if seed % 2:
            patch.setattr("koukan.engine.steps.allot.LOT", 1)
            patch.setattr("koukan.engine.groups.CHUNK", 2_000)
            patch.setattr("koukan.codecs.gate.CUT", 2_000, raising=False)
        ran = place.run(PROVIDE)
    assert ran.exit is Exit.HELD  # lines of unknown offices
    wanted = oqs.expected(log)
    for office, (code, payers) in OFFICES.items():
        (found,) = opened(place, office)
        mine = [line for line, kind in log.lines if kind == "right" and line.payer in payers]
        lines = oqs.lines_of([found.content])
        assert lines == mine and found.insurer == code
        assert {line.payer for line in lines} <= set(payers)
        assert found.counts["rows"] == found.lines == len(mine)
    with place.opened() as centre:
        listed = {one["insurer"]: one for one in package_list(centre)}
        lying = ("usage", "laid_out", "current")
        assert {(one["kind"], one["state"], one["key"]) for one in listed.values()} == {lying}
        assert {code for code, _ in OFFICES.values()} == listed.keys()
    unknown = sum(wanted.unknown.values())
    accepted = sum(map(len, wanted.by_payer.values()))
    assert counts(place) == (400, accepted, wanted.wrong, wanted.twice, unknown)
    assert held(place) == [(unknown, 2, "held")]
    sound(place)
    with place.opened() as centre:  # the log itself is gone
        (item,) = centre.ledger.receptions(formats=["usage_log"])
        assert item.original_erased and item.outcome == "accepted"
        before = state_digest(centre)
    place.run(PROVIDE)
    with place.opened() as centre:
        assert state_digest(centre) == before


@pytest.mark.requirement("R157")
def test_we_fetch_the_log_from_the_host_of_oqs(place: Place, tmp_path: Path) -> None:
    (laid,) = door(place).iterdir()
    with partner_host(tmp_path / "host") as host:
        text = (place.root / "site.toml").read_text("utf-8")
        line = 'system = "oqs"'
        place.write_site(text.replace(line, f"{line}\n{host.toml(markers=True)}"))
        content = laid.read_bytes()
        laid.unlink()
        host.put(laid.name, content)
        told = f"{hashlib.sha256(content).hexdigest()} {len(content)} {content.count(10)}\n"
        host.put(f"{laid.name}.done", told.encode())
        centre = open_centre(place.root, place.key, clock=lambda: place.now, sftp_key=host.key)
        assert run_job(centre, "exchange_partners").exit is Exit.DONE
        run_job(centre, PROVIDE)
        centre.close()
        assert list(host.for_us.iterdir()) == []
    assert counts(place)[0] == 120


def test_a_later_version_replaces_a_log_whole(place: Place) -> None:
    """Who had lines of the first and has none of the second gets a package that says so."""
    place.run(PROVIDE)
    first = {office: oqs.lines_of([opened(place, office)[0].content]) for office in OFFICES}
    take(place, "office-a")
    only_c = oqs.draw(2, OFFICES["office-c"][1], (), lines=30, version=2)
    oqs.lay(door(place), only_c, sequence=2)
    place.run(PROVIDE)
    last = [f"{office} {state}" for office, state, _ in states(place)]
    assert last[:3] == ["office-a delivered", "office-b superseded", "office-c superseded"]
    assert held(place)[0][2] == "superseded"
    for office in OFFICES:
        (found,) = opened(place, office)
        lines = oqs.lines_of([found.content])
        assert (len(lines) > 0) == (office == "office-c") and lines != first[office]
        assert found.content.split(b",")[4] == b"02"
    again = oqs.draw(3, KNOWN, (), lines=5, version=2)
    oqs.lay(door(place), again, sequence=3)
    older = (door(place) / "UL_oqs_000003.csv").read_bytes()
    (door(place) / "UL_oqs_000004.csv").write_bytes(
        older.replace(b",oqs,000003,", b",oqs,000004,").replace(b",02\r\n", b",01\r\n", 1)
    )
    (door(place) / "UL_oqs_000005.csv").write_bytes(
        oqs.content(only_c, sequence=2)  # the same bytes as before, whatever its name
    )
    place.run(PROVIDE)
    with place.opened() as centre:
        found = [(item.outcome, item.code) for item in centre.ledger.receptions()]
    assert found[2:4] == [("refused", "F175"), ("refused", "F175")] and found[4][0] == "duplicate"
    sound(place)


def test_what_an_office_has_is_erased_and_the_rest_after_its_days(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    place.run(PROVIDE)
    take(place, "office-a")
    path = packages(place, "office-b")[0]
    public = signers(place).read_text("ascii").removeprefix("koukan ").strip()
    receipt = ["package", "receipt", str(path), "--sender", "office-b", "--sequence", "1"]
    inbox = place.root / "exchange" / "office-b" / "inbox" / "dedicated_terminal"
    own = ["--key", str(place.key.parent / "office-b.txt"), "--signer", public]
    assert main([*receipt, *own, "--into", str(inbox)]) == 0
    place.run(CONFIRM)
    assert states(place) == [
        ("office-a", "delivered", True),
        ("office-b", "delivered", True),
        ("office-c", "laid_out", False),
    ]
    assert packages(place, "office-a") == packages(place, "office-b") == []
    sound(place)
    place.now += timedelta(days=15)
    with place.opened() as centre:
        assert plan(centre) == []
        assert run_job(centre, PROVIDE).exit is Exit.OVERDUE
    place.now += timedelta(days=46)
    with place.opened() as centre:
        assert {item.what for item in plan(centre)} >= {"packages", "held"}
    place.run(ERASE)
    assert states(place)[2] == ("office-c", "expired", True)
    with place.opened() as centre:
        assert plan(centre) == []
        assert list(centre.folder("packages").iterdir()) == []
        assert list(centre.folder("keyring", "random", "package").iterdir()) == []
    assert held(place)[0][2] == "expired"
    sound(place)
    capsys.readouterr()
    assert main(["erasure", "list", "--json", *options(place)]) == 0
    kinds = {item["what"] for item in json.loads(capsys.readouterr().out)["erasures"]}
    assert {"usage", "held"} <= kinds


def test_held_lines_wait_for_an_operator_and_go_to_the_office_that_is_named(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    """The payer numbers are shown to who signs for them alone; nothing else tells them."""
    place.run(PROVIDE)
    rows = held(place)[0][0]
    assert main(["usage", "release", "1", "--reason", "x", *options(place)]) == Exit.USAGE
    sato, suzuki = Staff("sato", ("review",)), Staff("suzuki", ("send",))
    employ(place.root, sato, suzuki)
    folder = place.key.parent
    capsys.readouterr()
    for command in (["usage", "status"], ["usage", "held"], ["status"], ["show", "1"]):
        main([*command, *options(place)[: 2 if command[0] != "show" else 4]])
    told = capsys.readouterr()
    assert "H205" in told.out + told.err or "保留" in told.out
    assert not any(payer in told.out + told.err for payer in STRANGERS)
    look = ["usage", "held", "--payers", "1", "--person-key"]
    assert main([*look, str(key_file(folder, suzuki)), *options(place)]) == Exit.USAGE
    assert not any(payer in capsys.readouterr().out for payer in STRANGERS)
    assert main([*look, str(key_file(folder, sato)), "--json", *options(place)]) == 0
    found = json.loads(capsys.readouterr().out)["payers"]
    assert [one["payer"] for one in found] == sorted(STRANGERS)
    assert sum(one["rows"] for one in found) == rows

    place.write_site(site_text(folder, given={"office-c": (STRANGERS[0],)}))
    initialise(place.root, place.key)
    place.run(PROVIDE)
    assert len(packages(place, "office-c")) == 1  # nobody has let them go
    assert main(["usage", "release", "1", "--reason", "named", *options(place)]) == 0
    place.run(PROVIDE)
    of_c = {*OFFICES["office-c"][1], STRANGERS[0]}
    first, second = opened(place, "office-c")
    assert {line.payer for line in oqs.lines_of([second.content])} == {STRANGERS[0]}
    assert {line.payer for line in oqs.lines_of([first.content, second.content])} <= of_c
    assert held(place) == [(rows, 2, "released"), (rows - second.lines, 1, "held")]
    sound(place)
    assert main(["usage", "refuse", "1", "--reason", "nobody's", *options(place)]) == 0
    assert held(place)[1][2] == "refused"
    assert main(["usage", "refuse", "1", "--reason", "again", *options(place)]) == Exit.USAGE
    sound(place)


@pytest.mark.requirement("R160")
def test_an_office_joins_its_lines_with_its_own_tickets_without_a_site(
    place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """From sample log and sample registrations, through the office's own key."""
    (door(place) / "UL_oqs_000001.csv").unlink()
    sample = ["--root", str(place.root), "--rows", "60", "--seed", "5", "--output"]
    assert main(["sample", "usage_log", *sample, str(door(place))]) == 0
    tickets = ["sample", "member_registration", "--sender", "office-a", "--whole-record", *sample]
    assert main([*tickets, str(tmp_path)]) == 0
    place.run(PROVIDE)
    public = signers(place).read_text("ascii").removeprefix("koukan ").strip()
    (path,) = packages(place, "office-a")
    into = tmp_path / "opened"
    own = ["--key", str(place.key.parent / "office-a.txt"), "--signer", public]
    assert main(["package", "open", str(path), *own, "--into", str(into)]) == 0
    capsys.readouterr()
    registered = str(next(tmp_path.glob("MR_*.csv")))
    join = ["usage", "join", str(into), "--tickets", registered]
    assert main([*join, "--into", str(tmp_path / "joined"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["lines"] > told["with_ticket"] > 0 == told["outdated"]
    written = (tmp_path / "joined" / "usage.csv").read_text("utf-8-sig").splitlines()
    assert len(written) == 1 + told["lines"] and "公費負担者番号" in written[0]
    assert (tmp_path / "joined").stat().st_mode & 0o777 == 0o700
    assert main([*join, "--into", str(tmp_path / "joined")]) == Exit.USAGE
    assert main([*join, registered, "--into", str(tmp_path / "other")]) == Exit.USAGE


def test_an_office_with_a_new_key_finds_the_same_archive_and_one_without_waits(
    place: Place,
) -> None:
    text = (place.root / "site.toml").read_text("utf-8")
    keys = {office: (place.key.parent / f"{office}.pub").read_text() for office in OFFICES}
    place.write_site(text.replace(f'package_key = "{keys["office-b"]}"\n', ""))
    assert place.run(PROVIDE).exit is Exit.HELD
    assert [state for _, state, _ in states(place)] == ["laid_out", "built", "laid_out"]
    (before,) = opened(place, "office-a")
    other = place.key.parent / "office-c.txt"
    changed = text.replace(keys["office-a"], keys["office-c"])
    place.write_site(changed)
    place.run(PROVIDE)
    assert [state for _, state, _ in states(place)] == ["laid_out"] * 3
    (place.key.parent / "office-a.txt").write_bytes(other.read_bytes())
    (after,) = opened(place, "office-a")
    assert after.archive_sha256 == before.archive_sha256


# --- killed


def walked(place: Place, job: str, at: int | None) -> int:
    """Run a job, stopped at a boundary if one is named; how many boundaries it came to."""
    seen = 0

    def observe(_event: str, **_: object) -> None:
        nonlocal seen
        seen += 1
        if seen == at:
            raise Stopped

    with place.opened() as centre:
        centre.observe = observe
        if at is None:
            run_job(centre, job)
        else:
            with pytest.raises(Stopped):
                run_job(centre, job)
    return seen


def test_a_run_that_was_stopped_anywhere_comes_to_the_same(place: Place, tmp_path: Path) -> None:
    """With a version to replace, held lines to release and a package that was taken."""
    place.run(PROVIDE)
    take(place, "office-a")
    oqs.lay(door(place), oqs.draw(4, KNOWN, STRANGERS, lines=60, number=2), sequence=2)
    oqs.lay(door(place), oqs.draw(5, KNOWN[:2], STRANGERS, lines=60, version=2), sequence=3)
    place.run(PROVIDE)
    oqs.lay(
        door(place), oqs.draw(6, KNOWN[1:], STRANGERS, lines=60, number=2, version=2), sequence=4
    )
    place.write_site(site_text(place.key.parent, given={"office-c": (STRANGERS[0],)}))
    with place.opened() as centre:
        for item in known.all_held(centre.ledger, states=["held"]):
            with centre.ledger.begin() as transaction:
                known.set_held(transaction, item, state="wished")
    take(place, "office-c")
    whole = copied(place, tmp_path / "whole")
    count = walked(whole, PROVIDE, None)
    assert count > 30
    with whole.opened() as centre:
        wanted = state_digest(centre)
    drawn = range(1, count + 1) if LONG else random.Random(8).sample(range(1, count + 1), 1)
    for at in drawn:
        own = copied(place, tmp_path / f"stopped-{at}")
        walked(own, PROVIDE, at)
        for _ in range(2):
            own.run(PROVIDE)
            with own.opened() as centre:
                assert state_digest(centre) == wanted, at
        sound(own)


# --- what is altered is told


def test_what_contradicts_the_ledger_is_named(place: Place) -> None:
    place.run(PROVIDE)
    with place.opened() as centre:
        sealed = sorted(centre.folder("packages").iterdir())
        content = sealed[0].read_bytes()
        sealed[0].write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        path = packages(place, "office-b")[0]
        path.write_bytes(path.read_bytes() + b"x")
        keys = {item.key for item in verify_ledger(centre)}
        assert {"usage.verify_sealed", "usage.verify_other"} <= keys
        sealed[0].write_bytes(content)
        path.write_bytes(path.read_bytes()[:-1])
        assert verify_ledger(centre) == []
        (first, *_) = known.all_packages(centre.ledger)
        with centre.ledger.begin() as transaction:
            known.set_package(transaction, first, erased=True, state="delivered")
        keys = {item.key for item in verify_ledger(centre)}
        assert {"usage.verify_record", "usage.verify_left"} <= keys
        with centre.ledger.begin() as transaction:
            known.set_package(transaction, first, erased=False, state="laid_out")
            (lines,) = known.all_held(centre.ledger)
            known.set_held(transaction, lines, state="released", erased=False)
        assert "usage.verify_lines" in {item.key for item in verify_ledger(centre)}
