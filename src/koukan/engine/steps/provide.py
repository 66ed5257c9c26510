"""provide: each welfare office gets its lines of a 資格確認実績ログ in a sealed package.

Flow 5. Held lines whose offices the site knows by now go, too, once an operator has said so. What
an office has, by `taken/` or 受領確認, is erased here and in `deliver`, at the latest by `expire`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import partial

import numpy as np
import polars as pl

from koukan.engine import own_packages
from koukan.engine import usage as engine
from koukan.engine.centre import Centre
from koukan.engine.parcels import Parcel, held_row, row_of, seal_one
from koukan.engine.recipients import fitting
from koukan.engine.usage import Offices
from koukan.flows import usage
from koukan.ledger import usage as known
from koukan.ledger.laid_packages import USAGE, LaidPackage, laid
from koukan.ledger.own_packages import Package
from koukan.ledger.usage import Held, Log
from koukan.rules.line_keys import NONE
from koukan.rules.usage import offices_of
from koukan.sites import Job

NOTED = 25  # packages that the ledger notes at a time


def run(centre: Centre, job: Job) -> None:
    """Let go what was held and may go; erase what is over; lay out what is built."""
    engine.finish(centre)  # of a run that was killed between its ledger and its erasure
    release(centre, job)
    engine.collect(centre, job.name)
    engine.erase_closed(centre, job.name)
    lay_out(centre, job)


# --- held lines


def release(centre: Centre, job: Job) -> None:
    """Look again at the held lines of which an operator said so."""
    wished = known.all_held(centre.ledger, states=["wished"])
    if not wished:
        return
    logs = {item.reception: item for item in known.all_logs(centre.ledger)}
    with centre.log.operation("release", job=job.name) as operation:
        rows = sum(release_one(centre, logs[item.reception], item) for item in wished)
        operation.note(released=rows)
    engine.erase_closed(centre, job.name)


def release_one(centre: Centre, log: Log, item: Held) -> int:
    """Seal a log's held lines anew, by office and what is left; how many went.

    Killed before the ledger knows, it is done again under the same ordinals.
    """
    offices = engine.offices(centre)
    rows = rows_of(centre, item, offices)
    first = newest_ordinal(centre, item.reception) + 1
    going = [place for place in sorted(rows) if place >= 0]
    sealed = []
    for ordinal, place in enumerate(going, first):
        parcel = Parcel(ordinal, offices.offices[place], place, rows[place])
        lines = partial(lines_of, centre, item, offices, place)
        sealed.append(seal_one(centre, log, parcel, lines))
    kept = None
    if rows.get(NONE):
        left = lines_of(centre, item, offices, NONE)
        kept = engine.seal_held(centre, item.reception, first + len(going), left)
    centre.observe("held lines sealed", step="provide")
    reception = centre.ledger.reception(item.reception)
    with centre.ledger.begin() as transaction:
        known.set_held(transaction, item, state="released")
        for each in sealed:
            known.put_package(transaction, row_of(centre, reception, each))
        if kept is not None:
            known.put_held(transaction, held_row(centre, item.reception, kept, item.since))
    centre.observe("held lines released", step="provide")
    return sum(rows[place] for place in going)


def places_in(frame: pl.DataFrame, offices: Offices) -> pl.Series:
    """By line the place of its office; `NONE` where none is known."""
    payers = np.array(offices.payers, np.int64)
    return pl.Series("place", offices.place_of(offices_of(frame[usage.PAYER], payers)))


def rows_of(centre: Centre, item: Held, offices: Offices) -> dict[int, int]:
    """How many of the held lines each office has by now; `NONE`: those without one."""
    found: Counter[int] = Counter()
    for frame in engine.open_held(centre, item):
        found.update(dict(places_in(frame, offices).value_counts().iter_rows()))
    return dict(found)


def lines_of(centre: Centre, item: Held, offices: Offices, place: int) -> Iterator[pl.DataFrame]:
    """An office's lines among the held ones."""
    for frame in engine.open_held(centre, item):
        yield frame.filter(places_in(frame, offices) == place)


def newest_ordinal(centre: Centre, reception: int) -> int:
    """Of what was ever sealed of a log."""
    packages = known.all_packages(centre.ledger, receptions=[reception])
    lines = known.all_held(centre.ledger, reception=reception)
    return max([*(item.ordinal for item in packages), *(item.ordinal for item in lines)])


# --- laying out


def lay_out(centre: Centre, job: Job) -> None:
    """Lay out what is built, and anew what lies there for a key that its office has no more."""
    built = known.all_packages(centre.ledger, states=["built"])
    again = outdated(centre)
    if not built and not again:
        return
    hindrance = centre.site.hindrances()
    waiting = [item for item in built if hindrance(item.insurer, item.sender) is None]
    tasks = [*waiting, *again]
    lots = [tuple(tasks[start : start + NOTED]) for start in range(0, len(tasks), NOTED)]
    with centre.log.operation("lay_out", job=job.name) as operation:
        done = 0
        for lot in centre.workers.map(lay_lot, lots):
            own_packages.note(centre, lot, known.set_package)
            done += sum(found is not None for _, found in lot)
            centre.observe("usage laid out", step="provide", done=done, total=len(tasks))
        operation.note(packages=done, waiting=len(built) + len(again) - done)


def outdated(centre: Centre) -> list[Package]:
    """Not collected yet, and encrypted to another key than their office has now."""
    fits = fitting(centre)
    keys = {(one.sender, one.name): one.key_sha256 for one in laid(centre.ledger, USAGE)}
    return [
        item
        for item in known.all_packages(centre.ledger, states=["laid_out"])
        if not fits(item.insurer, item.sender, keys.get((item.sender, item.name)))
        and centre.taken(item.sender).holds(item.name) != item.sha256
    ]


def lay_lot(centre: Centre, lot: tuple[Package, ...]) -> list[tuple[Package, LaidPackage | None]]:
    """Task: packages into their offices' outboxes."""
    done = []
    for item in lot:
        done.append((item, own_packages.lay_one(centre, item, form=usage.EXTRACT, kind=USAGE)))
        centre.observe("usage package laid out", step="provide")
    return done
