"""Flow 2-(1): 機関別符号 are wanted, asked for with one approval, set, and told to nobody."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
from centres import Place
from codes_site import (
    ACQUIRE,
    ADMIN,
    BOTH,
    SATO,
    answer,
    approve,
    copied,
    events,
    give,
    send,
    site,
    wish,
)
from staff import key_file
from withdrawals import Member, members

from koukan.cli import main
from koukan.engine.verify import verify_ledger, verify_tables
from koukan.errors import Exit
from koukan.flows.codes import COLUMNS
from koukan.ledger import code_lists
from koukan.ledger import codes as asked
from koukan.samples.scenario import INSURERS

ITEMS = {  # of 機関別符号ファイル, by our names
    *("insurer", "member_id", "linked_members", "link_number", "linkage_code", "reissue"),
    *("request_record_number", "reception", "line_number", "result_detail_code", "result_message"),
    *("wanted_at", "code_received_at", "code_set_at", "code_status", "code_status_at"),
    *("registered_at", "updated_at"),
}
KENPO_A, CITY = INSURERS["kenpo-a"][0].code, INSURERS["mihon-shi"][0].code


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Thirteen persons: of two health societies, four of both, and of a city. Copy it."""
    return site(tmp_path_factory.mktemp("codes"))


@pytest.fixture(scope="module")
def sent(made: Place, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """The same when their request is sent. Copy it."""
    place = copied(made, tmp_path_factory.mktemp("sent") / "own")
    send(place)
    return place


def sound(place: Place) -> None:
    with place.opened() as centre:
        assert verify_ledger(centre) == verify_tables(centre) == []


def requests(place: Place) -> list[tuple[str, int, bool]]:
    """State, persons and whether it lies in the outbox, of each request."""
    with place.opened() as centre:
        return [
            (item.state, item.rows, (place.outbox("juki-net") / item.name).exists())
            for item in asked.all_requests(centre.ledger)
        ]


def findings(place: Place, form: str) -> dict[str, int]:
    """Codes of the newest file of a format, with the lines of each."""
    with place.opened() as centre:
        last = centre.ledger.receptions(formats=[form])[-1]
        assert last.outcome == "accepted"
        return {code: rows for _, code, rows in centre.ledger.findings(last.number)}


def of_insurer(place: Place, insurer: str) -> list[Member]:
    with place.opened() as centre:
        return members(centre, insurer)


def states(place: Place) -> dict[int, str]:
    """紐付番号 -> the last event."""
    return dict(events(place).group_by("link_number", maintain_order=True).last()[
        ["link_number", "event"]
    ].iter_rows())  # fmt: skip


@pytest.mark.requirement("R051", "R052", "R053", "R055", "R060", "R062")
def test_who_is_newly_linked_is_asked_for_once_a_person_has_approved_it(
    made: Place, tmp_path: Path
) -> None:
    place = copied(made, tmp_path / "own")
    ran = place.run(ACQUIRE)
    assert requests(place) == [("cut", 13, False)] and ran.exit == Exit.UNANSWERED
    rows = events(place)
    assert rows.group_by("event").len().sort("event").rows() == [("asked", 13), ("wanted", 13)]
    assert rows["link_number"].n_unique() == 13  # four are two insurers' members
    place.run(ACQUIRE)
    assert requests(place) == [("cut", 13, False)]  # nobody goes without a person
    keyring = place.root / "keyring"
    keyring.rename(place.root / "away")  # who operates the sending needs no key of the centre
    approve(place)
    (place.root / "away").rename(keyring)
    place.run(ACQUIRE)
    assert requests(place) == [("sent", 13, True)]
    (path,) = place.outbox("juki-net").glob("JC_*")
    lines = path.read_bytes().split(b"\r\n")
    assert len(lines) == 16 and {len(line) for line in lines[1:-2]} == {41}
    told = rows.filter(pl.col("event") == "asked")["request_record_number"]
    assert {int(line[12:28]) for line in lines[1:-2]} == set(told)


@pytest.mark.requirement("R056", "R061", "R065", "R066")
def test_codes_come_late_in_parts_and_twice_and_each_is_set_once(
    sent: Place, tmp_path: Path
) -> None:
    place = copied(sent, tmp_path / "own")
    assert 0 < answer(place, late=50) < 13
    place.run(ACQUIRE)
    assert requests(place) == [("erased", 13, False)]
    some = states(place)
    assert {"asked", "set"} <= set(some.values())
    given = answer(place, doubly=True)
    place.run(ACQUIRE)
    assert findings(place, "linkage_code_answer") == {
        "D502": given - list(some.values()).count("asked")
    }
    rows = events(place)
    done = rows.filter(pl.col("event") == "set")
    assert set(states(place).values()) <= {"set", "failed"}
    assert done["linkage_code"].n_unique() == done["link_number"].n_unique() == done.height
    with place.opened() as centre:
        answers = centre.ledger.receptions(formats=["linkage_code_answer"])
        assert all(item.original_erased for item in answers)
        plain = [code.encode() for code in done["linkage_code"].to_list()]
    for path in place.root.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert not any(code in content for code in plain), path
    before = done.sort("link_number")["linkage_code"].to_list()
    answer(place, wrongly=True)
    place.run(ACQUIRE)
    assert findings(place, "linkage_code_answer") == {"H211": 1, "H214": 2, "H215": 1}
    after = events(place).filter(pl.col("event") == "set").sort("link_number")
    assert after["linkage_code"].to_list() == before
    sound(place)


@pytest.mark.requirement("R050", "R059", "R063", "R064")
def test_insurers_ask_by_member_and_are_told_states_and_staff_look_them_up(
    sent: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = copied(sent, tmp_path / "own")
    own, (citizen,) = of_insurer(place, KENPO_A), of_insurer(place, CITY)
    numbers = dict(
        events(place).filter(pl.col("event") == "asked")[
            ["link_number", "request_record_number"]
        ].iter_rows()
    )  # fmt: skip
    given = [(f"{numbers[own[0].link]:016d}", "1", "N00000000001", "0000"),
             (f"{numbers[own[1].link]:016d}", "2", "", "1001"),
             (f"{numbers[citizen.link]:016d}", "1", "N00000000002", "0000")]  # fmt: skip
    give(place, given, 1)
    place.run(ACQUIRE)
    (told,) = sorted(place.outbox("kenpo-a").glob("CS_*"))[-1:]
    lines = [line.split(",") for line in told.read_text("cp932").splitlines()[1:-1]]
    assert {(line[1], line[2], line[4]) for line in lines} == {
        (f"{own[0].member_id:010d}", "3", ""),
        (f"{own[1].member_id:010d}", "4", "1001"),
    }
    asking = [f"{item.member_id:010d}" for item in own[:3]]
    wish(place, [*asking, "0000000000"])
    wish(place, [f"{citizen.member_id:010d}"], sender="nhi-aggregation")
    place.run(ACQUIRE)
    (result,) = place.outbox("kenpo-a").glob("QA_CQ*")
    codes = [line.split(",")[5] for line in result.read_text("cp932").splitlines()[1:-1]]
    assert codes == ["W431", "", "W432", "R504"]
    (result,) = place.outbox("nhi-aggregation").glob("QA_CQ*")
    assert "W431" in result.read_text("cp932")
    assert requests(place)[1:] == [("cut", 1, False)]  # who was refused is asked for anew
    where = ("--root", str(place.root), "--json")
    assert main(["codes", "status", *where]) == 0
    page = json.loads(capsys.readouterr().out)
    assert page["events"] == {"wanted": 14, "asked": 14, "set": 2, "failed": 1}
    assert page["failures"] == {"1001": 1}
    assert main(["codes", "status", "--root", str(place.root)]) == 0
    assert "住民票コードなし" in capsys.readouterr().out
    signing = ("--key", str(place.key), "--person-key", str(key_file(tmp_path, SATO)))
    for insurer, member, purpose, count in (
        (KENPO_A, own[0].member_id, "all", None),
        (CITY, citizen.member_id, "self_disclosure", 1),
    ):
        assert main(["codes", "show", insurer, f"{member:010d}", *where, *signing]) == 0
        said = capsys.readouterr().out
        found = json.loads(said)
        assert (found["state"], found["purpose"]) == ("set", purpose)
        assert count in (None, found["linked_members"]) and found["code_set_at"]
        assert "N0000000000" not in said
    assert {*found, *COLUMNS} >= ITEMS and len(ITEMS) == 18 and "my_number" not in COLUMNS


def test_what_nobody_answers_is_overdue_asked_again_and_given_up(
    sent: Place, tmp_path: Path
) -> None:
    place = copied(sent, tmp_path / "own")
    place.now += timedelta(days=8)
    assert place.run(ACQUIRE).exit == Exit.OVERDUE
    place.now += timedelta(days=15)
    place.run(ACQUIRE)
    assert [state for state, _, _ in requests(place)] == ["erased", "cut"]
    approve(place)
    place.run(ACQUIRE)
    old = events(place).filter(pl.col("request") == 1)
    place.now += timedelta(days=15)
    assert place.run(ACQUIRE).exit == Exit.DONE
    assert set(states(place).values()) == {"failed"}
    assert {state for state, _, _ in requests(place)} == {"erased"}
    number = old["request_record_number"][0]
    give(place, [(f"{number:016d}", "1", "N00000000001", "0000")], 1)
    place.run(ACQUIRE)  # the first answer counts, to whichever request
    assert sorted(states(place).values()).count("set") == 1


# --- reissued


@pytest.fixture(scope="module")
def answered(sent: Place, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """The same when everybody was answered. Copy it."""
    place = copied(sent, tmp_path_factory.mktemp("answered") / "own")
    answer(place)
    place.run(ACQUIRE)
    return place


@pytest.mark.requirement("R067", "R068", "R069", "R070", "R071", "R072")
def test_codes_are_reissued_by_a_list_that_staff_register_and_check(
    answered: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = copied(answered, tmp_path / "own")
    done = events(place).filter(pl.col("event") == "set")
    old = dict(done[["link_number", "linkage_code"]].iter_rows())
    chosen = [one for one in of_insurer(place, KENPO_A) if one.link in old][:2]
    file = tmp_path / "list.csv"
    lines = [f"{KENPO_A},{one.member_id:010d}\n" for one in chosen]
    file.write_text("".join([*lines, f"{KENPO_A},0000000000\n"]))
    where = ("--root", str(place.root), "--key", str(place.key))
    by = {one.name: str(key_file(tmp_path, one)) for one in (SATO, ADMIN, BOTH)}
    register = ["codes", "reissue", "register", str(file), *where, "--person-key"]
    assert main([*register, by["admin"]]) == 64  # has no right to that
    assert main([*register, by["sato"]]) == 0
    assert not any(line.encode() in path.read_bytes() for line in lines
                   for path in place.root.rglob("*") if path.is_file())  # fmt: skip
    place.run(ACQUIRE)
    assert requests(place)[1:] == [("cut", 2, False)]
    approve(place)
    place.run(ACQUIRE)
    (path,) = place.outbox("juki-net").glob("JC_*")
    assert {line[-1:] for line in path.read_bytes().split(b"\r\n")[1:-2]} == {b"1"}
    check = ["codes", "reissue", "check", "1", *where, "--person-key", by["sato"], "--json"]
    capsys.readouterr()
    assert main(check) == 0
    page = json.loads(capsys.readouterr().out)
    assert [one["end"] for one in page["lines"]] == ["asked", "asked", "no_member"]
    assert not page["whole"]
    first = next(code for link, code in old.items() if link == chosen[0].link)
    with place.opened() as centre:
        (_, again) = asked.all_requests(centre.ledger)
        numbers = events(place).filter(pl.col("request") == again.number)
    number = dict(numbers[["link_number", "request_record_number"]].iter_rows())[chosen[0].link]
    give(place, [(f"{number:016d}", "1", first, "0000")], 2)  # the old code comes back
    place.run(ACQUIRE)
    assert findings(place, "linkage_code_answer") == {"H214": 1}
    give(place, [(f"{value:016d}", "1", f"N{value:016d}", "0000")
                 for value in numbers["request_record_number"]], 3)  # fmt: skip
    place.run(ACQUIRE)
    assert main(check) == 0
    page = json.loads(capsys.readouterr().out)
    assert [one["end"] for one in page["lines"]] == ["set", "set", "no_member"] and page["whole"]
    assert main(["erase", "--due", "--plan", *where, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["due"]
    (due,) = [one for one in found if one["what"] == "code_list"]
    assert (due["what"], due["number"], due["rows"]) == ("code_list", 1, 3)
    place.run(ACQUIRE)
    assert main(check) == 64  # the list is gone
    capsys.readouterr()
    assert main(["erasure", "list", *where]) == 0
    said = capsys.readouterr().out
    assert "符号再発行対象者リスト" in said and "符号の要求" in said
    assert main(["codes", "reissue", "list", *where[:2]]) == 0
    assert "消去済み" in capsys.readouterr().out
    rows = events(place).filter(pl.col("event") == "set")
    assert {*old.values()} <= {*rows["linkage_code"]}  # old ones stay as history
    assert rows.height == len(old) + 2
    sound(place)


@pytest.mark.requirement("R195", "R197")
def test_the_list_leaves_on_an_approved_medium_by_two_persons(
    answered: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = copied(answered, tmp_path / "own")
    where = ("--root", str(place.root), "--key", str(place.key))
    by = {one.name: str(key_file(tmp_path, one)) for one in (SATO, ADMIN, BOTH)}
    target = tmp_path / "copy.csv"

    def extract(first: str, second: str) -> int:
        copying = ("--medium", "USB-1", "--reason", "符号危殆化", "--output", str(target))
        keys = ("--person-key", by[first], "--second-key", by[second])
        return main(["codes", "reissue", "extract", KENPO_A, *copying, *keys, *where])

    assert extract("admin", "sato") == 64  # nobody has approved the medium
    assert main(["media", "approve", "USB-1", "--person-key", by["sato"], *where]) == 64
    assert main(["media", "approve", "USB-1", "--person-key", by["admin"], *where]) == 0
    assert extract("both", "both") == extract("sato", "admin") == 64 and not target.exists()
    assert extract("admin", "sato") == 0
    done = {*events(place).filter(pl.col("event") == "set")["link_number"]}
    own = [one for one in of_insurer(place, KENPO_A) if one.link in done]
    wanted = sorted(f"{KENPO_A},{one.member_id:010d}" for one in own)
    assert target.read_text().splitlines() == wanted
    assert main(["media", "destroyed", "USB-1", "--person-key", by["admin"], *where]) == 0
    target.unlink()
    assert extract("admin", "sato") == 64  # it is destroyed
    capsys.readouterr()
    assert main(["media", "list", *where[:2], "--json"]) == 0
    (medium,) = json.loads(capsys.readouterr().out)["media"]
    (copy,) = medium["copies"]
    assert (copy["rows"], copy["permitted_by"], copy["second"]) == (len(own), "admin", "sato")
    assert medium["destroyed_by"] == "admin" and main(["media", "list", *where[:2]]) == 0
    sound(place)
    with place.opened() as centre:
        with centre.ledger.begin() as transaction:
            code_lists.set_medium(transaction, "USB-1", approved_by="sato")
        assert [item.key for item in verify_ledger(centre)] == ["media.verify_record"]
