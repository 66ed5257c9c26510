"""package: what was answered goes to its insurer in a sealed package; the rest waits on, resealed.

Flow 3, step 7. For each file of questions with answers that no package has: the result file is
sealed under the package's own key; what is still open, and the answers that are withheld, under the
next generation's; then the ledger knows; then the old generation and the original of the questions
are destroyed; then the package is laid into the outbox; and again, with the same archive, when its
insurer has another key while it lies there. Killed before the ledger knows, all is done again;
after it, what is missing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence
from functools import partial
from itertools import accumulate, pairwise
from pathlib import PurePath
from typing import NamedTuple

import polars as pl
from sqlalchemy import Connection

from koukan.codecs import render
from koukan.engine import approvals, entrusted, vanishing, withholding
from koukan.engine.centre import Centre
from koukan.engine.editing import rendered
from koukan.engine.packages import PACKAGE, Content, lay
from koukan.engine.recipients import outdated_packages
from koukan.engine.steps import erase
from koukan.engine.withholding import Decided, Sorted
from koukan.errors import IntegrityError
from koukan.flows import identity
from koukan.formats.model import Format
from koukan.keys.package import key_hash
from koukan.ledger import Reception
from koukan.ledger import identity as asked
from koukan.ledger import withholding as withheld
from koukan.ledger.identity import Package, Received
from koukan.ledger.laid_packages import ANSWERS, LaidPackage, put_laid_package
from koukan.rules import levels, reconcile
from koukan.rules.package import About
from koukan.rules.package import Counts as Told
from koukan.sites import Job

Part = bytes | memoryview
LOT = 50_000  # lines of results that are text at the same time, by worker
NOTED = 25  # packages that the ledger notes at a time


class Building(NamedTuple):
    """One package to be built: of a file's generation, what these answer files had.

    Args:
        withheld: rows of it that a person has yet to decide about.
        decided: what persons did decide.
    """

    reception: int
    ordinal: int
    kind: str
    mode: str
    generation: int
    open: int
    answers: tuple[int, ...]
    rows: int
    insurer: str
    received: Received
    withheld: int
    decided: Decided


class Built(NamedTuple):
    """The sealed result file of a package, and what waits after it.

    Args:
        sha256, length: of the result file; there is no package where it has no line.
        withheld: rows that are withheld from now on, of which `new` for the first time.
    """

    building: Building
    sha256: str
    length: int
    answered: int
    ambiguous: int
    open: int
    withheld: int
    new: int


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
            done = kept_back = 0
            for built in centre.workers.map(build, lots):
                centre.observe("built to be noted", step="package")
                note(centre, built)
                done += len(built)
                kept_back += sum(item.new for item in built)
                centre.observe("built", step="package", done=done, total=total)
            operation.note(packages=total, withheld=kept_back)
        finish(centre)
    lay_out(centre, job)


def planned(centre: Centre) -> Iterator[tuple[Building, ...]]:
    """Files with answers that no package has or that were decided, in lots of some 50,000 lines."""
    answers: dict[int, list[asked.Share]] = {}
    for share in asked.shares(centre.ledger, packaged=False):
        answers.setdefault(share.reception, []).append(share)
    decided = withholding.decided(centre)
    if not answers and not decided:
        return
    kept_back = withheld.rows_of(centre.ledger)
    ordinals = asked.newest_ordinals(centre.ledger)
    received = asked.received(centre.ledger)
    lot: list[Building] = []
    held = 0  # lines of the lot
    for item in asked.questions(centre.ledger):
        shares = answers.get(item.reception, [])
        said = decided.get(item.reception, Decided())
        if not shares and not said.numbers:
            continue
        waiting = kept_back.get(item.reception, 0)
        rows = sum(share.answered + share.ambiguous for share in shares)
        if lot and held + rows + waiting > LOT:
            yield tuple(lot)
            lot, held = [], 0
        held += rows + waiting
        lot.append(
            Building(
                item.reception,
                ordinals.get(item.reception, 0) + 1,
                item.kind,
                item.mode,
                item.generation,
                item.open,
                tuple(share.answer for share in shares),
                rows,
                item.insurer,
                received[item.reception],
                waiting,
                said,
            )
        )
    if lot:
        yield tuple(lot)


def build(centre: Centre, lot: tuple[Building, ...]) -> list[Built]:
    """Task: seal the result files of a lot, and the questions that stay open."""
    built = []
    for kind in sorted({item.kind for item in lot}):
        own = [item for item in lot if item.kind == kind]
        fresh = levelled(kind, [shares_of(centre, item) for item in own])
        answers = [sorted_out(centre, item, frame) for item, frame in zip(own, fresh, strict=True)]
        form = centre.catalogue.formats[identity.RESULTS[kind]]
        content = rendered(centre, form, [found.going for found in answers])
        for item, found, lines in zip(own, answers, content, strict=True):
            built.append(seal(centre, form, item, found, lines))
    return built


def levelled(kind: str, frames: Sequence[pl.DataFrame]) -> list[pl.DataFrame]:
    """Each answer's level, of several files at once: each costs as much as one."""
    whole = pl.concat(frames).with_columns(levels.level(identity.kind_of(kind)))
    bounds = accumulate((frame.height for frame in frames), initial=0)
    return [whole[start:stop] for start, stop in pairwise(bounds)]


