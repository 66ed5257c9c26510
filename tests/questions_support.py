"""A site on the real clock that asks 住基ネット, with two persons who may approve; act by act."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from journey import nights
from journey.outside import JukiNet, Keys, collect, with_package_keys
from journey.whole import lay_file

from koukan.engine.initialise import initialise
from koukan.shipped import jobs_folder

NEVER = "59 23 31 12 *"  # but once a year: what a test sees does not depend on the minute
INSURERS = {name: nights.INSURERS[name][0].code for name in ("kenpo-a", "kenpo-b")}


@dataclass(frozen=True)
class Asking:
    """The site, its keys, and what the others do."""

    root: Path
    key: Path
    keys: Keys

    @property
    def options(self) -> tuple[str, ...]:
        return ("--root", str(self.root), "--key", str(self.key))

    @property
    def seen(self) -> tuple[str, str]:
        return ("--root", str(self.root))

    def answered(self) -> list[str]:
        return JukiNet(self.root, self.key.parent / "partner").answer()

    def collected(self, sender: str) -> None:
        collect(self.root, sender)


def asking(folder: Path, policy: str = "send = 2") -> Asking:
    """Questions of two insurers in the inboxes."""
    root, key = folder / "root", folder / "keys" / "batch.key"
    root.mkdir(parents=True)
    keys = Keys(folder / "keys" / "people")
    more = keys.make(INSURERS.values()).replace("2026-01-01", "2020-01-01")
    text = with_package_keys(nights.site_text(nights.SMALL), keys, INSURERS.values())
    head, limits, rest = text.partition("[limits]")
    text = f"{head}{more}\n[approvals]\n{policy}\n\n{limits}{rest}"
    (root / "site.toml").write_text(text, encoding="utf-8")
    schedule(root, NEVER)
    initialise(root, key)
    site = Asking(root, key, keys)
    for sender, asked in (("kenpo-a", range(500, 507)), ("kenpo-b", range(520, 525))):
        lay(site, sender, asked)
    return site


def schedule(root: Path, times: str) -> None:
    """Let every job of the site be due at these times."""
    (root / "jobs").mkdir(exist_ok=True)  # and none between them
    for path in jobs_folder().glob("*.toml"):
        text = re.sub(
            r"^schedule = .*$", f'schedule = "{times}"', path.read_text("utf-8"), flags=re.MULTILINE
        )
        text = re.sub(r"^every_tick = \[[^]]*\]\n", "", text, flags=re.MULTILINE)
        (root / "jobs" / path.name).write_text(text, encoding="utf-8")


def lay(site: Asking, sender: str, asked: range, sequence: int = 1) -> str:
    night = nights.Night(
        site.root,
        nights.Population(nights.SEED),
        nights.formats(),
        nights.NIGHT_DAY,
        nights.PERSONS,
    )
    return lay_file(night, sender, "my_number_query", asked, sequence=sequence)
