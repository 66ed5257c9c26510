"""Flow 2-(5): what becomes of requests, answers and records; who may ask; kills and alterations."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from centres import Place
from codes_site import copied
from disclosure_site import (
    AT,
    DISCLOSE,
    EVERYBODY,
    RETIRE,
    answered,
    answers,
    codes,
    everybodys_cards,
    inbox,
    packages,
    portal,
    reasons,
    records,
    site,
    told_by,
)
from journey import checks
from journey.killing import drawn, killed, undisturbed
from journey.stops import stopping

from koukan.cli import main
from koukan.engine.digest import state_digest
from koukan.engine.erasing import plan
from koukan.engine.run import run_job
from koukan.engine.trace import trace
from koukan.engine.verify import verify_ledger
from koukan.errors import EnvironmentRefused, Exit
from koukan.flows.codes import CODES
from koukan.flows.disclosure import RECORDS

COMPACT = "compact_tables"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Copy it; do not run it."""
    return site(tmp_path_factory.mktemp("disclosure"))


@pytest.fixture
def place(made: Place, tmp_path: Path) -> Place:
    return copied(made, tmp_path / "own")


def sound(place: Place) -> None:
    with place.opened() as centre:
        assert checks.problems(centre) == []


def asked_of(place: Place, own: Any, people: list[int]) -> list[Any]:
    known = codes(place)
    return [own.ask(known[person], AT) for person in people]


def state_of(place: Place) -> list[tuple[str, bool]]:
    return [(item.state, item.erased) for item in answers(place)]


# --- requests and answers go


@pytest.mark.requirement("R066")
def test_nothing_of_the_codes_asked_by_is_left_once_the_answer_is_durable(place: Place) -> None:
    own = portal.Portal()
    own.lay(inbox(place), asked_of(place, own, EVERYBODY))
    place.run(DISCLOSE)
    with place.opened() as centre:
        (item,) = centre.ledger.receptions(formats=["self_disclosure_request"])
        assert (item.original_erased, item.outcome) == (True, "accepted")
        assert not centre.folder("originals", f"{item.original}.sealed").exists()
        assert list(centre.folder("keyring", "random", "original").glob(f"{item.original}*")) == []
        assert list(centre.folder("stages").iterdir()) == []
    without_codes(place, [code.encode() for code in codes(place).values()])
    sound(place)


def without_codes(place: Place, plain: list[bytes]) -> None:
    """No code is below the root but in inboxes, where it came."""
    for path in place.root.rglob("*"):
        if path.is_file() and "inbox" not in path.relative_to(place.root).parts:
            content = path.read_bytes()
            assert not any(code in content for code in plain), path


@pytest.mark.requirement("R066")
@pytest.mark.parametrize("event", ["sealed", "validated", "answers sealed", "written"])
def test_a_run_that_stops_in_the_middle_leaves_no_code_in_plain(place: Place, event: str) -> None:
    text = (place.root / "site.toml").read_text("utf-8")
    place.write_site(text.replace("[limits]", "[limits]\nstage_bytes = 0"))
    plain = [code.encode() for code in codes(place).values()]
    own = portal.Portal()
    own.lay(inbox(place), asked_of(place, own, EVERYBODY))
    with place.opened() as centre, stopping(centre, event):
        run_job(centre, DISCLOSE)
    without_codes(place, plain)
    place.run(DISCLOSE)
    without_codes(place, plain)
    sound(place)


@pytest.mark.requirement("R066")
def test_a_refused_file_of_requests_is_destroyed_as_soon_as_its_sender_knows(place: Place) -> None:
    own = portal.Portal()
    name, content = own.request(asked_of(place, own, [0, 1]))
    (inbox(place) / name).write_bytes(content.replace(b"SD202604", b"SD202605"))
    place.run(DISCLOSE)
    place.run(DISCLOSE)
    with place.opened() as centre:
        (item,) = centre.ledger.receptions(formats=["self_disclosure_request"])
        assert (item.outcome, item.original_erased) == ("refused", True)
        assert list(centre.folder("keyring", "random", "original").glob(f"{item.original}*")) == []
    sound(place)