def sorted_out(centre: Centre, item: Building, fresh: pl.DataFrame) -> Sorted:
    """What of a file's answers goes now, and what is withheld."""
    before = fresh.clear()
    if item.withheld:
        before = entrusted.open_withheld(centre, item.reception, item.generation)
    below = centre.site.identity.release_below
    return withholding.sorted_out(fresh, before, item.decided, mode=item.mode, below=below)


def shares_of(centre: Centre, item: Building) -> pl.DataFrame:
    """All that was answered to a file and is in no package, in line order."""
    shares = [
        entrusted.open_share(centre, item.reception, item.generation, answer)
        for answer in item.answers
    ]
    if not shares:
        kept = entrusted.open_withheld(centre, item.reception, item.generation)
        return kept.clear().drop(levels.LEVEL)
    return pl.concat(shares).sort("line_number")


def seal(centre: Centre, form: Format, item: Building, found: Sorted, lines: memoryview) -> Built:
    """Seal one package's result file, if it has any line, and what waits on of its questions."""
    going, staying = found.going, found.staying
    sha256, length = "", 0
    if going.height:
        sha256, length = seal_result(centre, form, item, going.height, lines)
    left = item.open - (going.height + staying.height - item.withheld)
    generation = item.generation + 1
    if left:
        questions = entrusted.open_questions(centre, item.reception, item.generation)
        for answered in filter(len, (going, staying)):
            questions = questions.join(
                answered, on=reconcile.NUMBER, how="anti", maintain_order="left"
            )
        entrusted.seal_questions(centre, item.reception, generation, questions)
    if staying.height:
        entrusted.seal_withheld(centre, item.reception, generation, staying)
    states = reconcile.states(going)
    counts = (states["answered"], states["ambiguous"], left, staying.height, found.new)
    return Built(item, sha256, length, *counts)


def seal_result(
    centre: Centre, form: Format, item: Building, rows: int, lines: memoryview
) -> tuple[str, int]:
    """Seal a package's result file; its hash and length."""
    control = {
        "reception_number": f"{item.reception:010d}",
        "received_file_name": item.received.file_name,
    }
    end = render.end(form, {"record_count": f"{rows:08d}"})
    parts: list[Part] = [render.control(form, control), lines, end]
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    entrusted.seal_result(centre, item.reception, item.ordinal, parts)
    return digest.hexdigest(), sum(len(part) for part in parts)


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
            note_one(centre, transaction, item)


