"""住基ネット behind a host of its own: questions go there and answers come from there, by SFTP.

Against a real sshd. The partner writes into its own folders and knows nothing of ours.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import partner_host
import pytest
import sftp_support
from journey import checks, nights, outside
from journey.acts import ANSWER, ASK, DELIVER, ERASE, REGISTER, Outside, approve, take
from journey.stops import Stopped
from journey.whole import KENPO_B
from partner_host import PartnerHost

from koukan.engine.centre import Centre, open_centre
from koukan.engine.run import Ran, run_job, tick
from koukan.errors import Exit
from koukan.exchange.markers import Marker, read_marker
from koukan.ledger import identity as asked
from koukan.ledger.hosts import handovers_of
from koukan.reports import status

GO = "exchange_partners"
JUKI = "juki-net"
STRIDE = 4  # of the boundaries, one in so many unless there is time for all
ANSWER_FILE = "JA_juki-net_000001.dat"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PartnerHost]:
    """Its two folders lie as the partner of `outside` has them."""
    folder = tmp_path_factory.mktemp("partner")
    there = folder / "exchange" / JUKI
    ways = {"for_us": there / "inbox" / "juki_net", "from_us": there / "outbox"}
    with partner_host.partner_host(folder, **ways) as host:
        yield host


class Site:
    """A site whose 住基ネット has a host. Opened anew for each run, as by cron."""

    def __init__(self, root: Path, prepared: nights.Prepared, host: PartnerHost) -> None:
        self.root, self.prepared, self.host = root, prepared, host
        self.minutes = 0
        self.written = (root / "site.toml").read_text(encoding="utf-8")

    def at_host(self, **more: object) -> None:
        """Say in site.toml where the host is."""
        line = 'system = "juki_net"'
        text = self.written.replace(line, f"{line}\n{self.host.toml(**more)}")
        (self.root / "site.toml").write_text(text, encoding="utf-8")

    def opened(self, observe: Callable[..., None] | None = None) -> Centre:
        now = self.prepared.now + timedelta(minutes=self.minutes)
        more = {} if observe is None else {"observe": observe}
        key_file = self.prepared.key_file
        return open_centre(self.root, key_file, clock=lambda: now, sftp_key=self.host.key, **more)

    def run(self, *jobs: str, observe: Callable[..., None] | None = None) -> list[Exit]:
        centre = self.opened(observe)
        try:
            return [run_job(centre, job).exit for job in jobs]
        finally:
            centre.close()

    def tick(self, *jobs: str) -> list[Ran]:
        """With these jobs alone."""
        centre = self.opened()
        centre.jobs = {name: job for name, job in centre.jobs.items() if name in jobs}
        try:
            return tick(centre)
        finally:
            centre.close()

    def page(self) -> dict[str, object]:
        centre = self.opened()
        try:
            return status(centre)
        finally:
            centre.close()

    def failing(self) -> list[tuple[str, str, int]]:
        return [(it["step"], it["key"], it["exit"]) for it in self.page()["needs_you"]["hosts"]]

    def inbox(self) -> Path:
        return self.root / "exchange" / JUKI / "inbox" / "juki_net"

    def outbox(self) -> Path:
        return self.root / "exchange" / JUKI / "outbox"


@pytest.fixture
def host(running: PartnerHost) -> PartnerHost:
    return partner_host.emptied(running)


@pytest.fixture
def site(whole: nights.Prepared, host: PartnerHost, tmp_path: Path) -> Site:
    found = Site(whole.copy(tmp_path / "root"), whole, host)
    found.at_host()
    return found


@pytest.fixture
def people(site: Site, tmp_path: Path) -> Outside:
    keys = outside.Keys(site.prepared.people)
    return Outside(site.root, keys, tmp_path / "outside", site.prepared.now, KENPO_B)


def answer(site: Site, people: Outside) -> None:
    """住基ネット does, in the folders of its own host."""
    outside.JukiNet(site.host.folder, people.state).answer()
    for path in site.host.for_us.iterdir():
        os.chown(path, partner_host.UID, partner_host.UID)


def problems(site: Site) -> list[str]:
    """But for what the ledger laid out for the partner, which took it by its host."""
    centre = site.opened()
    try:
        found = checks.problems(centre)
    finally:
        centre.close()
    return [item for item in found if not item.startswith(f"outbox of {JUKI}: AK_")]


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


def everything(site: Site) -> None:
    """Two files for the partner, and two from it, with markers."""
    site.at_host(markers=True)
    for number in (1, 2):
        (site.outbox() / f"JQ_koukan_00000{number}.dat").write_bytes(b"request %d" % number)
        content = b"answer %d" % number
        name = f"JA_juki-net_00000{number}.dat"
        site.host.put(name, content)
        marker = Marker(hashlib.sha256(content).hexdigest(), len(content)).written()
        site.host.put(f"{name}.done", marker)


def exchanged(site: Site) -> tuple[dict[str, bytes], ...]:
    """What lies where in the end: at the partner's, and in its inbox and outbox here."""
    here = [{p.name: p.read_bytes() for p in f.iterdir()} for f in (site.inbox(), site.outbox())]
    waiting = {path.name: path.read_bytes() for path in site.host.for_us.iterdir()}
    return site.host.has(), waiting, *here


