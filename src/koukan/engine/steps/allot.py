"""allot: the lines of a 資格確認実績ログ go to their welfare offices, and the log vanishes.

Flow 5. Lines go by 公費負担者番号; those of which no office is known are held. Each office's lines
are sealed under a key of their own; then the ledger knows; then the log is destroyed, in this very
step. A later version of a log replaces the earlier ones whole: whoever was given any of theirs is
given the new one, if it has nothing left of it an empty one, and what nobody has collected goes.
Killed before the ledger knows, all is done again from the log; after it, what is missing.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import numpy as np
import polars as pl

from koukan.codecs.gate import NOBODY
from koukan.engine import originals, singly
from koukan.engine import usage as engine
from koukan.engine.centre import Centre
from koukan.engine.groups import Chunk, receptions_of, stage_of
from koukan.engine.parcels import Parcel, Sealed, held_row, row_of, seal_one
from koukan.engine.steps.gate import close, turn_away
from koukan.engine.steps.link import beyond_shares
from koukan.engine.steps.validate import ROW
from koukan.engine.usage import Kept, Offices
from koukan.flows import usage
from koukan.ledger import Counts, Group, Ledger, Reception
from koukan.ledger import usage as known
from koukan.ledger.usage import Log
from koukan.rules.checks import FINDINGS
from koukan.rules.register import Mask
from koukan.rules.usage import offices_of

LOT = 100_000  # lines that a task has in memory, unless one office has more
OFFICE = "__office"  # place of a line's office


class Dealing(NamedTuple):
    """A chunk whose lines are dealt out to lots of offices."""

    chunk: Chunk
    offices: Offices
    lots: int


class Dealt(NamedTuple):
    """How many lines each office has, and how many have none."""

    rows: tuple[int, ...]
    held: int
    lots: int


class Lot(NamedTuple):
    """Offices whose lines lie in the same stages."""

    number: int
    log: Log
    group: int
    attempt: int
    chunks: tuple[int, ...]
    parcels: tuple[Parcel, ...]


class Splitting(NamedTuple):
    """A log that is being split; `earlier` are the versions of it that were split before."""

    group: Group
    reception: Reception
    chunks: tuple[Chunk, ...]
    log: Log
    earlier: tuple[Log, ...]
    offices: Offices


class Came(NamedTuple):
    """What was sealed of a log."""

    sealed: list[Sealed]
    kept: Kept | None


class Judged(NamedTuple):
    """A log's lines: those that are wrong or repeat others, and what is said of them."""

    rejected: Mask
    duplicate: Mask
    findings: pl.DataFrame
    refusal: str | None


def run(centre: Centre, group: Group, chunks: list[Chunk], pending: Iterator[pl.DataFrame]) -> None:
    """Split one log, or refuse it."""
    centre.observe("entered", step="allot")
    (reception,) = receptions_of(centre, group)
    engine.collect(centre, reception.job)  # what an office has is not taken back from it
    with centre.log.operation("allot", group=group.number, reception=reception.number) as operation:
        log = log_of(centre, reception)
        earlier = tuple(known.all_logs(centre.ledger, log_number=log.log_number))
        judged = judge(centre, group, reception, chunks, pending)
        refusal = judged.refusal
        if any(item.version >= log.version for item in earlier):
            refusal = usage.NOT_NEWER
        if refusal is not None:
            refuse(centre, group, reception, refusal)
        else:
            offices = engine.offices(centre)
            splitting = Splitting(group, reception, tuple(chunks), log, earlier, offices)
            came = seal_all(centre, splitting, deal_all(centre, splitting, judged))
            centre.observe("lines sealed", step="allot")
            note(centre, splitting, judged, came)
            operation.note(packages=len(came.sealed), held=came.kept.rows if came.kept else 0)
    centre.observe("allotted", step="allot")
    engine.finish(centre)


def log_of(centre: Centre, reception: Reception) -> Log:
    """Which log it is, by its control record."""
    control = originals.control_of(centre, reception)
    number, version = control["log_number"], int(control["log_version"])
    return Log(
        reception.number,
        number,
        version,
        reception.rows,
        superseded=False,
        allotted_at=centre.now(),
    )


