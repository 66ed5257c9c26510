"""A small site whose insurers keep copies (副本), by hand; each insurer has a key of its own."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import polars as pl
from centres import JOB, LIMITS, Place, lay
from histories import member_ids
from independent_reader import Read, read
from package_support import new_pair

from koukan.engine import copies
from koukan.engine.initialise import initialise
from koukan.engine.verify import verify_ledger, verify_tables
from koukan.flows.copies import REPLICA
from koukan.samples.scenario import INSURERS, site_toml

DEPOSIT, RETURN = "register_copies", "return_copies"
OWNERS = ("kenpo-a", "kenpo-b")
NEW, REPLACED, DELETED = "1", "2", "3"
TYPES = {"CP": "94", "CV": "95"}


class Copy(NamedTuple):
    """What a line says of a copy; of a deletion nothing but its key counts."""

    member: str
    content: tuple[str, ...] = ("高額療養費", "202601", "57600")
    kind: str = "0101"
    first: str = "202504"
    last: str = "202603"
    said: str = NEW
    flag: str = "0"
    nondisclosure: str = "0"

    def deleted(self) -> Copy:
        return self._replace(said=DELETED, content=(), flag="", nondisclosure="")

    def replaced(self, *content: str) -> Copy:
        return self._replace(said=REPLACED, content=content)

    @property
    def fields(self) -> list[str]:
        own = [*self.content, *[""] * (6 - len(self.content))]
        key = [self.said, self.member, self.kind, self.first, self.last]
        return [*key, self.flag, self.nondisclosure, *own]


def code(name: str) -> str:
    return INSURERS[name][0].code


def site(folder: Path, *, persons: int = 6, more: str = "", keys: Sequence[str] = OWNERS) -> Place:
    """Members of two health societies, half of them of both, and of a city and a welfare office."""
    place = Place(folder / "root", folder / "keys" / "batch.key")
    place.root.mkdir(parents=True)
    place.key.parent.mkdir(exist_ok=True)
    given = {}
    for name in keys:
        made = new_pair("age")
        own = place.key.parent / f"{name}.txt"
        own.write_bytes(made.private)
        own.chmod(0o600)
        given[code(name)] = made.public
    place.write_site(f"buckets = 4\n{site_toml(package_keys=given)}{LIMITS}\n{more}")
    initialise(place.root, place.key)
    lay(place, "kenpo-a", 1, persons=persons)
    lay(place, "kenpo-b", 1, persons=persons, first_person=persons // 2)
    place.run(JOB)
    return place


def copied(place: Place, folder: Path) -> Place:
    shutil.copytree(place.root.parent, folder, symlinks=True)
    return Place(folder / "root", folder / "keys" / "batch.key", place.now)


def file_of(
    prefix: str, lines: Sequence[Sequence[str]], sender: str, sequence: int, insurer: str
) -> bytes:
    head = f"0000000000,00,{prefix}202604,{sender},{sequence:06d},20260401\r\n"
    body = "".join(
        ",".join((f"{number:010d}", TYPES[prefix], insurer, *line)) + "\r\n"
        for number, line in enumerate(lines, 1)
    )
    rows = len(lines)
    end = f"9999999999,99,{rows:08d},{rows:08d},{rows * (rows + 1) // 2:018d}\r\n"
    return (head + body + end).encode("cp932")


def tell(
    place: Place,
    said: Sequence[Copy],
    sequence: int = 1,
    sender: str = "kenpo-a",
    *,
    insurer: str = "",
    door: str = "",
) -> Path:
    """An insurer's file of copies in its inbox."""
    lines = [one.fields for one in said]
    content = file_of("CP", lines, sender, sequence, insurer or code(sender))
    inbox = place.inbox(sender).with_name(door) if door else place.inbox(sender)
    path = inbox / f"CP_{sender}_{sequence:06d}.csv"
    path.write_bytes(content)
    return path


def ask(
    place: Place,
    members: Sequence[str],
    sequence: int = 1,
    sender: str = "kenpo-a",
    *,
    insurer: str = "",
) -> Path:
    """An insurer asks for its copies; an empty member asks for all."""
    lines = [[one] for one in members]
    content = file_of("CV", lines, sender, sequence, insurer or code(sender))
    inbox = place.inbox(sender).with_name("dedicated_terminal")
    path = inbox / f"CV_{sender}_{sequence:06d}.csv"
    path.write_bytes(content)
    return path


def results(
    place: Place, sequence: int, sender: str = "kenpo-a", prefix: str = "RC_CP"
) -> list[str]:
    """The code of each line, empty where it was taken without a remark."""
    (path,) = place.outbox(sender).glob(f"{prefix}_{sender}_{sequence:06d}*")
    return [line.split(",")[5] for line in path.read_text("cp932").splitlines()[1:-1]]


def rows(place: Place, sender: str = "kenpo-a") -> pl.DataFrame:
    """All rows of an insurer's partition."""
    with place.opened() as centre:
        found = centre.snapshot(REPLICA)
        return found.read(found.files(insurer=code(sender))).sort("reception", "line_number")


def packages(place: Place, sender: str = "kenpo-a") -> list[Path]:
    return sorted(place.outbox(sender).glob("CX_*.age"))


def opened(place: Place, sender: str = "kenpo-a") -> list[Read]:
    """An insurer's packages as it opens them without koukan."""
    signers = place.key.parent / "signers"
    with place.opened() as centre:
        signers.write_text(f"koukan {centre.signer.ssh}\n", encoding="ascii")
    own = place.key.parent / f"{sender}.txt"
    return [read(path, own, signers) for path in packages(place, sender)]


def told(found: Read) -> list[tuple[str, ...]]:
    """What an extract says of each copy: its key and the content that there is."""
    lines = [line.split(",") for line in found.content.decode("cp932").splitlines()[1:-1]]
    return [(*line[1:5], *filter(None, line[7:13])) for line in lines]


def take(place: Place, sender: str = "kenpo-a") -> None:
    """The insurer moves everything that it finds."""
    for path in packages(place, sender):
        path.rename(place.root / "exchange" / sender / "taken" / path.name)


def with_copies(place: Place, folder: Path) -> Place:
    """The same when both have copies of two kinds of each member."""
    place = copied(place, folder)
    for sender in OWNERS:
        lines = [
            Copy(member, (sender, kind, "57600"), kind=kind)
            for member in member_ids(place, sender)
            for kind in ("0101", "0201")
        ]
        tell(place, lines, sender=sender)
    place.run(DEPOSIT)
    return place


def sound(place: Place) -> None:
    """Nothing contradicts the ledger, and every file of a table can be read."""
    with place.opened() as centre:
        assert verify_ledger(centre) == verify_tables(centre) == []


def stand(place: Place, sender: str = "kenpo-a") -> list[tuple[str, ...]]:
    """What stands in an insurer's partition, as `told` has it."""
    with place.opened() as centre:
        found = pl.concat(list(copies.standing(centre, code(sender))))
    columns = ["member_id", "specific_information_code", "period_start_month", "period_end_month"]
    content = [f"content_{number}" for number in range(1, 7)]
    lines = found.with_columns(pl.col("member_id").cast(pl.String).str.zfill(10))
    return [tuple(filter(None, line)) for line in lines.select(*columns, *content).iter_rows()]
