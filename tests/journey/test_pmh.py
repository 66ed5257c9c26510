"""Flow 4: PMH asks by 個人番号 and gets PMH-IDs; what it sent is gone, what it got is erased."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
from centres import DAY, Place
from histories import lay_losses, member_ids
from journey.stops import Stopped, stopping
from juki_net_support import module
from pmh_support import (
    ISSUE,
    answer_lines,
    answers,
    ask,
    numbers,
    packages,
    request,
    site,
    states,
    take,
)
from statements import joined
from withdrawals import members, state, withdraw

from koukan.cli import main
from koukan.engine.centre import Centre
from koukan.engine.digest import state_digest
from koukan.engine.erasing import plan
from koukan.engine.issued import all_pmh_ids
from koukan.engine.people import people_of
from koukan.engine.run import run_job
from koukan.engine.verify import verify_ledger, verify_tables
from koukan.errors import Exit
from koukan.flows.pmh import ISSUES
from koukan.ledger import served
from koukan.reports import status
from koukan.samples.scenario import INSURERS

asked = served.PMH
pmh = module("pmh")
REGISTER = "register_members"
KENPO_A = INSURERS["kenpo-a"][0].code
LONG = os.environ.get("KOUKAN_TEST_LONG") == "1"
SHORT, WRONG = "12345678901", "123456789010"
(UNKNOWN,) = numbers([100])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Twelve persons of two insurers, of whom four are of both. Copy it; do not run it."""
    return site(tmp_path_factory.mktemp("pmh"))


@pytest.fixture
def place(made: Place, tmp_path: Path) -> Place:
    return copied(made, tmp_path / "own")


def copied(place: Place, folder: Path) -> Place:
    shutil.copytree(place.root.parent, folder, symlinks=True)
    return Place(folder / "root", folder / "keys" / "batch.key", place.now)


def issues(place: Place) -> pl.DataFrame:
    with place.opened() as centre:
        table = centre.snapshot(ISSUES)
        return table.read(table.files())


def reasons(place: Place) -> dict[str, int]:
    with place.opened() as centre:
        return asked.reason_totals(centre.ledger)


def sound(place: Place) -> None:
    with place.opened() as centre:
        assert verify_ledger(centre) == verify_tables(centre) == []


@pytest.mark.requirement("R147", "R148", "R149", "R150", "R153", "R154", "R156")
def test_each_person_has_one_pmh_id_and_each_number_comes_back_as_it_came(place: Place) -> None:
    known = numbers(range(12))
    fields = [*known, UNKNOWN, known[3], SHORT, "", WRONG, " 12345678901", "1234567890123456", "x"]
    ask(place, fields)
    place.run(ISSUE)
    found = answers(place)
    assert [number.decode() for number, _ in found] == fields
    given = {number: pmh_id for number, pmh_id in found if pmh_id}
    assert set(given) == {number.encode() for number in known}
    assert len(set(given.values())) == 12 and {len(item) for item in given.values()} == {16}
    assert reasons(place) == {"R701": 1, "R702": 6}
    rows = issues(place)
    assert rows.columns == ["link_number", "pmh_id", "group_number"]
    assert {f"{item:016d}".encode() for item in rows["pmh_id"]} == set(given.values())
    sound(place)


