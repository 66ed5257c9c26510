"""A small site that PMH asks: its requests as bytes, and its packages opened as PMH opens them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyrage
from centres import JOB, LIMITS, Place, lay

from koukan.engine.initialise import initialise
from koukan.engine.packages import open_package
from koukan.keys.package import load_package_identity
from koukan.ledger import served
from koukan.samples.population import Population
from koukan.samples.scenario import site_toml

asked = served.PMH
ISSUE = "issue_pmh_ids"
SEED = 7  # of the persons that `centres.lay` registers


def sender(key: str) -> str:
    return (
        '\n[[sender]]\nname = "pmh"\ntitle = "架空ＰＭＨ"\ndoors = ["pmh_link"]\n'
        f'system = "pmh"\npackage_key = "{key}"\n'
    )


def site(folder: Path, *, persons: int = 8, key: str | None = None) -> Place:
    """A site of four buckets with persons of two insurers, which PMH may ask."""
    place = Place(folder / "root", folder / "keys" / "batch.key")
    place.root.mkdir(parents=True)
    identity = pyrage.x25519.Identity.generate()
    (folder / "pmh.key").write_text(f"{identity}\n", encoding="utf-8")
    (folder / "pmh.key").chmod(0o600)
    known = str(identity.to_public()) if key is None else key
    place.write_site(f"buckets = 4\n{site_toml()}{sender(known)}{LIMITS}")
    initialise(place.root, place.key)
    lay(place, "kenpo-a", 1, persons=persons)
    lay(place, "kenpo-b", 1, persons=persons, first_person=4)
    place.run(JOB)
    return place


def numbers(persons: Sequence[int]) -> list[str]:
    """個人番号 of the invented persons."""
    return Population(SEED).numbers(np.array(persons, np.int64)).to_list()


def request(fields: Sequence[str | bytes], sequence: int = 1) -> bytes:
    """A request file, field by field as they are given."""
    head = f"0000000000,00,PM202604,pmh,{sequence:06d},20260401\r\n".encode()
    lines = [
        f"{number:010d},72,".encode() + (item if isinstance(item, bytes) else item.encode())
        for number, item in enumerate(fields, 1)
    ]
    rows = len(fields)
    total = rows * (rows + 1) // 2
    end = f"9999999999,99,{rows:08d},{rows:08d},{total:018d}\r\n".encode()
    return head + b"".join(line + b"\r\n" for line in lines) + end


def ask(place: Place, fields: Sequence[str | bytes], sequence: int = 1) -> Path:
    path = place.root / "exchange" / "pmh" / "inbox" / "pmh_link" / f"PM_pmh_{sequence:06d}.csv"
    path.write_bytes(request(fields, sequence))
    return path


def packages(place: Place) -> list[Path]:
    return sorted(place.outbox("pmh").glob("PK_*.age"))


def answers(place: Place, at: int = -1) -> list[tuple[bytes, bytes]]:
    """Lines of a package that lies in PMH's outbox: what was asked, and the PMH-ID."""
    return answer_lines(place, packages(place)[at].name)


def answer_lines(place: Place, name: str) -> list[tuple[bytes, bytes]]:
    """The same of the package of that name."""
    path = place.outbox("pmh") / name
    into = place.root.parent / f"opened-{len(list(place.root.parent.glob('opened-*')))}"
    with place.opened() as centre:
        opened = open_package(
            path, load_package_identity(place.root.parent / "pmh.key"), centre.signer.ssh, into
        )
    (file,) = opened.files
    lines = (into / file.name).read_bytes().split(b"\r\n")
    assert lines.pop() == b""
    return [(line.split(b",")[0], line.split(b",")[1]) for line in lines]


def take(place: Place) -> None:
    """PMH moves everything that it finds."""
    for path in packages(place):
        path.rename(place.root / "exchange" / "pmh" / "taken" / path.name)


def states(place: Place) -> list[tuple[str, bool]]:
    with place.opened() as centre:
        return [(item.state, item.erased) for item in asked.answers(centre.ledger)]
