"""What surrounds a 資格確認実績ログ: its offices, what is sealed of it, and what is destroyed.

    packages/p<reception>-<ordinal>    an office's lines, or those of which no office is known

Each has a random key of its own. The log itself goes as soon as its lines are sealed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

import numpy as np
import polars as pl

from koukan.engine import entrusted, own_packages
from koukan.engine.centre import Centre
from koukan.engine.packages import SIGNED
from koukan.engine.stages import packed, unpacked
from koukan.engine.steps import erase
from koukan.engine.steps.review import speaker_for
from koukan.flows import usage
from koukan.ledger import Reception
from koukan.ledger import usage as known
from koukan.ledger.laid_packages import USAGE
from koukan.ledger.own_packages import Package
from koukan.ledger.usage import Held
from koukan.rules.register import Ints
from koukan.sites.payers import payers as payers_of

LENGTH = 8  # bytes before each frame of held lines


class Office(NamedTuple):
    """A welfare office to which lines may go."""

    insurer: str
    sender: str


class Offices(NamedTuple):
    """公費負担者番号, ascending, and for each the place of its office; one may have several."""

    payers: tuple[int, ...]
    places: tuple[int, ...]
    offices: tuple[Office, ...]

    def place_of(self, payer: Ints) -> Ints:
        """The places of offices by the places of their payers; negative ones stay."""
        places = np.array([*self.places, -1], np.int64)
        return np.asarray(np.where(payer < 0, payer, places[payer]), np.int64)


def offices(centre: Centre) -> Offices:
    """Whom the site knows. One for which nobody may speak gets nothing: its lines are held."""
    payers = sorted(payers_of(centre.site, centre.catalogue).items())
    found: dict[str, Office] = {}
    for insurer in sorted({insurer for _, insurer in payers}):
        sender = speaker_for(centre, insurer)
        if sender is not None:
            found[insurer] = Office(insurer, sender)
    places = {insurer: place for place, insurer in enumerate(found)}
    own = [(payer, places[insurer]) for payer, insurer in payers if insurer in places]
    return Offices(
        tuple(payer for payer, _ in own),
        tuple(place for _, place in own),
        tuple(found.values()),
    )


# --- lines of which no office is known


class Kept(NamedTuple):
    """Held lines as they were sealed; `payers` is how many 公費負担者番号 they have."""

    ordinal: int
    rows: int
    payers: int


def seal_held(centre: Centre, reception: int, ordinal: int, lines: Iterable[pl.DataFrame]) -> Kept:
    """Write them durably, under a key of their own, frame by frame behind its length."""
    rows, payers = 0, set[str]()

    def blocks() -> Iterator[bytes | memoryview]:
        nonlocal rows
        for frame in lines:
            if frame.height:
                rows += frame.height
                payers.update(frame[usage.PAYER].unique())
                content = packed(frame)
                yield len(content).to_bytes(LENGTH, "big")
                yield content

    entrusted.seal_result(centre, reception, ordinal, blocks())
    return Kept(ordinal, rows, len(payers))


def open_held(centre: Centre, item: Held) -> Iterator[pl.DataFrame]:
    """The lines, as typed, frame by frame."""
    waiting = bytearray()
    for block in entrusted.result_blocks(centre, item.reception, item.ordinal):
        waiting += block
        while len(waiting) >= (stop := LENGTH + int.from_bytes(waiting[:LENGTH], "big")) > LENGTH:
            yield unpacked(bytes(waiting[LENGTH:stop]))
            del waiting[:stop]


def payers_held(centre: Centre, item: Held) -> pl.DataFrame:
    """公費負担者番号 of held lines and how many each has, for who may see them."""
    parts = [frame.group_by(usage.PAYER).agg(rows=pl.len()) for frame in open_held(centre, item)]
    return pl.concat(parts).group_by(usage.PAYER).agg(pl.col("rows").sum()).sort(usage.PAYER)


# --- what is taken, and what is over


def collect(centre: Centre, job: str) -> None:
    """Note which packages their offices have, by `taken/` or by 受領確認."""
    waiting = known.all_packages(centre.ledger, states=["laid_out"])
    found = own_packages.collected(centre, waiting, kind=USAGE)
    if not found:
        return
    with centre.log.operation("collect", job=job) as operation:
        with centre.ledger.begin() as transaction:
            for item in found:
                values = {"state": "delivered", "closed_at": centre.now()}
                known.set_package(transaction, item, **values)
        operation.note(packages=len(found))
    centre.observe("usage collected", step="provide")


def late(centre: Centre) -> tuple[list[Package], list[Held]]:
    """Packages that nobody collected, and held lines, whose time is over."""
    kept = timedelta(days=centre.site.usage.kept_days)

    def over(moment: str) -> bool:
        return datetime.fromisoformat(moment) + kept <= centre.clock()

    packages = known.all_packages(centre.ledger, states=known.OPEN)
    lines = known.all_held(centre.ledger, states=known.WAITING)
    return [item for item in packages if over(item.built_at)], [
        item for item in lines if over(item.since)
    ]


def expire(centre: Centre, job: str) -> None:
    """What nobody has collected or decided in time is over, and goes."""
    packages, lines = late(centre)
    if packages or lines:
        with centre.log.operation("expire", job=job) as operation:
            with centre.ledger.begin() as transaction:
                for package in packages:
                    values = {"state": "expired", "closed_at": centre.now()}
                    known.set_package(transaction, package, **values)
                for item in lines:
                    known.set_held(transaction, item, state="expired")
            operation.note(expired=len(packages) + len(lines))
        centre.observe("usage expired", step="expire")
    erase_closed(centre, job)


def closed(centre: Centre) -> tuple[list[Package], list[Held]]:
    """What is over, and not destroyed yet."""
    lines = known.all_held(centre.ledger, states=(*known.GIVEN_UP, "released"))
    packages = known.all_packages(centre.ledger, states=known.CLOSED, erased=False)
    return packages, [item for item in lines if not item.erased]


def erase_closed(centre: Centre, job: str) -> None:
    """Destroy what is over, each with its record; killed anywhere, the next run does the rest."""
    packages, lines = closed(centre)
    if not packages and not lines:
        return
    with centre.log.operation("erase_packages", job=job) as operation:
        for package in packages:
            erase_package(centre, package)
            centre.observe("usage package erased", step="provide")
        for item in lines:
            erase_held(centre, item)
            centre.observe("held lines erased", step="provide")
        operation.note(destroyed=len(packages) + len(lines))


def what(item: Package | Held) -> str:
    """Its name among the erasure records of its log."""
    return f"{'usage' if isinstance(item, Package) else 'held'}-{item.ordinal:04d}"


def recorded(item: Package | Held) -> dict[str, object]:
    """What the erasure record says, by the ledger; verified against it later."""
    said: dict[str, object] = {
        "what": what(item),
        "reception": item.reception,
        "rows": item.rows,
        "how": item.state,
    }
    if isinstance(item, Package):
        said |= {
            "insurer": item.insurer,
            "package": item.name,
            "file_sha256": item.file_sha256,
            "archive_sha256": item.archive_sha256 or "",
        }
    return said


def erase_package(centre: Centre, item: Package) -> None:
    """Key first: with it gone the rest is for its office alone, and goes as well."""
    entrusted.destroy_result(centre, item.reception, item.ordinal)
    centre.observe("usage package's key destroyed", step="provide")
    for folder in (centre.outbox(item.sender), centre.taken(item.sender)):
        for name in (item.name, item.name + SIGNED):
            folder.remove(name)
    with centre.ledger.begin() as transaction:
        erase.put(centre, transaction, what(item), item.reception, recorded(item))
        known.set_package(transaction, item, erased=True)


def erase_held(centre: Centre, item: Held) -> None:
    """Lines that are in later packages by now leave no record: nothing of them was given up."""
    entrusted.destroy_result(centre, item.reception, item.ordinal)
    with centre.ledger.begin() as transaction:
        if item.state in known.GIVEN_UP:
            erase.put(centre, transaction, what(item), item.reception, recorded(item))
        known.set_held(transaction, item, erased=True)


# --- what a killed run left


def over(centre: Centre) -> list[Reception]:
    """Logs whose lines are sealed by office, and copies of them, that are not destroyed yet."""
    return [
        item
        for item in centre.ledger.closed_unerased()
        if item.format == usage.LOG and item.outcome in ("accepted", "duplicate")
    ]


def finish(centre: Centre) -> None:
    """Destroy split logs, and what was sealed of one that the ledger does not know."""
    done = over(centre)
    if done:
        erase.erase(centre, *done)
        centre.observe("log erased", step="allot")
    for reception, ordinal in strangers(centre):
        entrusted.destroy_result(centre, reception, ordinal)


def strangers(centre: Centre) -> Iterator[tuple[int, int]]:
    """Sealed files of split logs that a killed attempt left under ordinals of its own."""
    logs = {item.reception for item in known.all_logs(centre.ledger)}
    if not logs:
        return
    sealed = {(item.reception, item.ordinal) for item in known.all_packages(centre.ledger)}
    sealed |= {(item.reception, item.ordinal) for item in known.all_held(centre.ledger)}
    for found in entrusted.results(centre):
        if found[0] in logs and found not in sealed:
            yield found
