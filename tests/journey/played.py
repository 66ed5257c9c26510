"""The whole night up to one of its acts: played once, and copied by whoever goes on from there."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from journey import nights
from journey.acts import ACTS, NIGHT, Outside
from journey.outside import Keys
from journey.whole import KENPO_B

from koukan.engine.centre import Centre
from koukan.engine.run import run_job

PACKAGED = NIGHT.index("take")  # after so many acts the packages lie in the outboxes
NightAfter = Callable[[int], tuple[Centre, Outside]]  # of so many acts, to go on with


def until(name: str) -> int:
    """How many acts there are up to and with the first one of this name."""
    return NIGHT.index(name) + 1


@dataclass
class Played:
    """The night's site after so many acts as were asked for; each goes on from the one before."""

    whole: nights.Prepared
    folder: Path
    _made: list[int] = field(default_factory=list)

    def outside(self, folder: Path) -> Outside:
        """Everybody who acts on the site in a folder."""
        keys = Keys(self.whole.people)
        return Outside(folder / "root", keys, folder / "outside", self.whole.now, KENPO_B)

    def after(self, count: int) -> Outside:
        """The site after so many acts. Copy it; do not run it."""
        people = self.outside(self.folder / f"{count}")
        if count in self._made:
            return people
        first = max((made for made in self._made if made < count), default=0)
        if first:
            self.copy(first, people.root.parent)
        else:
            self.whole.copy(people.root)
        centre = self.whole.open(people.root)
        for name in NIGHT[first:count]:
            if name in ACTS:
                ACTS[name](people, centre)
            else:
                run_job(centre, name)
        centre.close()
        self._made.append(count)
        return people

    def copy(self, count: int, folder: Path) -> Outside:
        """A copy of all of it, the partner's and the insurers' own folder, too."""
        source = self.after(count).root.parent
        shutil.copytree(source, folder, symlinks=True, dirs_exist_ok=True)
        return self.outside(folder)