def test_an_answer_is_erased_when_it_is_there_and_at_the_latest_after_its_days(
    place: Place,
) -> None:
    """Moved, confirmed, or left; the records stay whatever becomes of it."""
    own = portal.Portal()
    for person in (0, 1, 2):
        own.lay(inbox(place), asked_of(place, own, [person]))
    place.run(DISCLOSE)
    moved, confirmed, _ = packages(place)
    moved.rename(place.root / "exchange" / "nws" / "taken" / moved.name)
    signer = signer_of(place)
    key = ["--key", str(place.root.parent / "nws.key"), "--signer", signer]
    where = ["--sender", "nws", "--sequence", "1", "--into", str(inbox(place))]
    assert main(["package", "receipt", str(confirmed), *key, *where]) == Exit.DONE
    place.run(DISCLOSE)
    assert state_of(place) == [("delivered", True), ("delivered", True), ("laid_out", False)]
    place.now += timedelta(days=8)
    place.run(DISCLOSE)
    assert state_of(place)[2] == ("expired", True) and packages(place) == []
    with place.opened() as centre:
        assert list(centre.folder("packages").iterdir()) == []
        kinds = [row.what for row in centre.ledger.erasures()]
        assert kinds.count("disclosure_answer") == 3
    assert records(place).height == 3
    sound(place)


def signer_of(place: Place) -> str:
    with place.opened() as centre:
        return str(centre.signer.ssh)


# --- who may ask, and what


@pytest.mark.requirement("R104")
def test_nws_asks_by_its_own_link_alone_and_for_nothing_beyond_the_layout(place: Place) -> None:
    own = portal.Portal()
    name, content = own.request(asked_of(place, own, [0]))
    stranger = content.replace(b",nws,", b",kenpo-a,")
    (place.inbox("kenpo-a") / name.replace("nws", "kenpo-a")).write_bytes(stranger)
    longer = content.replace(b"\r\n9999", b",1980\r\n9999")
    (inbox(place) / name).write_bytes(longer)
    place.run(DISCLOSE)
    with place.opened() as centre:
        found = centre.ledger.receptions(formats=["self_disclosure_request"])
        assert {(item.sender, item.code) for item in found} == {
            ("kenpo-a", "F203"),
            ("nws", "F110"),
        }
    assert packages(place) == [] and records(place).is_empty()
    (inbox(place) / name).write_bytes(content)
    place.run(DISCLOSE)
    assert [kind for kind, _ in told_by(place, own, 1)] == ["1"]


def test_without_a_key_of_nws_nothing_is_answered(tmp_path: Path) -> None:
    place = site(tmp_path / "keyless", key="")
    own = portal.Portal()
    own.lay(inbox(place), asked_of(place, own, [0]))
    place.run(DISCLOSE)
    with place.opened() as centre:
        (item,) = centre.ledger.receptions(formats=["self_disclosure_request"])
        assert item.code == "F171"
    assert records(place).is_empty() and answers(place) == []


@pytest.mark.requirement("R107", "R108")
@pytest.mark.parametrize("section", ["records.own", "common"])
def test_a_layout_with_another_item_of_a_person_stops_the_answering(
    place: Place, section: str
) -> None:
    own = portal.Portal()
    own.lay(inbox(place), asked_of(place, own, [0]))
    shipped = Path(__file__).parents[2] / "formats" / "self_disclosure_answer.toml"
    item = 'name = "member_id"\nlabel = "被保険者枝番"\ntype = "digits"\nlength = 10\n'
    text = shipped.read_text("utf-8").replace("# --- end record", f"[[{section}]]\n{item}", 1)
    (place.root / "formats").mkdir(exist_ok=True)
    (place.root / "formats" / "self_disclosure_answer.toml").write_text(text, "utf-8")
    with pytest.raises(EnvironmentRefused):
        place.run(DISCLOSE)
    assert packages(place) == [] and records(place).is_empty()
    shutil.rmtree(place.root / "formats")
    place.run(DISCLOSE)
    assert [kind for kind, _ in told_by(place, own, 1)] == ["1"]