def judge(
    centre: Centre,
    group: Group,
    reception: Reception,
    chunks: list[Chunk],
    pending: Iterator[pl.DataFrame],
) -> Judged:
    """Which lines are out; the good ones are named in a stage of each chunk."""
    nobody = np.zeros(0, np.bool_)
    if not chunks:
        return Judged(nobody, nobody, FINDINGS.to_frame(), None)
    content, judgement = singly.judged(centre, group, [reception], chunks)
    refused, _ = beyond_shares(centre, content, judgement.rejected)
    good = ~judgement.rejected & ~judgement.duplicate
    stage = stage_of(centre, group.number, group.attempt)
    for chunk in chunks:
        rows = np.flatnonzero(good[chunk.row : chunk.row + chunk.rows])
        stage.put(f"{chunk.number:05d}.good", pl.DataFrame({ROW: rows}))
    findings = pl.concat([FINDINGS.to_frame(), judgement.findings, *pending])
    refusal = refused.get(reception.number)
    return Judged(judgement.rejected, judgement.duplicate, findings, refusal)


def refuse(centre: Centre, group: Group, reception: Reception, code: str) -> None:
    """Nothing of the log is passed on."""
    with centre.ledger.begin() as transaction:
        counts = centre.ledger.counts(reception.number)
        turn_away(centre, transaction, reception, code, counts)
        Ledger.set_group(transaction, group.number, "committed")


# --- dealing out


def deal_all(centre: Centre, work: Splitting, judged: Judged) -> Dealt:
    """Leave every chunk's lines in stages by lot of offices."""
    good = int(np.count_nonzero(~judged.rejected & ~judged.duplicate))
    lots = lots_for(good, work.offices)
    items = [Dealing(chunk, work.offices, lots) for chunk in work.chunks]
    rows, held = np.zeros(len(work.offices.offices), np.int64), 0
    for done, dealt in enumerate(centre.workers.map(deal, items), 1):
        rows += np.array(dealt.rows, np.int64)
        held += dealt.held
        centre.observe("dealt out", step="allot", done=done, total=len(items))
    return Dealt(tuple(rows.tolist()), held, lots)


