"""A site whose senders come in by a real sshd, with koukan under a user of its own beside them."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import sftp_support
from centres import LIMITS, Place, lay

from koukan.engine.centre import format_folders
from koukan.engine.initialise import initialise
from koukan.formats import require_catalogue
from koukan.samples.scenario import site_toml
from koukan.sites import Site, require_site, server

KOUKAN, GROUP = 3900, 3901
FIRST = 1_000_000 + 100 * os.getpid()  # bounds count processes of a uid: other runs have others
SFTP = '\n[sftp]\nfolder = "/srv/sftp"\nkeys = "/run/koukan-keys"\n'


@dataclass
class Night:
    """The place, its sshd, and everybody's key."""

    place: Place
    site: Site
    server: Any
    keys: dict[str, Path]

    @property
    def exchange(self) -> Path:
        return self.place.root / "exchange"

    def sftp(self, user: str, commands: str, key: str | None = None) -> Any:
        return sftp_support.sftp(self.server, user, self.keys[key or user], commands)

    def run(self, job: str = "register_members") -> Any:
        with as_koukan():
            return self.place.run(job)


@contextmanager
def as_koukan() -> Iterator[None]:
    """The block under the uid of koukan, without the rights of root."""
    groups = os.getgroups()
    os.setgroups([])
    os.setegid(KOUKAN)
    os.seteuid(KOUKAN)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)


def _text(keys: dict[str, str], package_keys: dict[str, str]) -> str:
    """The scenario's site.toml, in which every sender has an account."""
    uids = iter(range(FIRST, FIRST + 100))

    def account(found: re.Match[str]) -> str:
        lines = f"{found[0]}\nuid = {next(uids)}"
        own = keys.get(found[1])
        return f"{lines}\nssh_keys = {json.dumps([own])}" if own else lines

    text = site_toml(package_keys=package_keys)
    head, *senders = text.split("[[sender]]\n")
    named = [re.sub(r'^name = "([a-z-]+)"', account, part, count=1) for part in senders]
    return "buckets = 4\n" + "[[sender]]\n".join([head, *named]) + LIMITS + SFTP


def ids(site: Site) -> dict[str, int]:
    """Number of every account and group that `server.folders` names."""
    found = {sender.name: sender.uid or 0 for sender in site.senders}
    return {**found, "root": 0, "koukan": KOUKAN}


def make_folders(site: Site, top: Path) -> None:
    """What systemd-tmpfiles makes of the generated file."""
    numbers = ids(site)
    for folder in server.folders(site):
        path = top / folder.path
        path.mkdir(exist_ok=True)
        os.chown(path, numbers[folder.owner], numbers[folder.group])
        path.chmod(folder.mode)


@cache
def warm_up() -> None:
    """Once, a run by root: what is imported late may lie where koukan's uid is not let in."""
    with tempfile.TemporaryDirectory() as folder:
        place = Place(Path(folder, "site"), Path(folder, "keys", "batch.key")).initialised()
        lay(place, "kenpo-a", 1, persons=4, bad_persons=2)
        place.run()
        place.run("report_errors")


@contextmanager
def night(
    *names: str, package_keys: dict[str, str] | None = None, more: str = ""
) -> Iterator[Night]:
    """A site with an sshd, in which the named senders have a key. `more` is for [sftp]."""
    sshd = sftp_support.sshd()
    warm_up()
    base = Path(tempfile.mkdtemp(prefix="koukan-sftp-"))
    base.chmod(0o755)
    mask = os.umask(0o022)
    try:
        pairs = {name: sftp_support.key_pair(base, name) for name in names}
        place = Place(base / "site", base / "keys" / "batch.key")
        for folder in (place.root, place.key.parent):
            folder.mkdir()
            os.chown(folder, KOUKAN, KOUKAN)
        public = {name: line for name, (_, line) in pairs.items()}
        place.write_site(_text(public, package_keys or {}) + more)
        site = require_site(place.root / "site.toml", require_catalogue(*format_folders(None)))
        top = base / "srv"
        make_folders(site, top)
        (place.root / "exchange").symlink_to(top)
        made = server.files(site)
        limits = base / "limits"
        limits.write_text(made[server.BOUNDS])
        bound = {str(server.LIMITS_FILE): limits}
        for name in names:
            path = base / f"authorized-{name}"
            path.write_text(made[f"keys/{name}"])
            bound[f"/run/koukan-keys/{name}"] = path
        accounts = [
            sshd.Account(
                item.name, item.uid, item.uid, (), {"": top / item.name}, {site.sftp.group: GROUP}
            )
            for item in server.accounts(site)
        ]
        with as_koukan():
            initialise(place.root, place.key)
        os.umask(0o022)
        config = made["sshd.conf"]
        with sshd.running(base / "sshd", accounts, config=config, files=bound) as running:
            yield Night(place, site, running, {name: key for name, (key, _) in pairs.items()})
    finally:
        os.umask(mask)
        shutil.rmtree(base)
