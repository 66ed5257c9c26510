"""Questions that nobody answered in time: listed, asked again alone, answered once all the same."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from journey import checks, nights, outside
from journey.acts import ANSWER, ASK, Outside
from journey.nights import Prepared
from journey.stops import stopping
from journey.whole import KENPO_A, KENPO_B

from koukan.cli import main
from koukan.engine.asking import again
from koukan.engine.centre import Centre
from koukan.engine.run import run_job
from koukan.engine.verify import verify_ledger
from koukan.errors import Exit, UsageError
from koukan.ledger import asking
from koukan.ledger import identity as asked
from koukan.ledger.approvals import open_approvals
from koukan.reports import identity
from koukan.reports.identity import overdue_files

Open = Callable[..., Centre]
LATE = timedelta(days=8)


def every_second(rows: list[outside.Row]) -> list[outside.Row]:
    return [outside.found(row) for row in rows[::2]]


def find_all(rows: list[outside.Row]) -> list[outside.Row]:
    return [outside.found(row) for row in rows]


@pytest.fixture(scope="module")
def packaged(whole: Prepared, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the questions of the night, every second one of them answered. Copy it."""
    folder = tmp_path_factory.mktemp("asking-again")
    root = whole.copy(folder / "root")
    for path in nights.inbox_files(root):
        if "Q_" not in path.name:
            path.unlink()
    people = Outside(root, outside.Keys(whole.people), folder / "outside", whole.now, KENPO_B)
    centre = whole.open(root)
    run_job(centre, ASK)
    outside.approve_all(people.root, people.keys, people.now)
    run_job(centre, ASK)
    net = people.juki_net()
    net.decide = every_second
    net.answer()
    run_job(centre, ANSWER)
    outside.approve_all(people.root, people.keys, people.now)
    run_job(centre, ANSWER)
    centre.close()
    return folder


@pytest.fixture
def late(
    whole: Prepared, packaged: Path, tmp_path: Path, opened: Open
) -> tuple[Callable[[], Centre], Outside]:
    """Eight days later: three questions of kenpo-a have no answer, and others between them do."""
    folder = tmp_path / "site"
    shutil.copytree(packaged, folder, symlinks=True)
    now = whole.now + LATE
    people = Outside(folder / "root", outside.Keys(whole.people), folder / "outside", now, KENPO_B)
    return (lambda: opened(replace(whole, now=now), people.root)), people


def of_kenpo_a(centre: Centre) -> int:
    (found,) = (
        item.reception for item in asked.questions(centre.ledger) if item.insurer == KENPO_A
    )
    return found


def requested(people: Outside) -> list[outside.Row]:
    folder = people.root / "exchange" / outside.PARTNER / "outbox"
    return [row for path in sorted(folder.glob("JQ_*")) for row in outside.read_request(path).rows]


def finished(centre: Centre, people: Outside) -> None:
    """Approve, send, answer, approve, store."""
    outside.approve_all(people.root, people.keys, people.now)
    run_job(centre, ASK)
    net = people.juki_net()
    net.decide = find_all
    net.answer()
    run_job(centre, ANSWER)
    outside.approve_all(people.root, people.keys, people.now)
    run_job(centre, ANSWER)


def test_only_open_questions_are_asked_again_and_their_time_runs_anew(
    late: tuple[Callable[[], Centre], Outside],
) -> None:
    at, people = late
    centre = at()
    number = of_kenpo_a(centre)
    found = {item["reception"]: item["unanswered"] for item in overdue_files(centre)}
    assert found[number] == 3
    assert identity(centre)["overdue"] == len(found)
    before = asked.questions_of(centre.ledger, number)
    assert before is not None and before.open == found[number]
    assert again(centre, [number]) == before.open
    with pytest.raises(UsageError) as caught:
        again(centre, [number])
    assert caught.value.key == "asking.under_way"
    run_job(centre, ASK)
    assert [item.operation for item in open_approvals(centre.ledger)] == ["send"]
    with pytest.raises(UsageError):
        again(centre, [number])
    outside.approve_all(people.root, people.keys, people.now)
    run_job(centre, ASK)
    rows = requested(people)
    assert len(rows) == before.open
    assert number not in {item["reception"] for item in overdue_files(centre)}
    finished(centre, people)
    after = asked.questions_of(centre.ledger, number)
    assert after is not None and after.state == "complete"
    assert checks.problems(centre) == []
    with pytest.raises(UsageError) as caught:
        again(centre, [number])
    assert caught.value.key == "asking.nothing_open"