@pytest.mark.requirement("R015")
def test_pmh_asks_by_its_own_link_alone_and_for_nothing_beyond_the_layout(place: Place) -> None:
    """Not by another door, nor may another sender; a further item refuses the whole file."""
    text = (place.root / "site.toml").read_text("utf-8")
    place.write_site(text.replace('doors = ["pmh_link"]', 'doors = ["pmh_link", "server_link"]'))
    exchange = place.root / "exchange"
    (exchange / "pmh" / "inbox" / "server_link").mkdir(mode=0o700)
    (number,) = numbers([1])
    asked_by = ask(place, [number])
    asked_by.rename(exchange / "pmh" / "inbox" / "server_link" / asked_by.name)
    strangers = request([number]).replace(b",pmh,", b",kenpo-a,")
    (place.inbox("kenpo-a") / "PM_kenpo-a_000001.csv").write_bytes(strangers)
    place.run(ISSUE)
    for more in (",1980-01-01", ","):
        ask(place, [f"{number}{more}"])
        place.run(ISSUE)
    with place.opened() as centre:
        found = centre.ledger.receptions(formats=["pmh_request"])
        assert [(item.sender, item.code) for item in sorted(found, key=lambda one: one.number)] == [
            *sorted([("kenpo-a", "F203"), ("pmh", "F202")]),
            *[("pmh", "F110")] * 2,
        ]
    assert packages(place) == [] and issues(place).is_empty()
    ask(place, [number])
    place.run(ISSUE)
    assert len(answers(place)) == 1


@pytest.mark.requirement("R149", "R156")
def test_who_is_asked_for_again_has_the_same_pmh_id(place: Place) -> None:
    ask(place, numbers([1, 2, 2]))
    place.run(ISSUE)
    first = answers(place)
    assert first[1] == first[2]
    ask(place, numbers([3, 2, 1]), 2)
    place.run(ISSUE)
    again = answers(place)
    assert [again[2], again[1]] == first[:2] and again[0][1] not in {item[1] for item in first}
    assert issues(place).height == 3


