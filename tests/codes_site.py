"""A small site that acquires 機関別符号: its requests approved, its answers by the counterpart."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from argparse import Namespace
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from types import ModuleType

import numpy as np
import polars as pl
from centres import JOB, LIMITS, Place, lay
from staff import Staff, employ

from koukan.engine import approvals
from koukan.engine.desk import open_desk
from koukan.engine.initialise import initialise
from koukan.engine.run import Ran
from koukan.flows.codes import CODES
from koukan.samples.population import Population
from koukan.samples.scenario import SCENARIO, site_toml

ACQUIRE = "acquire_codes"
SATO = Staff("sato", ("send", "code", "reissue"))
ADMIN = Staff("admin", ("administer",))
BOTH = Staff("both", ("administer", "reissue"))
NWS = (
    '\n[[sender]]\nname = "nws"\ntitle = "架空情報提供ネットワークシステム"\n'
    'doors = ["nws"]\nsystem = "nws"\n'
)
PROGRAM = Path(__file__).resolve().parents[1] / "scripts" / "counterparts" / "nws.py"


@cache
def counterpart() -> ModuleType:
    """The counterpart, which is no package."""
    spec = importlib.util.spec_from_file_location("nws", PROGRAM)
    assert spec is not None and spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    sys.modules["nws"] = found
    spec.loader.exec_module(found)
    return found


def site(folder: Path, *, persons: int = 8, waiting: int | None = None, more: str = "") -> Place:
    """A site of four buckets with persons of two insurers, of whom four are of both.

    Args:
        waiting: an invented person, who comes without 個人番号.
    """
    place = Place(folder / "root", folder / "keys" / "batch.key")
    place.root.mkdir(parents=True)
    place.write_site(f"buckets = 4\n{site_toml()}{NWS}{LIMITS}\n[codes]\ntries = 2\n{more}")
    employ(place.root, SATO, ADMIN, BOTH)
    initialise(place.root, place.key)
    lay(place, "kenpo-a", 1, persons=persons)
    lay(place, "kenpo-b", 1, persons=persons, first_person=persons // 2)
    lay(place, "nhi-aggregation", 1, persons=1, first_person=90, insurer="mihon-shi")
    if waiting is not None:
        path = lay(place, "kenpo-a", 2, persons=1, first_person=waiting)
        (number,) = Population(7).numbers(np.array([waiting])).to_list()
        path.write_bytes(path.read_bytes().replace(str(number).encode(), b""))
    place.run(JOB)
    return place


def copied(place: Place, folder: Path) -> Place:
    shutil.copytree(place.root.parent, folder, symlinks=True)
    return Place(folder / "root", folder / "keys" / "batch.key", place.now)


def approve(place: Place) -> list[int]:
    """Sato approves all that waits."""
    desk = open_desk(place.root, clock=lambda: place.now)
    waiting = [item["approval"] for item in approvals.pending(desk)]
    given = [approvals.approve(desk, number, SATO.signing).approval for number in waiting]
    desk.close()
    return given


def send(place: Place) -> Ran:
    """Cut what is wanted, approve it, send it."""
    place.run(ACQUIRE)
    approve(place)
    return place.run(ACQUIRE)


def answer(place: Place, *, late: int = 0, doubly: bool = False, wrongly: bool = False) -> int:
    """The counterpart's turn; how many rows it gives."""
    told, code = counterpart().run(
        Namespace(
            exchange=place.root / "exchange",
            state=place.root.parent / "nws",
            seed=1,
            late=late,
            doubly=doubly,
            wrongly=wrongly,
        )
    )
    assert code == 0
    return int(told["rows"])


def events(place: Place) -> pl.DataFrame:
    """All rows of the table."""
    with place.opened() as centre:
        found = centre.snapshot(CODES)
        return found.read(found.files()).sort("group_number", "link_number")


def wish(place: Place, members: Sequence[str], sequence: int = 1, sender: str = "kenpo-a") -> Path:
    """An insurer asks for codes."""
    insurer = SCENARIO.sender(sender).insurers[0]
    head = f"0000000000,00,CQ202604,{sender},{sequence:06d},20260401\r\n"
    body = "".join(
        f"{number:010d},81,{insurer},{member}\r\n" for number, member in enumerate(members, 1)
    )
    rows = len(members)
    total = rows * (rows + 1) // 2
    end = f"9999999999,99,{rows:08d},{rows:08d},{total:018d}\r\n"
    path = place.inbox(sender) / f"CQ_{sender}_{sequence:06d}.csv"
    path.write_bytes((head + body + end).encode("cp932"))
    return path


def give(place: Place, rows: Sequence[tuple[str, str, str, str]], sequence: int) -> Path:
    """NWS answers by hand: number, class, code, detail."""
    lines = [f"0000000000,00,NC202604,nws,{sequence:06d},20260401"]
    for number, (one, kind, code, detail) in enumerate(rows, 1):
        lines.append(f"{number:010d},83,{one},{kind},{code},{detail},")
    count = f"{len(rows):08d}"
    total = len(rows) * (len(rows) + 1) // 2
    lines.append(f"9999999999,99,{count},{count},{total:018d}")
    path = place.root / "exchange" / "nws" / "inbox" / "nws" / f"NC_nws_{sequence:06d}.csv"
    path.write_bytes("".join(f"{line}\r\n" for line in lines).encode("cp932"))
    return path