def lots_for(rows: int, offices: Offices) -> int:
    """How many lots: so that each has some `LOT` lines, and at least one office."""
    return max(1, min(rows // LOT + 1, len(offices.offices)))


def deal(centre: Centre, item: Dealing) -> Dealt:
    """Task: a chunk's good lines by lot of offices, those without an office apart."""
    chunk = item.chunk
    stage = stage_of(centre, chunk.group, chunk.attempt)
    good = stage.get(f"{chunk.number:05d}.good")[ROW]
    name = f"{chunk.number:05d}.{usage.SECTION}"
    nothing = Dealt((0,) * len(item.offices.offices), 0, item.lots)
    if not len(good):
        return nothing
    lines = stage.get(name).sort(ROW)[good].select(usage.ITEMS)
    payers = np.array(item.offices.payers, np.int64)
    place = item.offices.place_of(offices_of(lines[usage.PAYER], payers))
    order = np.argsort(place, kind="stable")  # lines of an office stay in their order
    lines, place = lines[order], place[order]
    lines = lines.with_columns(pl.Series(OFFICE, place))
    stage.done_with(name)
    held = int(np.count_nonzero(place < 0))
    stage.put(f"{chunk.number:05d}.held", lines[:held].drop(OFFICE))
    lot_of = place % item.lots
    for lot in np.unique(lot_of[held:]).tolist():
        own = lines.filter(pl.Series((place >= 0) & (lot_of == lot)))
        stage.put(f"{chunk.number:05d}.lot{lot:05d}", own)
    counts = np.bincount(place[held:], minlength=len(item.offices.offices))
    return Dealt(tuple(counts.tolist()), held, item.lots)


def replacing(centre: Centre, work: Splitting) -> frozenset[int]:
    """Places of offices that were given an earlier version: they must be told of this one."""
    numbers = [item.reception for item in work.earlier]
    given = {
        item.insurer
        for item in known.all_packages(centre.ledger, receptions=numbers)
        if item.archive_sha256 is not None
    }
    offices = enumerate(work.offices.offices)
    return frozenset(place for place, office in offices if office.insurer in given)


# --- sealing


def seal_all(centre: Centre, work: Splitting, dealt: Dealt) -> Came:
    """Every office's lines, and those without one, durably under keys of their own."""
    replaced = replacing(centre, work)
    wanted = [place for place, rows in enumerate(dealt.rows) if rows or place in replaced]
    parcels = [
        Parcel(ordinal, work.offices.offices[place], place, dealt.rows[place])
        for ordinal, place in enumerate(wanted, 1)
    ]
    chunks = tuple(chunk.number for chunk in work.chunks)
    lots = [
        Lot(
            lot,
            work.log,
            work.group.number,
            work.group.attempt,
            chunks,
            tuple(one for one in parcels if one.place % dealt.lots == lot),
        )
        for lot in range(dealt.lots)
    ]
    sealed: list[Sealed] = []
    for done, part in enumerate(centre.workers.map(seal, lots), 1):
        sealed += part
        centre.observe("sealed by office", step="allot", done=done, total=len(lots))
    kept = keep(centre, work, len(parcels) + 1) if dealt.held else None
    return Came(sorted(sealed, key=lambda item: item.parcel.ordinal), kept)


def seal(centre: Centre, lot: Lot) -> list[Sealed]:
    """Task: the files of a lot of offices, one office after another.

    A lot of a usual size is read once; one with an office of many lines is read for each office.
    """
    stage = stage_of(centre, lot.group, lot.attempt)
    names = [f"{chunk:05d}.lot{lot.number:05d}" for chunk in lot.chunks]

    def opened() -> Iterator[pl.DataFrame]:
        return (stage.get(name) for name in names if stage.holds(name))

    small = sum(parcel.rows for parcel in lot.parcels) <= 2 * LOT
    held = list(opened()) if small else None

    def lines(place: int) -> Iterator[pl.DataFrame]:
        for frame in opened() if held is None else held:
            yield frame.filter(pl.col(OFFICE) == place).drop(OFFICE)

    return [
        seal_one(centre, lot.log, parcel, partial(lines, parcel.place)) for parcel in lot.parcels
    ]


def keep(centre: Centre, work: Splitting, ordinal: int) -> Kept:
    """Seal the lines that no office is known for."""
    stage = stage_of(centre, work.group.number, work.group.attempt)
    names = [f"{chunk.number:05d}.held" for chunk in work.chunks]
    lines = (stage.get(name) for name in names if stage.holds(name))
    return engine.seal_held(centre, work.log.reception, ordinal, lines)


# --- noting


def note(centre: Centre, work: Splitting, judged: Judged, came: Came) -> None:
    """One transaction: counts, packages, what is held, and the versions that are over."""
    reception, log = work.reception, work.log
    held = came.kept.rows if came.kept else 0
    counts = Counts(
        NOBODY,
        first_line=2,
        received=reception.rows,
        accepted=sum(item.parcel.rows for item in came.sealed),
        rejected=int(judged.rejected.sum()),
        duplicate=int(judged.duplicate.sum()),
        held=held,
    )
    by_code = judged.findings.group_by("code").agg(rows=pl.col("row").n_unique())
    findings = [(NOBODY, code, rows) for code, rows in by_code.sort("code").iter_rows()]
    findings += [(NOBODY, usage.NO_OFFICE, held)] * bool(held)
    with centre.ledger.begin() as transaction:
        Ledger.put_findings(transaction, log.reception, findings)
        Ledger.put_counts(transaction, log.reception, [counts] if reception.rows else [])
        Ledger.set(transaction, log.reception, judged_at=centre.now())
        close(centre, transaction, reception, "accepted", None)
        known.supersede(transaction, [item.reception for item in work.earlier], centre.now())
        known.put_log(transaction, vars(log))
        for item in came.sealed:
            known.put_package(transaction, row_of(centre, reception, item))
        if came.kept is not None:
            known.put_held(transaction, held_row(centre, log.reception, came.kept))
        Ledger.set_group(transaction, work.group.number, "committed")