def test_requests_of_one_run_are_answered_each_in_its_own_package(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    ask(place, numbers([1, 2]))
    ask(place, numbers([2, 5]), 2)
    ask(place, [], 3)
    place.run(ISSUE)
    one, two, three = (answers(place, at) for at in range(3))
    assert one[1] == two[0] and len({*one, *two}) == 3 and three == []
    where = ("--root", str(place.root))
    assert main(["package", "list", *where, "--json"]) == Exit.DONE
    found = json.loads(capsys.readouterr().out)["packages"]
    assert [(one["kind"], one["state"], one["rows"], one["given"]) for one in found] == [
        *[("pmh", "laid_out", 2, 2)] * 2,
        ("pmh", "laid_out", 0, 0),
    ]
    assert main(["package", "list", *where, "--insurer", KENPO_A]) == Exit.DONE
    assert "ありません" in capsys.readouterr().out
    assert main(["package", "list", *where]) == Exit.DONE
    assert "ＰＭＨへの回答" in capsys.readouterr().out
    sound(place)


@pytest.mark.requirement("R152")
def test_nothing_of_the_numbers_is_left_once_the_answer_is_durable(place: Place) -> None:
    ask(place, numbers(range(6)))
    with place.opened() as centre:
        run_job(centre, ISSUE)
        (item,) = centre.ledger.receptions(formats=["pmh_request"])
        assert item.original_erased and item.outcome == "accepted"
        assert not centre.folder("originals", f"{item.original}.sealed").exists()
        assert list(centre.folder("keyring", "random", "original").glob(f"{item.original}*")) == []
        assert list(centre.folder("stages").iterdir()) == []
    plain = [number.encode() for number in numbers(range(6))]
    for path in place.root.rglob("*"):
        if path.is_file() and not path.is_relative_to(place.root / "exchange" / "kenpo-a"):
            content = path.read_bytes()
            assert not any(number in content for number in plain), path
    sound(place)


def test_a_refused_request_is_destroyed_as_soon_as_its_sender_knows(place: Place) -> None:
    ask(place, [*numbers([1]), "１２３".encode("cp932")])
    place.run(ISSUE)
    with place.opened() as centre:
        run_job(centre, ISSUE)
        (item,) = centre.ledger.receptions(formats=["pmh_request"])
        assert (item.outcome, item.code, item.original_erased) == ("refused", "F172", True)
    assert packages(place) == [] and issues(place).is_empty()
    sound(place)


@pytest.mark.requirement("R155")
def test_who_is_not_pmh_or_has_no_key_gets_nothing(tmp_path: Path) -> None:
    place = site(tmp_path / "keyless", persons=2, key="")
    path = ask(place, numbers([0]))
    stranger = place.root / "exchange" / "kenpo-a" / "inbox" / "server_link"
    stranger.mkdir(exist_ok=True)
    content = path.read_bytes().replace(b",pmh,", b",kenpo-a,")
    (stranger / "PM_kenpo-a_000001.csv").write_bytes(content)
    place.run(ISSUE)
    with place.opened() as centre:
        found = centre.ledger.receptions(formats=["pmh_request"])
        assert {(item.sender, item.code) for item in found if item.sender == "pmh"} == {
            ("pmh", "F171")
        }
        assert all(item.code in ("F171", "F201", "F203") for item in found) and len(found) == 2
    assert issues(place).is_empty()


def test_an_answer_without_its_key_any_more_is_told_until_there_is_one(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    ask(place, numbers([1]))
    with place.opened() as centre, stopping(centre, "requests destroyed"):
        run_job(centre, ISSUE)
    before = (place.root / "site.toml").read_text("utf-8")
    place.write_site(re.sub(r'(system = "pmh"\n)package_key = .*\n', r"\1", before))
    place.run(ISSUE)
    with place.opened() as centre:
        page = status(centre)
        told = [(it["sender"], it["reason"]) for it in page["pmh"]["undelivered"]]
        assert told == [("pmh", "no_key_of_system")]
        assert page["verdict"] == {"state": "needs_you", "count": 1, "code": Exit.HELD}
    for language, word in (("ja", "送信者の受取鍵"), ("en", "no key of the sender")):
        options = ("--root", str(place.root), "--key", str(place.key), "--lang", language)
        assert main(("status", *options)) == Exit.DONE
        assert word in " ".join(capsys.readouterr().out.split())
    place.write_site(before)
    place.run(ISSUE)
    assert len(packages(place)) == 1
    sound(place)


def test_an_answer_is_erased_when_pmh_has_it_and_at_the_latest_after_its_days(place: Place) -> None:
    ask(place, numbers([1]))
    place.run(ISSUE)
    with place.opened() as centre:
        signer = str(centre.signer.ssh)
    own = ["--key", str(place.root.parent / "pmh.key"), "--signer", signer]
    (path,) = packages(place)
    written = ["--sender", "pmh", "--sequence", "1", "--into", str(place.root.parent)]
    assert main(["package", "receipt", str(path), *own, *written]) == 0
    assert main(["validate", str(place.root.parent / "PC_pmh_000001.csv")]) == 0
    take(place)
    ask(place, numbers([2]), 2)
    place.run(ISSUE)
    assert states(place) == [("delivered", True), ("laid_out", False)]
    place.now += timedelta(days=8)
    place.run(ISSUE)
    assert states(place) == [("delivered", True), ("expired", True)]
    assert packages(place) == []
    with place.opened() as centre:
        assert list(centre.folder("packages").iterdir()) == []
    sound(place)


def test_numbers_that_are_joined_later_give_one_pmh_id_and_parted_ones_their_own(
    place: Place,
) -> None:
    ask(place, numbers([1, 2, 3]))
    place.run(ISSUE)
    before = [pmh_id for _, pmh_id in answers(place)]
    links = {f"{row[1]:016d}".encode(): row[0] for row in issues(place).iter_rows()}
    with place.opened() as centre:
        one, other = sorted(
            (links[before[0]], links[before[1]]),
            key=lambda link: centre.link_issuer.counters(pl.Series([link]).to_numpy())[0],
        )
        kept = before[0] if links[before[0]] == one else before[1]
        ranks = centre.link_issuer.counters(pl.Series([other, one]).to_numpy()).tolist()
        row = joined(1, other, one, 90) | {"rank": ranks[0], "survivor_rank": ranks[1]}
        state(centre, row)
        shown = all_pmh_ids(centre, people_of(centre))
        assert dict(shown.iter_rows())[one] == int(kept) and shown.height == 2
    ask(place, numbers([2, 1, 3]), 2)
    place.run(ISSUE)
    assert [pmh_id for _, pmh_id in answers(place)] == [kept, kept, before[2]]
    assert issues(place).height == 3


def test_who_was_withdrawn_gets_none_and_leaves_the_issue_history(place: Place) -> None:
    """The insurers of all of the person's members must have said so; then it is forgotten."""
    ask(place, numbers([1, 2]))
    place.run(ISSUE)
    gone = dict(answers(place))[numbers([1])[0].encode()]
    with place.opened() as centre:
        link = int(issues(place).filter(pl.col("pmh_id") == int(gone))["link_number"].item())
        mine = [item for item in members(centre, KENPO_A) if item.link == link]
        withdraw(centre, *mine)
    ask(place, numbers([1, 2]), 2)
    place.run(ISSUE)
    assert [bool(pmh_id) for _, pmh_id in answers(place)] == [False, True]
    assert reasons(place) == {"R703": 1}
    place.run("forget_persons")
    assert issues(place).height == 1 and link not in issues(place)["link_number"]
    sound(place)
    ask(place, numbers([1]), 3)
    place.run(ISSUE)
    assert reasons(place) == {"R701": 1, "R703": 1}


def test_the_operator_sees_counts_by_reason_and_no_number(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--root", str(place.root), "--key", str(place.key))
    assert main(["pmh", "status", *options]) == 0
    ask(place, [*numbers([1]), UNKNOWN, SHORT])
    place.run(ISSUE)
    capsys.readouterr()
    assert main(["pmh", "status", "--json", *options]) == 0
    page = json.loads(capsys.readouterr().out)
    assert page["reasons"] == {"R701": 1, "R702": 1}
    assert [(one["rows"], one["given"], one["state"]) for one in page["answers"]] == [
        (3, 1, "laid_out")
    ]
    assert main(["pmh", "status", *options]) == 0
    said = capsys.readouterr().out
    assert "R701" in said and not any(number in said for number in numbers([1, 100]))


@pytest.mark.requirement("R147", "R149", "R153", "R154")
def test_drawn_requests_late_doubled_and_mistyped_are_answered_to_one_that_knows_no_koukan(
    place: Place,
) -> None:
    """PMH's own reader holds every answer against what it asked, and against all before."""
    own, inbox = pmh.Pmh(), place.root / "exchange" / "pmh" / "inbox" / "pmh_link"
    persons, strangers = numbers(range(12)), numbers(range(100, 104))
    for seed in range(3):
        fields = pmh.draw(seed, persons, strangers, 40)
        own.lay(inbox, fields, twice=seed == 1)
        place.run(ISSUE)
        if seed == 1:
            place.now += timedelta(days=2)  # the next one comes late, the answers lie there
    receipts = []
    with place.opened() as centre:
        answered = asked.answers(centre.ledger)
        for item in answered:
            sequence = centre.ledger.reception(item.reception).sequence
            told = own.take(
                sequence, b"".join(b"%s,%s\r\n" % one for one in answer_lines(place, item.name))
            )
            wanted = pmh.expected(own.asked[sequence], persons)
            assert item.given == sum(wanted) and set(told) <= set(persons)
            receipts.append((item.name, str(item.archive_sha256)))
    assert len(answered) == 3 and 8 < len(own.known) <= 12  # the doubled request is a duplicate
    name, content = pmh.receipt(receipts, 1)
    (inbox / name).write_bytes(content)
    place.run(ISSUE)
    assert states(place) == [("delivered", True)] * 3 and packages(place) == []
    sound(place)


@pytest.mark.requirement("R164")
def test_a_pmh_id_goes_some_years_after_its_persons_last_qualification(place: Place) -> None:
    """Not while any insurer still has the person, and whoever stays keeps the same."""
    sender, lost = "kenpo-a", [1, 5]  # the second is another insurer's, too
    ask(place, numbers([1, 5, 6]))
    place.run(ISSUE)
    before = dict(answers(place))
    ids = member_ids(place, sender)
    lay_losses(place, sender, 2, ids[:6], on=place.now)
    place.run(REGISTER)
    for years, left in ((4, 3), (5, 2)):
        place.now = DAY + timedelta(days=365 * years + 40)
        with place.opened() as centre:
            assert sum(item.what == "pmh_ids" for item in plan(centre)) == 3 - left
        place.run("retire_pmh_ids")
        assert issues(place).height == left, (years, lost)
        sound(place)
    with place.opened() as centre:
        digest_before = state_digest(centre)
    place.run("retire_pmh_ids")
    assert digest(place) == digest_before
    ask(place, numbers([1, 5, 6]), 2)
    place.run(ISSUE)
    again = dict(answers(place))
    first, *others = (number.encode() for number in numbers([1, 5, 6]))
    assert again[first] not in ("", before[first])
    assert [again[number] for number in others] == [before[number] for number in others]


# --- killed


def boundaries(place: Place) -> int:
    seen = 0

    def count(_event: str, **_: object) -> None:
        nonlocal seen
        seen += 1

    with place.opened() as centre:
        centre.observe = count
        run_job(centre, ISSUE)
    return seen


def stopped_at(place: Place, at: int) -> None:
    left = at

    def observe(_event: str, **_: object) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise Stopped

    with place.opened() as centre:
        centre.observe = observe
        with pytest.raises(Stopped):
            run_job(centre, ISSUE)


def digest(place: Place) -> str:
    with place.opened() as centre:
        return state_digest(centre)


def test_a_run_that_was_stopped_anywhere_comes_to_the_same(place: Place, tmp_path: Path) -> None:
    """At every boundary by KOUKAN_TEST_LONG, at a drawn share of them by default."""
    ask(place, numbers([9, 10]))
    place.run(ISSUE)
    take(place)
    ask(place, [*numbers([1, 2, 10]), UNKNOWN], 2)
    ask(place, numbers([2, 3]), 3)
    whole = copied(place, tmp_path / "whole")
    count = boundaries(whole)
    wanted = digest(whole)
    assert count > 20
    drawn = range(1, count + 1) if LONG else random.Random(4).sample(range(1, count + 1), 4)
    for at in drawn:
        own = copied(place, tmp_path / f"stopped-{at}")
        stopped_at(own, at)
        own.run(ISSUE)
        assert digest(own) == wanted, at
        own.run(ISSUE)
        assert digest(own) == wanted, at
        sound(own)


# --- what is altered is told


def test_what_contradicts_the_ledger_is_named(place: Place) -> None:
    ask(place, numbers([1, 2]))
    place.run(ISSUE)
    with place.opened() as centre:
        (sealed,) = centre.folder("packages").iterdir()
        content = sealed.read_bytes()
        sealed.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        (path,) = packages(place)
        path.write_bytes(path.read_bytes() + b"x")
        keys = {item.key for item in verify_ledger(centre)}
        assert {"served.verify_sealed", "served.verify_other"} <= keys
        sealed.write_bytes(content)
        with centre.ledger.begin() as transaction:
            asked.set_answer(transaction, answer_of(centre), given=1, fresh=1)
        keys = {item.key for item in verify_ledger(centre)}
        assert {"served.verify_rows", "pmh.verify_issued"} <= keys
        with centre.ledger.begin() as transaction:
            asked.set_answer(transaction, answer_of(centre), erased=True, state="delivered")
        keys = {item.key for item in verify_ledger(centre)}
        assert {"served.verify_record", "served.verify_left"} <= keys


def answer_of(centre: Centre) -> int:
    (item,) = asked.answers(centre.ledger)
    return item.reception
