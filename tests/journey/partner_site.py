"""A site whose 住基ネット has a host of its own: a real sshd, which koukan visits."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import partner_host
from journey import checks, nights, outside
from journey.acts import GO, Outside
from journey.outside import PARTNER
from partner_host import PartnerHost

from koukan.engine.centre import Centre, open_centre
from koukan.engine.run import Ran, run_job, tick
from koukan.errors import Exit
from koukan.exchange.marker import DONE
from koukan.reports import status


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
        return self.root / "exchange" / PARTNER / "inbox" / "juki_net"

    def arrived(self) -> list[str]:
        """Names of files in the inbox, without their markers."""
        return [path.name for path in self.inbox().iterdir() if path.suffix != DONE]

    def outbox(self) -> Path:
        return self.root / "exchange" / PARTNER / "outbox"


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
    return [item for item in found if not item.startswith(f"outbox of {PARTNER}: AK_")]


@dataclass
class Partner:
    """住基ネット at a host of its own, which koukan visits around each job, or in our folders.

    Its folders are those of `outside.JukiNet`, so whatever a test does is the same for both.
    """

    site: Site
    state: Path
    hosted: bool

    def __post_init__(self) -> None:
        self.state.mkdir(parents=True, exist_ok=True)
        if self.hosted:
            self.site.at_host()

    @property
    def net(self) -> outside.JukiNet:
        return outside.JukiNet(self.site.host.folder if self.hosted else self.site.root, self.state)

    def put(self, name: str, content: bytes) -> None:
        """A file for us."""
        self.net.put(name, content)
        if self.hosted:
            os.chown(self.site.host.for_us / name, partner_host.UID, partner_host.UID)

    def requests(self) -> list[outside.Request]:
        """What it was asked; it has taken that then."""
        found = []
        for path in sorted((self.net.exchange / "outbox").glob("JQ_*")):
            found.append(outside.read_request(path))
            path.unlink()
        return found

    def run(self, *jobs: str) -> list[Exit]:
        """Jobs, and the visits to its host before and after them."""
        return self.site.run(GO, *jobs, GO) if self.hosted else self.site.run(*jobs)