@pytest.mark.requirement("R104", "R105", "R106", "R107", "R109")
def test_drawn_requests_come_to_what_the_portal_knows_file_by_file(place: Place) -> None:
    """Of one run or of several, doubled, empty and late: each file has its own answer."""
    own, known = portal.Portal(), codes(place)
    days = ["20260301", "20260401", "20200101", "20120401"]
    cards = everybodys_cards(place)
    for seed in range(3):
        for rows in (25, 0):
            own.lay(inbox(place), portal.draw(own, seed, list(known.values()), days, rows))
        if seed == 1:
            place.now += timedelta(days=2)
        place.run(DISCLOSE)
    for sequence, asked in own.asked.items():
        found = told_by(place, own, sequence)
        wanted = [portal.expected(cards, one) for one in asked]
        assert [sorted(items) for _, items in found] == wanted
    counts = reasons(place)
    given = sum(item.given for item in answers(place))
    assert given + sum(counts.values()) == 75 and set(counts) == {"R711", "R712"}
    receipts = [(item.name, str(item.archive_sha256)) for item in answers(place)]
    name, content = portal.receipt(receipts, 1)
    (inbox(place) / name).write_bytes(content)
    place.run(DISCLOSE)
    assert set(state_of(place)) == {("delivered", True)} and packages(place) == []
    sound(place)


# --- records


@pytest.mark.requirement("R163", "R165", "R166")
def test_records_go_month_by_month_when_seven_years_are_over(place: Place, tmp_path: Path) -> None:
    """As a whole, with a signed record; killed anywhere, it comes to the same."""
    own = portal.Portal()
    for month, person in ((3, 0), (4, 1), (4, 2)):
        place.now = datetime(2026, month, 30, 14, 59, tzinfo=UTC)  # 23:59 in Japan
        own.lay(inbox(place), asked_of(place, own, [person]))
        place.run(DISCLOSE)
    place.run(COMPACT)
    assert sorted(records(place)["month"]) == ["2026-03", "2026-04", "2026-04"]
    place.now = datetime(2033, 3, 31, 14, 59, tzinfo=UTC)
    place.run(RETIRE)
    assert records(place).height == 3
    place.now += timedelta(minutes=1)  # the first of April in Japan
    with place.opened() as centre:
        assert [one.rows for one in plan(centre) if one.what == "records"] == [1]
    whole = copied(place, tmp_path / "whole")
    count = undisturbed(whole, [RETIRE])
    for at in (0, *drawn(count, 1, seed=5)):
        mine = whole if at == 0 else copied(place, tmp_path / f"{at}")
        if at:
            killed(mine, at, [RETIRE])
        assert set(records(mine)["month"]) == {"2026-04"}, at
        sound(mine)
        with mine.opened() as centre:
            (record,) = (
                json.loads(row.record) for row in centre.ledger.erasures() if row.what == "members"
            )
            assert list(record["counts"]) == [RECORDS]
            keys = centre.folder("keyring", "random", RECORDS).glob("month=2026-03*")
            assert list(keys) == []


@pytest.mark.requirement("R119")
def test_no_job_alters_a_record(place: Place) -> None:
    """Whatever runs afterwards, and whoever is told of anew, what was recorded stays as it was."""
    own = portal.Portal()
    for people in ([0, 1], [2]):
        own.lay(inbox(place), asked_of(place, own, people))
        place.run(DISCLOSE)
    before = records(place).sort("processing_sequence", "insurer_code")
    own.lay(inbox(place), asked_of(place, own, [0]))
    place.now += timedelta(days=40)
    with place.opened() as centre:
        jobs = sorted(centre.jobs)
    for job in jobs:
        place.run(job)
    after = records(place).sort("processing_sequence", "insurer_code")
    assert after.height == before.height + 1
    assert after[: before.height].equals(before)
    with place.opened() as centre:
        assert verify_ledger(centre) == []


# --- killed, altered


