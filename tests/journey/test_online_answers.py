"""処理結果電文: each answer is held against the push that it answers, and taken once."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from centres import Place
from pushing import EXPORT, TAKE_IN, Said, Table, content, identity, respond
from pushing import replay as take

from koukan.cli import main
from koukan.engine import rolls
from koukan.engine.centre import Centre
from koukan.engine.run import run_job
from koukan.engine.steps.export import push_again, push_all, push_refused, reconcile
from koukan.engine.verify import verify_ledger
from koukan.errors import Exit, UsageError
from koukan.ledger.online import Push, all_answers, all_pushes, change
from koukan.reports.online import clock_online, listed, online
from koukan.reports.status import status

UPDATE = bool(os.environ.get("KOUKAN_UPDATE_CASES"))  # and every line that changed is read
FIXTURES = Path(__file__).parents[2] / "fixtures" / "online_response"


@pytest.fixture
def place(pushed: Place, tmp_path: Path) -> Place:
    shutil.copytree(pushed.root, tmp_path / "site")
    return Place(tmp_path / "site", pushed.key, pushed.now)


def answered(centre: Centre, place: Place, push: int, said: Said) -> Push:
    """A refused answer frees its number: the next one has it again."""
    taken = centre.ledger.receptions(formats=["online_response"])
    sequence = 1 + sum(item.outcome != "refused" for item in taken)
    respond(place, (push, sequence, said), identity(place.root.parent))
    run_job(centre, TAKE_IN)
    return known(centre, push)


def known(centre: Centre, push: int) -> Push:
    return next(one for one in all_pushes(centre.ledger) if one.sequence == push)


def last(centre: Centre) -> dict[str, object]:
    """Outcome, code, and codes by line of the newest answer."""
    reception = centre.ledger.receptions()[-1]
    codes = {code: rows for _, code, rows in centre.ledger.findings(reception.number)}
    return {"outcome": reception.outcome, "code": reception.code, "codes": codes}


CASES = json.loads((FIXTURES / "cases.json").read_text("utf-8"))


def said_of(case: dict[str, object]) -> Said:
    told = dict(case)
    if "refused" in told:
        told["refused"] = {int(number): code for number, code in told["refused"].items()}
    if "only" in told:
        told["only"] = frozenset(told["only"])
    if "also" in told:
        told["also"] = tuple(tuple(one) for one in told["also"])
    return Said(**told)


@pytest.mark.requirement("R046")
def test_answers_of_every_kind_come_to_what_the_golden_cases_say(place: Place) -> None:
    """One case after another, each for a push of its own; see fixtures/online_response."""
    with place.opened() as centre:
        for number, (name, case) in enumerate(CASES.items(), 1):
            if number > 1:
                push_all(centre)
            told = []
            for answer in case["answers"]:
                push = answered(centre, place, number, said_of(answer))
                stands = {"state": push.state, "taken": push.accepted, "refused": push.refused}
                told.append({**last(centre), **stands, "open": push.unanswered})
            if UPDATE:
                case["expected"] = told
            assert told == case["expected"], name
        assert verify_ledger(centre) == []
    if UPDATE:
        text = json.dumps(CASES, ensure_ascii=False, indent=1)
        (FIXTURES / "cases.json").write_text(f"{text}\n", "utf-8")


@pytest.mark.requirement("R046")
def test_who_was_refused_is_told_again_and_what_is_late_is_seen(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--root", str(place.root), "--key", str(place.key))
    key, table = identity(place.root.parent), Table()
    with place.opened() as centre:
        waits = {"waiting": 1, "overdue": 0, "unanswered": 36, "refused": 0, "refused_pushes": 0}
        assert online(centre) == waits | {"age_seconds": 0}
        push = answered(centre, place, 1, Said(refused={4: "0101", 7: "0007", 8: "0007"}))
        assert (push.state, push.open_refused, clock_online(centre)) == ("partly", 3, Exit.HELD)
        assert status(centre)["verdict"]["state"] == "needs_you"
    assert main(["online", "status", *options]) == Exit.HELD
    said = capsys.readouterr().out
    assert "一部受入" in said and "が 3 人" in "".join(said.split("\n")) and "--refused" in said
    assert main(["status", *options]) == Exit.DONE  # it tells, and judges nothing
    assert "3 人" in capsys.readouterr().out
    take(place, table, key)
    refused = [line.split(",")[2] for line in people(content(place, 1, key))]
    refused = [refused[number - 1] for number in (4, 7, 8)]
    with place.opened() as centre:
        centre.observe = killing("queued")  # what was queued goes with the next push, whichever
        with pytest.raises(Killed):
            push_refused(centre)
    with place.opened() as centre:
        run_job(centre, EXPORT)
        assert known(centre, 1).open_refused == 0
        assert set(refused) <= {line.split(",")[2] for line in people(content(place, 2, key))}
        with pytest.raises(UsageError, match="none_refused"):
            push_refused(centre)
        assert answered(centre, place, 2, Said()).state == "accepted"
    take(place, table, key)
    place.now += timedelta(days=1)
    with place.opened() as centre:
        push_again(centre, 2)
    place.now += timedelta(days=3)
    with place.opened() as centre:
        assert clock_online(centre) == Exit.OVERDUE
        assert [one["shown"] for one in listed(centre)] == ["partly", "accepted", "overdue"]
        assert run_job(centre, TAKE_IN).exit == Exit.OVERDUE
        push_again(centre, 3)
        assert [one["shown"] for one in listed(centre)][2:] == ["told_again", "laid"]
        late = answered(centre, place, 3, Said())
        assert (late.state, clock_online(centre)) == ("accepted", Exit.DONE)
        assert [one["late"] for one in listed(centre)] == [0, 0, 1, 0]
        push_all(centre)
        assert rolls.holds(centre, 4)
        answered(centre, place, 5, Said())
        assert not rolls.holds(centre, 4)  # of the push of everybody all is known
        assert [one.push for one in all_answers(centre.ledger)] == [1, 2, 3, 5]
        assert verify_ledger(centre) == []
    for wrong in ([], ["--since", "1", "--refused"]):
        assert main(["online", "resend", *wrong, *options]) == Exit.USAGE


@pytest.mark.requirement("R044")
def test_what_the_receiver_must_hold_is_compared_with_the_history_and_repaired(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--root", str(place.root), "--key", str(place.key))
    with place.opened() as centre:
        first = reconcile(centre, repair=False)
        assert (first.pending, first.held, len(first.links)) == (5, 36, 0)  # who is withdrawn
        run_job(centre, EXPORT)
        left = 36 - known(centre, 2).deleted
        assert reconcile(centre, repair=False)[1:8] == (left, 0, 0, 0, 0, 0, 41)
        answered(centre, place, 1, Said(refused={1: "0101", 2: "0101"}))
        assert reconcile(centre, repair=False).refused == known(centre, 1).open_refused
        spoil(centre)
    assert main(["online", "reconcile", *options]) == Exit.HELD
    said = capsys.readouterr().out
    for what in ("相手にいない人：1 人", "相手にいる人：1 人", "内容が違う人：1 人"):
        assert what in said
    assert main(["online", "reconcile", "--repair", *options]) == Exit.DONE
    assert "次の連携に含めます" in capsys.readouterr().out
    with place.opened() as centre:
        run_job(centre, EXPORT)
        assert (known(centre, 3).persons, known(centre, 3).deleted) == (3, 1)
        assert len(reconcile(centre, repair=False).links) == 0
        assert verify_ledger(centre) == []
        with centre.ledger.begin() as transaction:
            change(transaction, 1, accepted=35)
        rolls.discard(centre, 2)
        keys = ["online.verify_answers", "online.verify_roll"]
        assert [one.key for one in verify_ledger(centre)] == keys
        with pytest.raises(UsageError, match="no_roll"):
            reconcile(centre, repair=False)


def spoil(centre: Centre) -> None:
    """Of one the roll says something else, one is not in it, and somebody is whom nobody knows."""
    again = {link for name in rolls.names(centre, 2) for link in rolls.piece(centre, 2, name)[0]}
    (name,) = rolls.names(centre, 1)
    links, told = (one.copy() for one in rolls.piece(centre, 1, name))
    mine = [at for at, link in enumerate(links) if link not in again and at > 2]
    told[mine[0]] ^= 1
    links[mine[1]] = 10**16 - 1
    rolls.put(centre, 1, name, links, told)


def people(push: bytes) -> list[str]:
    """Lines of persons in a push."""
    return [line for line in push.decode().split("\r\n") if line[11:13] == "65"]


class Killed(Exception):
    """Instead of SIGKILL."""


def killing(where: str) -> Callable[..., None]:
    def observe(event: str, **_: object) -> None:
        if event == where:
            raise Killed

    return observe
