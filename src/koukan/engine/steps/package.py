"""package: what was answered goes to its insurer in a sealed package; the rest waits on, resealed.

Flow 3, step 7. For each file of questions with answers that no package has: the result file is
sealed under the package's own key, the questions that are still open under the next generation's;
then the ledger knows; then the old generation and the original of the questions are destroyed; then
the package is laid into the outbox. Killed before the ledger knows, all is done again; after it,
what is missing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence
from functools import partial
from itertools import accumulate, pairwise
from pathlib import PurePath
from typing import NamedTuple

import numpy as np
import polars as pl

from koukan.codecs import render
from koukan.engine import entrusted, vanishing
from koukan.engine.centre import Centre
from koukan.engine.packages import PACKAGE, Content, lay
from koukan.engine.steps import erase
from koukan.flows import identity
from koukan.formats.model import Format
from koukan.ledger import Reception
from koukan.ledger import identity as asked
from koukan.ledger.identity import Package, Received
from koukan.rules import levels, reconcile
from koukan.rules.edit import result_lines
from koukan.rules.package import About
from koukan.rules.package import Counts as Told
from koukan.sites import Job

Part = bytes | memoryview
LOT = 50_000  # lines of results that are text at the same time, by worker
NOTED = 25  # packages that the ledger notes at a time
SECTION = "result"


class Building(NamedTuple):
    """One package to be built: of a file's generation, what these answer files had."""

    reception: int
    ordinal: int
    kind: str
    generation: int
    open: int
    answers: tuple[int, ...]
    rows: int
    insurer: str
    received: Received


class Built(NamedTuple):
    """The sealed result file of a package, and the questions that are open after it."""

    building: Building
    sha256: str
    length: int
    answered: int
    ambiguous: int
    open: int


class Laying(NamedTuple):
    """One package to be laid out."""

    package: Package
    received: Received


class LaidOut(NamedTuple):
    package: Package
    archive_sha256: str
    sha256: str


def run(centre: Centre, job: Job) -> None:
    """Build what can be built; lay out what is built."""
    vanishing.finish(centre)  # of a run that was killed between its ledger and its erasure
    finish(centre)
    lots = list(planned(centre))
    if lots:
        with centre.log.operation("package", job=job.name) as operation:
            total = sum(len(lot) for lot in lots)
            done = 0
            for built in centre.workers.map(build, lots):
                centre.observe("built to be noted", step="package")
                note(centre, built)
                done += len(built)
                centre.observe("built", step="package", done=done, total=total)
            operation.note(packages=total)
        finish(centre)
    lay_out(centre, job)


def planned(centre: Centre) -> Iterator[tuple[Building, ...]]:
    """Files with answers that no package has, in lots of some 50,000 lines."""
    answers: dict[int, list[asked.Share]] = {}
    for share in asked.shares(centre.ledger, packaged=False):
        answers.setdefault(share.reception, []).append(share)
    if not answers:
        return
    ordinals = asked.newest_ordinals(centre.ledger)
    received = asked.received(centre.ledger)
    lot: list[Building] = []
    held = 0  # lines of the lot
    for item in asked.questions(centre.ledger):
        shares = answers.get(item.reception)
        if not shares:
            continue
        rows = sum(share.answered + share.ambiguous for share in shares)
        if lot and held + rows > LOT:
            yield tuple(lot)
            lot, held = [], 0
        held += rows
        lot.append(
            Building(
                item.reception,
                ordinals.get(item.reception, 0) + 1,
                item.kind,
                item.generation,
                item.open,
                tuple(share.answer for share in shares),
                rows,
                item.insurer,
                received[item.reception],
            )
        )
    if lot:
        yield tuple(lot)


def build(centre: Centre, lot: tuple[Building, ...]) -> list[Built]:
    """Task: seal the result files of a lot, and the questions that stay open."""
    built = []
    for kind in sorted({item.kind for item in lot}):
        own = [item for item in lot if item.kind == kind]
        answered = [shares_of(centre, item) for item in own]
        form = centre.catalogue.formats[identity.RESULTS[kind]]
        content = rendered(form, answered)
        for item, frame, lines in zip(own, answered, content, strict=True):
            built.append(seal(centre, form, item, frame, lines))
    return built


def shares_of(centre: Centre, item: Building) -> pl.DataFrame:
    """All that was answered to a file and is in no package, in line order, each with its level."""
    shares = [
        entrusted.open_share(centre, item.reception, item.generation, answer)
        for answer in item.answers
    ]
    kind = identity.kind_of(item.kind)
    return pl.concat(shares).sort("line_number").with_columns(levels.level(kind))


def rendered(form: Format, answered: Sequence[pl.DataFrame]) -> Iterator[memoryview]:
    """The lines of several result files, rendered at once: each costs as much as one."""
    content = render.records(form, SECTION, result_lines(pl.concat(answered)))
    ends = np.flatnonzero(np.frombuffer(content, np.uint8) == 10) + 1
    bounds = accumulate((frame.height for frame in answered), initial=0)
    places = [0, *ends.tolist()]
    view = memoryview(content)
    return (view[places[start] : places[stop]] for start, stop in pairwise(bounds))