def test_a_late_answer_to_the_first_request_is_taken_once(
    late: tuple[Callable[[], Centre], Outside],
) -> None:
    at, people = late
    centre = at()
    number = of_kenpo_a(centre)
    again(centre, [number])
    run_job(centre, ASK)
    outside.approve_all(people.root, people.keys, people.now)
    run_job(centre, ASK)
    rows = requested(people)
    name, content = outside.answer_file(3, "2", "1", find_all(rows))
    people.juki_net().put(name, content)  # the register had it all the while
    run_job(centre, ANSWER)
    outside.approve_all(people.root, people.keys, people.now)
    run_job(centre, ANSWER)
    first = asked.questions_of(centre.ledger, number)
    assert first is not None and first.state == "complete"
    name, content = outside.answer_file(4, "2", "1", find_all(rows))
    people.juki_net().put(name, content)
    run_job(centre, ANSWER)
    outside.approve_all(people.root, people.keys, people.now)
    run_job(centre, ANSWER)
    last = centre.ledger.receptions(formats=["juki_net_answer"])[-1]
    told = {code: count for _, code, count in centre.ledger.findings(last.number)}
    assert told == {"H202": len(rows)}
    assert verify_ledger(centre) == []


def test_in_files_of_one_question_and_killed_between_them_all_are_asked(
    late: tuple[Callable[[], Centre], Outside],
) -> None:
    at, people = late
    site = people.root / "site.toml"
    more = "\n[identity]\nrequest_rows = 1\n"
    site.write_text(site.read_text(encoding="utf-8") + more, encoding="utf-8")
    centre = at()
    number = of_kenpo_a(centre)
    wanted = again(centre, [number])
    with stopping(centre, "request cut", step="request"):
        run_job(centre, ASK)
    centre.close()
    centre = at()
    run_job(centre, ASK)
    assert asking.waiting(centre.ledger) == []
    cut = asked.requests(centre.ledger, states=["cut"])
    assert len(cut) >= wanted
    assert {item.rows for item in cut} == {1}
    finished(centre, people)
    after = asked.questions_of(centre.ledger, number)
    assert after is not None and after.state == "complete"
    assert verify_ledger(centre) == []


def test_what_was_not_sent_yet_is_not_asked_again(night: tuple[Centre, Outside]) -> None:
    centre, _ = night
    run_job(centre, ASK)  # the bulk request waits for a person
    with pytest.raises(UsageError) as caught:
        again(centre, [of_kenpo_a(centre)])
    assert caught.value.key == "asking.under_way"


def test_an_expired_file_is_asked_nothing_more(
    whole: Prepared, late: tuple[Callable[[], Centre], Outside], opened: Open
) -> None:
    at, people = late
    centre = at()
    again(centre, [of_kenpo_a(centre)])
    centre.close()
    centre = opened(replace(whole, now=whole.now + timedelta(days=301)), people.root)
    run_job(centre, nights.ERASE)
    run_job(centre, ASK)
    assert asked.requests(centre.ledger, states=["cut"]) == []
    assert verify_ledger(centre) == []


def test_commands(
    whole: Prepared,
    late: tuple[Callable[[], Centre], Outside],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    at, people = late
    number = str(of_kenpo_a(at()))
    monkeypatch.setenv("KOUKAN_ROOT", str(people.root))
    monkeypatch.setenv("KOUKAN_KEY_FILE", str(whole.key_file))
    for language in ("ja", "en"):
        monkeypatch.setenv("KOUKAN_LANG", language)
        assert main(("identity", "overdue")) == Exit.DONE
        assert main(("identity", "overdue", "--json")) == Exit.DONE
    late_now = datetime.now(whole.now.tzinfo) > whole.now + timedelta(days=7)
    assert ("koukan identity ask-again" in capsys.readouterr().err) == late_now
    assert main(("identity", "ask-again", number)) == Exit.DONE
    assert main(("identity", "ask-again", number)) == Exit.USAGE
    assert "being asked again already" in " ".join(capsys.readouterr().err.split())
