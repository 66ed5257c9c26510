"""Requests to 住基ネット that are cut, sent, killed and given up at awkward moments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from journey import nights, outside
from journey.acts import ANSWER, ASK, Outside
from journey.nights import Prepared
from journey.played import NightAfter, until
from journey.stops import stopping
from sqlalchemy import select

from koukan.engine import entrusted
from koukan.engine.approvals import approve
from koukan.engine.centre import Centre
from koukan.engine.desk import open_desk
from koukan.engine.run import run_job, tick
from koukan.engine.verify import verify_ledger
from koukan.errors import IntegrityError
from koukan.flows.identity import REQUEST_DIGITS
from koukan.keys.sshsig import load_private_key
from koukan.ledger import identity as asked
from koukan.ledger import schema
from koukan.ledger.approvals import open_approvals
from koukan.shipped import formats_folder

Open = Callable[..., Centre]
Night = tuple[Centre, Outside]


def approve_one(people: Outside, number: int) -> None:
    desk = open_desk(people.root, clock=lambda: people.now)
    try:
        path = people.keys.person("sato")
        approve(desk, number, load_private_key(path, outside=people.root, passphrase=lambda: b""))
    finally:
        desk.close()


def in_files_of(
    centre: Centre, people: Outside, rows: int, opened: Open, whole: Prepared
) -> Centre:
    """The same centre with so many questions in a request at most."""
    path = people.root / "site.toml"
    more = f"\n[identity]\nrequest_rows = {rows}\n"
    path.write_text(path.read_text(encoding="utf-8") + more, encoding="utf-8")
    centre.close()
    return opened(whole, people.root)


def find_all(rows: list[outside.Row]) -> list[outside.Row]:
    return [outside.found(row) for row in rows]


def lines_of(centre: Centre, request: int) -> int:
    """Questions in a request's sealed text."""
    blocks = entrusted.request_blocks(centre, entrusted.request_name(request))
    return b"".join(blocks).count(b"\r\n") - 2


def test_a_file_in_two_requests_of_which_one_is_answered_still_asks_the_other(
    whole: Prepared, night: Night, opened: Open
) -> None:
    centre, people = night
    centre = in_files_of(centre, people, 5, opened, whole)
    run_job(centre, ASK)
    approve_one(people, 1)  # of the bulk requests, only the first
    run_job(centre, ASK)
    net = people.juki_net()
    net.decide = find_all
    net.answer()
    run_job(centre, ANSWER)
    outside.approve_all(people.root, people.keys, people.now)
    run_job(centre, ANSWER)
    run_job(centre, ASK)
    requests = asked.requests(centre.ledger)
    assert not [item for item in requests if item.state == "erased" and item.sent_at is None]
    net.answer()
    run_job(centre, ANSWER)
    outside.approve_all(people.root, people.keys, people.now)
    run_job(centre, ANSWER)
    assert asked.questions(centre.ledger, state="open") == []
    assert verify_ledger(centre) == []


def test_an_answer_to_what_nobody_was_asked_yet_is_a_strangers(night: Night) -> None:
    centre, people = night
    run_job(centre, ASK)  # the bulk request is cut, and waits for a person
    files = asked.questions(centre.ledger)
    (bulk,) = [item for item in files if item.mode == "2" and item.asked == 5]
    counters = range(bulk.start, bulk.start + 5)
    numbers = centre.request_issuer.issue(np.array(counters))
    rows = [
        outside.other({"request_record_number": f"{number:0{REQUEST_DIGITS}d}"}, "2")
        for number in numbers
    ]
    people.juki_net().put(*outside.answer_file(1, "2", "1", rows))
    run_job(centre, ANSWER)
    outside.approve_all(people.root, people.keys, people.now)
    run_job(centre, ANSWER)
    (came,) = centre.ledger.receptions(formats=["juki_net_answer"])
    assert {code: rows for _, code, rows in centre.ledger.findings(came.number)} == {"H201": 5}
    assert asked.questions(centre.ledger) == files
    assert verify_ledger(centre) == []


def test_questions_that_are_not_as_many_as_the_ledger_says_are_not_asked(night: Night) -> None:
    centre, people = night
    with stopping(centre, "entered", step="request"):
        run_job(centre, ASK)
    item = asked.questions(centre.ledger)[0]
    frame = entrusted.open_questions(centre, item.reception, item.generation)
    entrusted.seal_questions(centre, item.reception, item.generation, frame[:-1])
    with pytest.raises(IntegrityError) as caught:
        run_job(centre, ASK)
    assert caught.value.key == "engine.questions_missing"
    out = people.root / "exchange" / outside.PARTNER / "outbox"
    assert list(out.iterdir()) == []