def seal(
    centre: Centre, form: Format, item: Building, answered: pl.DataFrame, lines: memoryview
) -> Built:
    """Seal one package's result file, and what stays open of its questions."""
    control = {
        "reception_number": f"{item.reception:010d}",
        "received_file_name": item.received.file_name,
    }
    end = render.end(form, {"record_count": f"{answered.height:08d}"})
    parts: list[Part] = [render.control(form, control), lines, end]
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    entrusted.seal_result(centre, item.reception, item.ordinal, parts)
    left = item.open - answered.height
    if left:
        questions = entrusted.open_questions(centre, item.reception, item.generation)
        rest = questions.join(answered, on=reconcile.NUMBER, how="anti", maintain_order="left")
        entrusted.seal_questions(centre, item.reception, item.generation + 1, rest)
    counted = reconcile.states(answered)
    length = sum(len(part) for part in parts)
    return Built(item, digest.hexdigest(), length, counted["answered"], counted["ambiguous"], left)


def stem_of(file_name: str) -> str:
    return PurePath(file_name).stem[:50]


def result_name(kind: str, package: Package, file_name: str) -> str:
    """Name of the result file inside a package."""
    number = f"{package.reception:07d}{package.ordinal:03d}"
    return f"{identity.PREFIXES[kind]}_{stem_of(file_name)}_{number}.csv"


def note(centre: Centre, built: Sequence[Built]) -> None:
    """One transaction for a lot: packages, what they took up, the next generations."""
    with centre.ledger.begin() as transaction:
        for item in built:
            reception, ordinal = item.building.reception, item.building.ordinal
            received = item.building.received
            name = f"PK_{stem_of(received.file_name)}_{reception:010d}_{ordinal:03d}.tar"
            row = {
                "reception": reception,
                "ordinal": ordinal,
                "insurer": item.building.insurer,
                "sender": received.sender,
                "name": name + PACKAGE,
                "answered": item.answered,
                "ambiguous": item.ambiguous,
                "open": item.open,
                "file_sha256": item.sha256,
                "file_length": item.length,
                "state": "built",
                "built_at": centre.now(),
            }
            asked.put_package(transaction, row)
            asked.take_up(transaction, reception, ordinal)
            asked.next_generation(transaction, reception, item.open)


def finish(centre: Centre) -> None:
    """Destroy what packages have taken up: old generations, and originals of the questions."""
    known = {item.reception: item for item in asked.questions(centre.ledger)}
    taken_up = []
    for left in entrusted.generations(centre):
        item = known.get(left.reception)
        if item is not None and (left.number < item.generation or not item.open):
            taken_up.append(left)
    entrusted.destroy_generations(centre, taken_up)
    done = over(centre)
    if done:
        erase.erase(centre, *done)


def over(centre: Centre) -> list[Reception]:
    """Files of questions whose original nobody needs any more, and is not destroyed yet."""
    known = {item.reception for item in asked.questions(centre.ledger)}
    packaged = asked.newest_ordinals(centre.ledger)
    return [
        item
        for item in centre.ledger.closed_unerased()
        if item.number in packaged or needless(item, known)
    ]


def needless(reception: Reception, known: Collection[int]) -> bool:
    """A copy of a file of questions, or a file that could ask nothing: nobody waits for it."""
    if reception.format not in identity.QUESTIONS or not reception.is_told:
        return False
    nothing = reception.outcome == "accepted" and reception.number not in known
    return nothing or reception.outcome == "duplicate"


def lay_out(centre: Centre, job: Job) -> None:
    """Lay out the packages that are built and not laid out yet."""
    built = asked.packages(centre.ledger, states=["built"])
    waiting = list(may_be_had(centre, built))
    if not built:
        return
    received = asked.received(centre.ledger)
    tasks = [Laying(item, received[item.reception]) for item in waiting]
    lots = [tuple(tasks[start : start + NOTED]) for start in range(0, len(tasks), NOTED)]
    with centre.log.operation("lay_out", job=job.name) as operation:
        done = 0
        for lot in centre.workers.map(lay_lot, lots):
            with centre.ledger.begin() as transaction:
                for laid in filter(None, lot):
                    values = {"archive_sha256": laid.archive_sha256, "sha256": laid.sha256}
                    asked.set_package(transaction, laid.package, state="laid_out", **values)
            done += sum(laid is not None for laid in lot)
            centre.observe("packages laid out", step="package", done=done, total=len(tasks))
        operation.note(packages=done, waiting=len(built) - done)


def may_be_had(centre: Centre, built: Sequence[Package]) -> Iterator[Package]:
    """Those whose insurer the site still has, with a key, and whose sender still speaks for it.

    Any other package waits, and none behind it.
    """
    hindrance = centre.site.hindrances()
    for item in built:
        if hindrance(item.insurer, item.sender) is None:
            yield item


def lay_lot(centre: Centre, lot: tuple[Laying, ...]) -> list[LaidOut | None]:
    """Task: packages into their insurers' outboxes."""
    return [lay_one(centre, item) for item in lot]


def lay_one(centre: Centre, item: Laying) -> LaidOut | None:
    """One package into its insurer's outbox; again under the same name, it replaces the first.

    None when its owner has put a folder in its place: that stands in nobody else's way.
    """
    package, received = item
    content = Content(
        result_name(received.kind, package, received.file_name),
        package.file_length,
        package.file_sha256,
        partial(entrusted.result_blocks, centre, package.reception, package.ordinal),
    )
    about = About(
        package.insurer,
        package.reception,
        identity.RESULTS[received.kind],
        Told(package.rows, package.answered, package.ambiguous, package.open),
    )
    key = centre.site.insurer(package.insurer).package_key
    target = centre.outbox(package.sender).folder / package.name
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        laid = lay(target, [content], about, signer=centre.signer, recipients=[key])
    except IsADirectoryError:
        return None
    centre.observe("package laid out", step="package")
    return LaidOut(package, laid.archive_sha256, laid.sha256)