def note_one(centre: Centre, transaction: Connection, item: Built) -> None:
    building, packaged = item.building, item.answered + item.ambiguous > 0
    reception, ordinal, decided = building.reception, building.ordinal, building.decided
    if packaged:
        asked.put_package(transaction, package_row(centre, item))
    asked.take_up(transaction, reception, ordinal if packaged else asked.NO_PACKAGE)
    complete = not item.open and not item.withheld
    asked.next_generation(transaction, reception, item.open, complete=complete)
    if item.withheld or building.withheld:
        since = centre.now() if item.new else None
        withheld.put(transaction, reception, item.withheld, since=since)
    withheld.close(transaction, decided.numbers, "used")
    for grant in decided.grants:
        approvals.use(transaction, grant)


def package_row(centre: Centre, item: Built) -> dict[str, object]:
    """What the ledger has of a package that is built."""
    building = item.building
    reception, ordinal, received = building.reception, building.ordinal, building.received
    return {
        "reception": reception,
        "ordinal": ordinal,
        "insurer": building.insurer,
        "sender": received.sender,
        "name": f"PK_{stem_of(received.file_name)}_{reception:010d}_{ordinal:03d}.tar{PACKAGE}",
        "answered": item.answered,
        "ambiguous": item.ambiguous,
        "open": item.open,
        "file_sha256": item.sha256,
        "file_length": item.length,
        "state": "built",
        "built_at": centre.now(),
    }


def finish(centre: Centre) -> None:
    """Destroy what packages have taken up: old generations, and originals of the questions.

    And generations that a killed run had begun, and the ledger does not know.
    """
    known = {item.reception: item for item in asked.questions(centre.ledger)}
    taken_up = []
    for left in entrusted.generations(centre):
        item = known.get(left.reception)
        if item is not None and (left.number != item.generation or item.state != "open"):
            taken_up.append(left)
    entrusted.destroy_generations(centre, taken_up)
    done = over(centre)
    if done:
        erase.erase(centre, *done)


def over(centre: Centre) -> list[Reception]:
    """Files of questions whose original nobody needs any more, and is not destroyed yet."""
    known = {item.reception for item in asked.questions(centre.ledger)}
    packaged = {*asked.newest_ordinals(centre.ledger), *withheld.ever_withheld(centre.ledger)}
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
    """Lay out the packages that are built and not laid out yet, or lie there for another key."""
    built = asked.packages(centre.ledger, states=["built"])
    again = outdated_packages(centre)
    waiting = [*may_be_had(centre, built), *again]
    if not built and not again:
        return
    received = asked.received(centre.ledger)
    tasks = [Laying(item, received[item.reception]) for item in waiting]
    lots = [tuple(tasks[start : start + NOTED]) for start in range(0, len(tasks), NOTED)]
    with centre.log.operation("lay_out", job=job.name) as operation:
        done = 0
        for lot in centre.workers.map(lay_lot, lots):
            with centre.ledger.begin() as transaction:
                for laid in filter(None, lot):
                    note_laid(centre, transaction, laid)
            done += sum(laid is not None for laid in lot)
            centre.observe("packages laid out", step="package", done=done, total=len(tasks))
        operation.note(packages=done, waiting=len(built) + len(again) - done)


def note_laid(centre: Centre, transaction: Connection, laid: LaidOut) -> None:
    """The ledger knows what lies in the outbox, and for which key."""
    package = laid.package
    hashes = {"archive_sha256": laid.archive_sha256, "sha256": laid.sha256}
    asked.set_package(transaction, package, state="laid_out", **hashes)
    item = LaidPackage(
        package.sender,
        package.name,
        ANSWERS,
        package.reception,
        package.insurer,
        laid.sha256,
        laid.archive_sha256,
        key_hash(centre.site.insurer(package.insurer).package_key),
    )
    put_laid_package(transaction, item)


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
    if package.archive_sha256 not in (None, laid.archive_sha256):
        raise IntegrityError("package.other_archive", file=package.name)
    return LaidOut(package, laid.archive_sha256, laid.sha256)