@pytest.mark.requirement("R144")
def test_no_request_outlives_a_question_in_it_and_the_others_are_asked_again(
    whole: Prepared, night: Night, opened: Open
) -> None:
    centre, people = night
    late = people.root / "exchange/kenpo-b/inbox/dedicated_terminal/NQ_kenpo-b_000001.csv"
    content = late.read_bytes()
    late.unlink()
    with stopping(centre, "entered", step="request"):
        run_job(centre, ASK)  # kenpo-a's are taken in, and not in a request yet
    centre.close()
    late.write_bytes(content)
    centre = opened(replace(whole, now=whole.now + timedelta(hours=1)), people.root)
    run_job(centre, ASK)  # now they are, with those of kenpo-b; nobody approves it
    first = {item.number for item in asked.requests(centre.ledger, states=["cut"])}
    centre.close()
    centre = opened(replace(whole, now=whole.now + timedelta(days=300, minutes=1)), people.root)
    run_job(centre, nights.ERASE)
    states = {item.reception: item.state for item in asked.questions(centre.ledger)}
    assert sorted(states.values()) == ["expired", "expired", "open"]
    assert not {item.number for item in asked.requests(centre.ledger, states=asked.UNDER_WAY)}
    for number in first:
        assert not (people.root / "requests" / entrusted.request_name(number)).exists()
    run_job(centre, ASK)
    again = asked.requests(centre.ledger, states=["cut"])
    assert [(item.rows, lines_of(centre, item.number)) for item in again] == [(5, 5)]
    assert [item.operation for item in open_approvals(centre.ledger)] == ["send"]
    assert verify_ledger(centre) == []


def test_what_went_out_before_its_run_was_killed_used_its_approval(night: Night) -> None:
    centre, people = night
    run_job(centre, ASK)
    outside.approve_all(people.root, people.keys, people.now)
    with stopping(centre, "request laid out", step="send"):
        run_job(centre, ASK)
    people.juki_net().answer()
    run_job(centre, ANSWER)  # the answer is quicker than the next run of the sending job
    outside.approve_all(people.root, people.keys, people.now)
    run_job(centre, ANSWER)
    run_job(centre, ASK)
    table = schema.approvals.c
    uses = centre.ledger.read(select(table.operation, table.state))
    assert [tuple(row) for row in uses if row.operation == "send"] == [("send", "used")]
    assert not asked.requests(centre.ledger, states=asked.UNDER_WAY)
    assert verify_ledger(centre) == []


def test_what_is_cut_late_holds_exactly_what_the_ledger_says(
    whole: Prepared, night: Night, opened: Open
) -> None:
    """The second bulk request is cut only after the first one's answers were packaged."""
    centre, people = night
    jobs = people.root / "jobs"
    jobs.mkdir(exist_ok=True)
    shipped = (formats_folder().parent / "jobs" / "ask_identity.toml").read_text("utf-8")
    (jobs / "ask_identity.toml").write_text(shipped.replace(', "send"]', "]"), encoding="utf-8")
    (jobs / "send_identity.toml").write_text(
        'title = "送信"\npurpose = "要求ファイルの送信だけ"\nschedule = "*/10 * * * *"\n'
        'formats = []\nsteps = ["send"]\n',
        encoding="utf-8",
    )
    centre = in_files_of(centre, people, 5, opened, whole)
    with stopping(centre, "request cut", step="request", times=2):
        run_job(centre, ASK)
    for _ in range(2):
        run_job(centre, "send_identity")
        outside.approve_all(people.root, people.keys, people.now)
    net = people.juki_net()
    net.decide = find_all
    net.answer()
    for _ in range(2):
        run_job(centre, ANSWER)
        outside.approve_all(people.root, people.keys, people.now)
    run_job(centre, ASK)
    waiting = asked.requests(centre.ledger, states=["cut"])
    assert waiting
    assert [item.rows for item in waiting] == [lines_of(centre, item.number) for item in waiting]


def test_the_ledger_balances_between_a_kill_and_the_next_run(night_after: NightAfter) -> None:
    centre, people = night_after(until("answer"))
    run_job(centre, ANSWER)
    outside.approve_all(people.root, people.keys, people.now)
    with stopping(centre, "destroyed"):
        run_job(centre, ANSWER)
    assert verify_ledger(centre) == []
    run_job(centre, ANSWER)
    assert verify_ledger(centre) == []


def test_a_clock_that_was_ahead_once_stops_no_job(
    whole: Prepared, night: Night, opened: Open
) -> None:
    centre, people = night
    centre.close()
    ahead = opened(replace(whole, now=whole.now + timedelta(days=30)), people.root)
    assert tick(ahead)
    ahead.close()
    assert tick(opened(replace(whole, now=whole.now + timedelta(hours=1)), people.root))
