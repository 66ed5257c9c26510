"""住基ネット behind a host of its own: questions go there and answers come from there, by SFTP.

Against a real sshd. The partner writes into its own folders and knows nothing of ours.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from pathlib import Path

import partner_host
import pytest
import sftp_support
from journey import outside
from journey.acts import ANSWER, ASK, DELIVER, ERASE, GO, REGISTER, Outside, approve, take
from journey.partner_site import Site, answer, problems
from journey.stops import Stopped

from koukan.engine.centre import open_centre
from koukan.engine.run import run_job
from koukan.errors import Exit
from koukan.exchange.marker import Marker
from koukan.ledger import identity as asked
from koukan.ledger.hosts import handovers_of

ANSWER_FILE = "JA_juki-net_000001.dat"


@pytest.mark.requirement("R207", "R208")
def test_questions_go_to_the_host_and_answers_come_from_it(site: Site, people: Outside) -> None:
    site.run(REGISTER, ASK, GO)
    approve(people, None)  # type: ignore[arg-type]
    site.run(ASK)
    sent = {path.name: path.read_bytes() for path in site.outbox().glob("JQ_*")}
    assert sent
    site.run(GO)
    assert site.failing() == []
    there = site.host.has()
    assert sent.items() <= there.items()
    assert not list(site.outbox().iterdir())
    answer(site, people)
    site.run(GO, ANSWER)
    approve(people, None)  # type: ignore[arg-type]
    site.run(ANSWER, GO)
    assert not list(site.host.for_us.iterdir())
    centre = site.opened()
    take(people, centre)
    states = {item.state for item in asked.requests(centre.ledger)}
    centre.close()
    assert states == {"erased"}
    site.run(DELIVER)
    assert problems(site) == []
    handed = [item for item in handovers_of(site.opened().ledger) if item.name in sent]
    assert {(item.name, item.sha256) for item in handed} == {
        (name, hashlib.sha256(content).hexdigest()) for name, content in sent.items()
    }


def test_a_package_that_was_handed_over_is_where_its_owner_would_have_put_it(site: Site) -> None:
    """Only so do the steps that erase at delivery know that the partner has it."""
    names = ("PA_pmh_0000000001.tar.age", "PA_pmh_0000000001.tar.age.sig", "AK_1.csv")
    for name in names:
        (site.outbox() / name).write_bytes(name.encode())
    site.run(GO)
    assert {name: site.host.has()[name] for name in names} == {
        name: name.encode() for name in names
    }
    taken = site.outbox().parent / "taken"
    assert {path.name: path.read_bytes() for path in taken.iterdir()} == {
        name: name.encode() for name in names[:2]
    }
    assert list(site.outbox().iterdir()) == []
    site.run(GO)
    assert len(list(taken.iterdir())) == 2


def test_an_urgent_question_leaves_at_the_next_tick(site: Site) -> None:
    assert [ran.job for ran in site.tick(GO)] == [GO]
    site.minutes = 1
    site.host.put(ANSWER_FILE, b"answer")
    assert site.tick(GO) == []
    (site.outbox() / "JQ_koukan_000001.dat").write_bytes(b"urgent")
    assert site.tick(GO) == []  # it has nothing to tell of receptions
    assert site.host.has() == {"JQ_koukan_000001.dat": b"urgent"}
    assert not list(site.inbox().iterdir())  # fetched at the job's own times


def test_what_grows_or_is_hidden_is_left(site: Site) -> None:
    for name in ("JA_juki-net_000001.dat.part", ".hidden"):
        site.host.put(name, b"x")
    (site.host.for_us / "folder").mkdir()
    (site.host.for_us / "JA_juki-net_000007.dat").symlink_to("/etc/passwd")
    growing = site.host.put("JA_juki-net_000002.dat", b"half")
    site.host.put("JA_juki-net_000003.dat", b"whole")

    def observe(event: str, **_: object) -> None:
        if event == "copied" and growing.stat().st_size == 4:
            with growing.open("ab") as file:
                file.write(b" and half")

    assert site.run(GO, observe=observe) == [Exit.DONE]
    assert site.arrived() == ["JA_juki-net_000003.dat"]
    assert site.run(GO) == [Exit.DONE]
    assert (site.inbox() / "JA_juki-net_000002.dat").read_bytes() == b"half and half"


def test_a_partner_that_died_in_an_upload_and_sends_again_is_heard_once_it_is_whole(
    site: Site,
) -> None:
    site.at_host(markers=True)
    content = b"the whole answer"
    marker = Marker(hashlib.sha256(content).hexdigest(), len(content)).written()
    site.host.put(ANSWER_FILE, content[:5])  # it wrote under the final name, and died
    assert site.run(GO) == [Exit.DONE]
    site.host.put(f"{ANSWER_FILE}.done", marker)  # no marker of this file
    assert site.run(GO) == [Exit.TRANSIENT]
    assert site.failing() == [("fetch", "exchange.marker_differs", 21)]
    assert not list(site.inbox().iterdir())
    site.host.put(ANSWER_FILE, content)
    assert site.run(GO) == [Exit.DONE]
    assert site.failing() == []
    assert (site.inbox() / ANSWER_FILE).read_bytes() == content
    site.host.put(ANSWER_FILE, content)  # again, while the first was not picked up yet
    site.host.put(f"{ANSWER_FILE}.done", marker)
    assert site.run(GO) == [Exit.DONE]
    assert not list(site.host.for_us.iterdir())
    for other in (b"another  answer!", b"longer than the other one"):  # one as long, one not
        site.host.put(ANSWER_FILE, other)
        again = Marker(hashlib.sha256(other).hexdigest(), len(other)).written()
        site.host.put(f"{ANSWER_FILE}.done", again)
        assert site.run(GO) == [Exit.DONE]
        assert (site.inbox() / ANSWER_FILE).read_bytes() == content
    (site.inbox() / ANSWER_FILE).unlink()
    assert site.run(GO) == [Exit.DONE]
    assert (site.inbox() / ANSWER_FILE).read_bytes() == other


def test_a_marker_that_cannot_be_read_or_a_file_too_large_stops_no_other(site: Site) -> None:
    site.at_host(markers=True, max_bytes=10)
    for number, (content, told) in enumerate(
        [(b"a", b"?"), (b"b" * 11, None), (b"c", None), (b"d", b"x" * 5000)], start=1
    ):
        name = f"JA_juki-net_00000{number}.dat"
        marker = Marker(hashlib.sha256(content).hexdigest(), len(content)).written()
        site.host.put(name, content)
        site.host.put(f"{name}.done", told or marker)
    assert site.run(GO) == [Exit.CONFIGURATION]
    assert site.failing() == [("fetch", "exchange.host_file_large", 40)]
    assert site.arrived() == ["JA_juki-net_000003.dat"]
    assert len(list(site.host.for_us.iterdir())) == 6


@pytest.mark.requirement("R208")
def test_a_file_with_fewer_records_than_its_marker_counts_is_refused_and_told(site: Site) -> None:
    site.at_host(markers=True)
    content = b"one\r\ntwo\r\n"
    marker = Marker(hashlib.sha256(content).hexdigest(), len(content), 3)
    site.host.put(ANSWER_FILE, content)
    site.host.put(f"{ANSWER_FILE}.done", marker.written())
    (site.inbox() / "JA_juki-net_000009.dat.done").write_bytes(b"of a run that was killed")
    assert site.run(GO, ANSWER, GO) == [Exit.DONE, Exit.REJECTS, Exit.DONE]
    centre = site.opened()
    (came,) = [it for it in centre.ledger.receptions() if it.sender == outside.PARTNER]
    centre.close()
    assert (came.outcome, came.code, came.sha256) == ("refused", "F131", marker.sha256)
    (answer,) = [
        text
        for name, text in site.host.has().items()
        if name.startswith("AK_") and name.endswith(".csv")
    ]
    assert b"F131" in answer
    assert not list(site.inbox().iterdir())


@pytest.mark.parametrize("when", ["while it grows", "read back", "ready"])
def test_what_the_partner_removes_before_it_has_its_name_is_uploaded_anew(
    site: Site, when: str
) -> None:
    content = os.urandom(3_000_000 if when == "while it grows" else 30)
    (site.outbox() / "JQ_koukan_000001.dat").write_bytes(content)
    part = site.host.from_us / "JQ_koukan_000001.dat.part"

    def remove() -> None:
        while not part.exists():
            time.sleep(0.001)
        part.unlink()

    def observe(event: str, **_: object) -> None:
        if event == when:
            part.unlink()

    thread = threading.Thread(target=remove, daemon=True)
    if when == "while it grows":
        thread.start()
    assert site.run(GO, observe=observe) == [Exit.TRANSIENT]
    assert site.host.has() == {}
    assert site.run(GO) == [Exit.DONE]
    assert site.host.has() == {"JQ_koukan_000001.dat": content}
    assert site.failing() == []


def test_what_the_partner_removes_after_a_killed_upload_is_uploaded_anew(site: Site) -> None:
    (site.outbox() / "JQ_koukan_000001.dat").write_bytes(b"request")

    def observe(event: str, **_: object) -> None:
        if event == "uploaded":
            raise Stopped

    with pytest.raises(Stopped):
        site.run(GO, observe=observe)
    (site.host.from_us / "JQ_koukan_000001.dat.part").unlink()
    assert site.run(GO) == [Exit.DONE]
    assert site.host.has() == {"JQ_koukan_000001.dat": b"request"}


def test_a_folder_that_is_gone_is_none_out_of_which_something_was_taken(site: Site) -> None:
    (site.outbox() / "JQ_koukan_000001.dat").write_bytes(b"request")

    def observe(event: str, **_: object) -> None:
        if event == "ready":
            raise Stopped

    with pytest.raises(Stopped):
        site.run(GO, observe=observe)
    site.at_host(hand_to="nowhere")
    assert site.run(GO) == [Exit.CONFIGURATION]
    assert site.failing() == [("hand_over", "exchange.host_folder", 40)]
    site.at_host()
    assert site.run(GO) == [Exit.DONE]
    assert site.host.has() == {"JQ_koukan_000001.dat": b"request"}


@pytest.mark.requirement("R208")
def test_a_changed_host_key_stops_everything_until_it_is_pinned(site: Site, tmp_path: Path) -> None:
    request = site.outbox() / "JQ_koukan_000001.dat"
    request.write_bytes(b"request")
    site.host.put(ANSWER_FILE, b"answer")
    _, other = sftp_support.key_pair(tmp_path, "other")
    site.at_host(host_keys=[other])
    assert site.run(GO) == [Exit.CONFIGURATION]
    assert site.failing() == [("connect", "exchange.host_key", 40)]
    assert site.host.has() == {}
    assert request.exists()
    since = site.page()["needs_you"]["hosts"][0]["since"]
    site.minutes = 7
    assert site.run(GO) == [Exit.CONFIGURATION]
    (fault,) = site.page()["needs_you"]["hosts"]
    assert fault["since"] == since < fault["last"]
    assert site.page()["verdict"]["code"] == Exit.CONFIGURATION
    site.at_host()
    assert site.run(GO) == [Exit.DONE]
    assert site.failing() == []
    assert site.host.has() == {"JQ_koukan_000001.dat": b"request"}
    assert site.arrived() == [ANSWER_FILE]


def test_a_partner_that_is_not_there_is_told_and_stops_nobody(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    (site.outbox() / "JQ_koukan_000001.dat").write_bytes(b"request")
    server = site.host.server
    site.at_host(port=1)
    monkeypatch.setattr("koukan.exchange.sftp.PAUSES", (0.0, 0.0))
    done = {ran.job: ran.exit for ran in site.tick(GO, ERASE)}
    assert done == {GO: Exit.TRANSIENT, ERASE: Exit.DONE}
    assert site.failing() == [("connect", "exchange.host_unreachable", 21)]
    site.minutes = 1  # a minute later nobody knocks again
    site.at_host(port=server.port)
    assert site.tick(GO, ERASE) == []
    assert site.host.has() == {}
    site.minutes = 5
    assert site.run(GO) == [Exit.DONE]
    assert site.host.has() == {"JQ_koukan_000001.dat": b"request"}


def test_without_our_key_or_their_folder_a_person_is_asked(site: Site) -> None:
    (site.outbox() / "JQ_koukan_000001.dat").write_bytes(b"request")
    now = site.prepared.now
    centre = open_centre(site.root, site.prepared.key_file, clock=lambda: now)
    assert run_job(centre, GO).exit == Exit.CONFIGURATION
    centre.close()
    assert site.failing() == [("connect", "exchange.no_key_given", 40)]
    site.at_host(hand_to="nowhere")
    assert site.run(GO) == [Exit.CONFIGURATION]
    assert site.failing() == [("hand_over", "exchange.host_folder", 40)]
    assert (site.outbox() / "JQ_koukan_000001.dat").exists()
    site.at_host()
    assert site.run(GO) == [Exit.DONE]


@pytest.mark.parametrize("up", [True, False])
def test_a_line_that_breaks_in_the_middle_is_gone_over_again(site: Site, up: bool) -> None:
    content = os.urandom(2_000_000)
    (site.outbox() / "JQ_koukan_000001.dat").write_bytes(content)
    site.host.put(ANSWER_FILE, content)
    port = site.host.server.port
    with partner_host.breaking_line(port, after=500_000, up=up) as line:
        site.at_host(port=line.own)
        assert site.run(GO) == [Exit.TRANSIENT]
        assert "JQ_koukan_000001.dat" not in site.host.has() or not up
        assert site.run(GO) == [Exit.DONE]
        assert line.broken == 1
    assert site.host.has() == {"JQ_koukan_000001.dat": content}
    assert site.arrived() == [ANSWER_FILE]
    assert not list(site.outbox().iterdir())


def test_a_request_that_is_erased_after_it_was_uploaded_is_taken_back(site: Site) -> None:
    request = site.outbox() / "JQ_koukan_000001.dat"
    request.write_bytes(b"request")

    def observe(event: str, **_: object) -> None:
        if event == "ready":
            raise Stopped

    with pytest.raises(Stopped):
        site.run(GO, observe=observe)
    assert list(site.host.has()) == ["JQ_koukan_000001.dat.part"]
    request.unlink()
    assert site.run(GO) == [Exit.DONE]
    assert site.host.has() == {}
    centre = site.opened()
    assert handovers_of(centre.ledger) == []
    centre.close()