def test_killed_at_any_boundary_and_repeated_nothing_is_lost_or_twice(site: Site) -> None:
    everything(site)
    expected = None
    boundary = 0
    stopped = True
    while stopped:
        boundary += 1 if nights.LONG or boundary < 1 else STRIDE
        partner_host.emptied(site.host)
        for folder in (site.inbox(), site.outbox()):
            shutil.rmtree(folder)
            folder.mkdir()
        root = site.root
        site.root = root.with_name(f"root-{boundary}")
        shutil.copytree(root, site.root)
        everything(site)
        left, taken = boundary, dict[str, bytes]()

        def observe(event: str, **_: object) -> None:
            nonlocal left
            left -= event != "entered"
            if left == 0:
                raise Stopped

        stopped = False
        try:
            site.run(GO, observe=observe)
        except Stopped:
            stopped = True
        # The partner takes what has its own name and its marker, once and for all.
        for name, content in site.host.has().items():
            if f"{name}.done" in site.host.has():
                assert read_marker(site.host.has()[f"{name}.done"]) == Marker(
                    hashlib.sha256(content).hexdigest(), len(content)
                )
                taken[name] = content
                for gone in (name, f"{name}.done"):
                    (site.host.from_us / gone).unlink()
        site.run(GO)
        again = site.host.has()
        assert not taken.keys() & again.keys()  # no double delivery
        taken |= {name: content for name, content in again.items() if not name.endswith(".done")}
        found = (taken, *exchanged(site)[1:])
        expected = expected or found
        assert found == expected, f"stopped at boundary {boundary}"
        assert site.failing() == []
        shutil.rmtree(site.root)
        site.root = root
    assert boundary > 15
    assert expected is not None
    assert sorted(expected[0]) == ["JQ_koukan_000001.dat", "JQ_koukan_000002.dat"]
    assert expected[1] == expected[3] == {}
    assert sorted(expected[2]) == ["JA_juki-net_000001.dat", "JA_juki-net_000002.dat"]


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
    assert [path.name for path in site.inbox().iterdir()] == ["JA_juki-net_000003.dat"]
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
    assert [path.name for path in site.inbox().iterdir()] == ["JA_juki-net_000003.dat"]
    assert len(list(site.host.for_us.iterdir())) == 6


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
    assert [path.name for path in site.inbox().iterdir()] == [ANSWER_FILE]


def test_a_partner_that_is_not_there_is_told_and_stops_nobody(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    (site.outbox() / "JQ_koukan_000001.dat").write_bytes(b"request")
    server = site.host.server
    site.at_host(port=1)
    monkeypatch.setattr("koukan.engine.hosts.PAUSES", (0.0, 0.0))
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
    assert [path.name for path in site.inbox().iterdir()] == [ANSWER_FILE]
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