@pytest.mark.requirement("R110")
def test_a_job_that_is_killed_anywhere_comes_to_the_same(place: Place, tmp_path: Path) -> None:
    """Answers of before to erase, two files of requests, one of them with a wrong line."""
    own = portal.Portal()
    own.lay(inbox(place), asked_of(place, own, [0]))
    place.run(DISCLOSE)
    (path,) = packages(place)
    path.rename(place.root / "exchange" / "nws" / "taken" / path.name)
    own.lay(inbox(place), [*asked_of(place, own, [1, 4, 80, 90]), own.ask("short", AT)])
    own.lay(inbox(place), [own.ask("S" * 20, AT), *asked_of(place, own, [5])])
    whole = copied(place, tmp_path / "whole")
    count = undisturbed(whole, [DISCLOSE])
    assert count > 25
    sound(whole)
    with whole.opened() as centre:
        wanted = state_digest(centre)
    for at in drawn(count, 2, seed=8):
        mine = copied(place, tmp_path / f"{at}")
        killed(mine, at, [DISCLOSE])
        with mine.opened() as centre:
            assert state_digest(centre) == wanted, at
        sound(mine)
        shutil.rmtree(mine.root.parent)


def test_what_contradicts_the_ledger_is_named(place: Place) -> None:
    own = portal.Portal()
    own.lay(inbox(place), asked_of(place, own, [0, 90]))
    place.run(DISCLOSE)
    with place.opened() as centre:
        (sealed,) = centre.folder("packages").iterdir()
        content = sealed.read_bytes()
        sealed.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        (path,) = packages(place)
        path.write_bytes(path.read_bytes() + b"x")
        keys = {item.key for item in verify_ledger(centre)}
        assert keys == {"served.verify_sealed", "served.verify_other"}
        sealed.write_bytes(content)
        (item,) = answered.answers(centre.ledger)
        with centre.ledger.begin() as transaction:
            answered.set_answer(transaction, item.reception, given=1, fresh=2)
        keys = {item.key for item in verify_ledger(centre)}
        assert keys == {"served.verify_rows", "served.verify_other", "records.verify_rows"}


def test_the_operator_sees_counts_by_reason_and_nobody(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ("--root", str(place.root), "--key", str(place.key))
    assert main(["disclosure", "status", *where]) == Exit.DONE
    assert "ありません" in capsys.readouterr().out
    own = portal.Portal()
    asked = [*asked_of(place, own, [4, 90]), own.ask("S" * 20, AT), own.ask("short", AT)]
    own.lay(inbox(place), asked)
    place.run(DISCLOSE)
    assert main(["disclosure", "status", "--json", *where]) == Exit.DONE
    page = json.loads(capsys.readouterr().out)
    (row,) = page["answers"]
    counts = {name: row[name] for name in ("rows", "given", "records", "state")}
    assert counts == {"rows": 4, "given": 2, "records": 2, "state": "laid_out"}
    assert page["reasons"] == {"R711": 1, "R714": 1}
    assert main(["disclosure", "status", *where]) == Exit.DONE
    said = capsys.readouterr().out
    assert "R711" in said and "受け取り待ち" in said
    assert not any(code in said for code in codes(place).values())
    assert main(["package", "list", *where[:2], "--lang", "en"]) == Exit.DONE
    assert "answers for self-disclosure" in capsys.readouterr().out


def test_a_line_is_traced_to_its_record_and_to_nobody(place: Place) -> None:
    """Nor does a line by which NWS told a code lead to whose it is."""
    own = portal.Portal()
    own.lay(inbox(place), asked_of(place, own, [0, 90]))
    place.run(DISCLOSE)
    with place.opened() as centre:
        numbers = {item.format: item.number for item in centre.ledger.receptions()}
        for form, line, tables in (
            ("self_disclosure_request", 2, [RECORDS]),
            ("self_disclosure_request", 3, []),
            ("linkage_code_answer", 2, [CODES]),
        ):
            found = trace(centre, numbers[form], line)
            assert [row["table"] for row in found["tables"]] == tables, form
            assert found["person"] is None
