"""Prepared sites, made once for all journeys, and the processes that fork nights to be killed."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import partner_host
import pytest
from centres import Place
from compacting import many_files
from histories import KYOKAI
from journey import nights
from journey.acts import Outside
from journey.after_night import Done, Open
from journey.forks import ForkServer
from journey.outside import PARTNER, Keys
from journey.partner_site import Site
from journey.played import NightAfter, Played
from journey.stops import stopping
from journey.tampering import Base, next_file
from journey.whole import KENPO_B, whole_night
from partner_host import PartnerHost
from pushing import EXPORT, with_partner
from withdrawals import members, withdraw

from koukan.engine.centre import Centre
from koukan.engine.digest import state_digest
from koukan.engine.run import run_job


@pytest.fixture(scope="session")
def small_site(tmp_path_factory: pytest.TempPathFactory) -> nights.Prepared:
    """The small site after its earlier night, its inboxes empty. Copy it; do not run it."""
    return nights.small_site(tmp_path_factory.mktemp("small-site"))


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> nights.Prepared:
    """The small night, its files in the inboxes. Copy it; do not run it."""
    return nights.small_night(tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> nights.Prepared:
    """The whole night, its files in the inboxes. Copy it; do not run it."""
    return whole_night(tmp_path_factory.mktemp("whole"))


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> nights.Demo:
    """The demo's night, small, its files in the inboxes. Copy it; do not run it."""
    return nights.demo_night(tmp_path_factory.mktemp("demo"))


@pytest.fixture(scope="session")
def memory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder in memory where there is one: no kill of a process can tell it from a disk."""
    shared = Path("/dev/shm")
    if not os.access(shared, os.W_OK | os.X_OK):
        yield tmp_path_factory.mktemp("memory")
        return
    folder = Path(tempfile.mkdtemp(prefix="koukan-journey-", dir=shared))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def opened() -> Iterator[Callable[..., Centre]]:
    """Opens centres that are closed after the test."""
    found: list[Centre] = []

    def open_one(prepared: nights.Prepared, root: Path | None = None, **more: object) -> Centre:
        found.append(prepared.open(root, **more))
        return found[-1]

    yield open_one
    for centre in found:
        centre.close()


@pytest.fixture
def night(whole: nights.Prepared, tmp_path: Path, opened: Open) -> tuple[Centre, Outside]:
    """A copy of the whole night, nothing of it run yet."""
    root = whole.copy(tmp_path / "root")
    centre = opened(whole, root)
    return centre, Outside(root, Keys(whole.people), tmp_path / "outside", whole.now, KENPO_B)


@pytest.fixture(scope="session")
def played(whole: nights.Prepared, tmp_path_factory: pytest.TempPathFactory) -> Played:
    """The whole night after each number of acts."""
    return Played(whole, tmp_path_factory.mktemp("played"))


@pytest.fixture
def night_after(played: Played, whole: nights.Prepared, tmp_path: Path, opened: Open) -> NightAfter:
    """Copies of the whole night after so many acts."""

    def copied(count: int) -> tuple[Centre, Outside]:
        people = played.copy(count, tmp_path / f"after-{count}")
        return opened(whole, people.root), people

    return copied


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PartnerHost]:
    """Its two folders lie as the partner of `outside` has them."""
    folder = tmp_path_factory.mktemp("partner")
    there = folder / "exchange" / PARTNER
    ways = {"for_us": there / "inbox" / "juki_net", "from_us": there / "outbox"}
    with partner_host.partner_host(folder, **ways) as host:
        yield host


@pytest.fixture
def host(running: PartnerHost) -> PartnerHost:
    """A partner's host with nothing in its folders."""
    return partner_host.emptied(running)


@pytest.fixture
def site(whole: nights.Prepared, host: PartnerHost, tmp_path: Path) -> Site:
    """A copy of the whole night whose partner has a host; opened anew for each run."""
    found = Site(whole.copy(tmp_path / "root"), whole, host)
    found.at_host()
    return found


@pytest.fixture
def people(site: Site, tmp_path: Path) -> Outside:
    return Outside(
        site.root, Keys(site.prepared.people), tmp_path / "outside", site.prepared.now, KENPO_B
    )


@pytest.fixture(scope="session")
def done(demo: nights.Demo, tmp_path_factory: pytest.TempPathFactory) -> Done:
    """The demo's night, run once. Look at it; copy it to go on."""
    root = demo.prepared.copy(tmp_path_factory.mktemp("done") / "root")
    centre = demo.prepared.open(root)
    ran = run_job(centre, nights.REGISTER)
    found = Done(root, state_digest(centre), ran.exit)
    centre.close()
    return found


@pytest.fixture
def after(demo: nights.Demo, done: Done, tmp_path: Path, opened: Open) -> Centre:
    """A copy of the demo's site after the night, to go on with."""
    site = nights.Prepared(done.root, demo.prepared.key_file, demo.prepared.now)
    return opened(site, site.copy(tmp_path / "after"))


@pytest.fixture
def looked(demo: nights.Demo, done: Done, opened: Open) -> Centre:
    """The demo's site after the night, to look at only."""
    return opened(demo.prepared, done.root)


@pytest.fixture(scope="session")
def base(small: nights.Prepared, tmp_path_factory: pytest.TempPathFactory) -> Base:
    """The small site after its night, for tampering. Copy it."""
    folder = tmp_path_factory.mktemp("tamper")
    root = small.copy(folder / "root")
    site = nights.Prepared(root, small.key_file, small.now)
    centre = site.open()
    run_job(centre, nights.REGISTER)
    centre.close()
    next_file(root)
    centre = site.open(site.copy(folder / "control"))
    run_job(centre, nights.REGISTER)
    digest = state_digest(centre)
    centre.close()
    return Base(site, small.root, digest)


@pytest.fixture
def root(base: Base, tmp_path: Path) -> Path:
    """A copy of the small site after its night."""
    return base.site.copy(tmp_path / "root")


@pytest.fixture
def picked_up(base: Base, tmp_path: Path) -> Path:
    """The small site with its night's files picked up and nothing done with them yet."""
    found = tmp_path / "picked-up"
    shutil.copytree(base.before, found)
    centre = base.site.open(found)
    with stopping(centre, "entered", step="gate"):
        run_job(centre, nights.REGISTER)
    centre.close()
    return found


@pytest.fixture(scope="session")
def pushed(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Three nights, one push of 36 persons, then five are withdrawn. Copy it; do not run it."""
    folder = tmp_path_factory.mktemp("pushed")
    place = with_partner(many_files(Place(folder / "site", folder / "keys" / "batch.key")))
    place.run(EXPORT)
    with place.opened() as centre:
        withdraw(centre, *members(centre, KYOKAI)[:5])
    return place


@pytest.fixture(scope="session")
def fork_servers() -> Iterator[list[ForkServer]]:
    """As many as two cores can use."""
    servers = [ForkServer() for _ in range(2)]
    yield servers
    for server in servers:
        server.close()
