"""correct: an insurer's rejected lines, byte for byte as sent, in a package of its own.

The clerk mends the lines and sends the file under the next number; its control record names the
reception that it goes back to (`engine/mending.py`). Made in the job
behind the night, from the sealed original and the sealed result, and kept nowhere but encrypted to
the insurer's key in the outbox; there it goes when its owner has moved it into `taken/` or has
confirmed it, or with the original. Killed anywhere, the same archive is made again.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import PurePath
from typing import NamedTuple

import numpy as np

from koukan.codecs import render
from koukan.codecs.digits import Ints
from koukan.codecs.extract import Extract
from koukan.engine import originals
from koukan.engine.centre import Centre
from koukan.engine.mending import ORIGINAL
from koukan.engine.packages import PACKAGE, SIGNED, Content, lay, signature_path
from koukan.engine.recipients import outdated_corrections
from koukan.engine.results import BLOCK
from koukan.engine.seen import Seen
from koukan.engine.steps.erase import due
from koukan.engine.steps.report import errors_of
from koukan.errors import LedgerUnbalanced, SecretError
from koukan.flows import registration
from koukan.flows.results import CORRECTION, CORRECTION_SIGNATURE, of_insurer
from koukan.keys.package import key_hash
from koukan.ledger import Ledger, Reception
from koukan.ledger.laid_packages import LaidPackage, laid, put_laid_package, set_collected
from koukan.ledger.outboxes import corrections_named, uncorrected
from koukan.rules.package import About, Counts
from koukan.sites import Job

PREFIX = "CF_"  # not PK_: these answer no question


class Wrong(NamedTuple):
    """One insurer's rejected lines of one reception."""

    reception: int
    insurer: str
    rejected: int


class Laid(NamedTuple):
    """A package as it was laid out, or nothing where the result is being erased."""

    wrong: Wrong
    files: tuple[tuple[str, str, str], ...]  # kind, name, SHA-256
    archive_sha256: str = ""


def run(centre: Centre, job: Job) -> None:
    """Lay out the packages that no insurer has got yet, of insurers that have a key."""
    hindrance = centre.site.hindrances()
    waiting, keyless = [], 0
    for number, sender, insurer, rejected in uncorrected(centre.ledger, registration.FORMATS):
        if hindrance(insurer, sender) is None:
            waiting.append(Wrong(number, insurer, rejected))
        else:
            keyless += 1
    for item in outdated_corrections(centre):
        counts = {one.insurer: one.rejected for one in centre.ledger.counts(item.reception)}
        waiting.append(Wrong(item.reception, item.insurer, counts[item.insurer]))
    if not waiting:
        return
    with centre.log.operation("correct", job=job.name) as operation:
        for done, made in enumerate(centre.workers.map(lay_one, waiting), 1):
            note(centre, made)
            centre.observe("corrections laid out", step="report", done=done, total=len(waiting))
        operation.note(packages=len(waiting), waiting=keyless)


def note(centre: Centre, made: Laid) -> None:
    """Let the ledger know what lies in the outbox."""
    reception = centre.ledger.reception(made.wrong.reception)
    with centre.ledger.begin() as transaction:
        for kind, name, digest in made.files:
            Ledger.put_laid_out(
                transaction,
                {
                    "reception": reception.number,
                    "kind": of_insurer(kind, made.wrong.insurer),
                    "sender": reception.sender,
                    "name": name,
                    "sha256": digest,
                    "lines": made.wrong.rejected,
                },
            )
            if kind == CORRECTION:
                item = LaidPackage(
                    reception.sender,
                    name,
                    CORRECTION,
                    reception.number,
                    made.wrong.insurer,
                    digest,
                    made.archive_sha256,
                    key_hash(centre.site.insurer(made.wrong.insurer).package_key),
                )
                put_laid_package(transaction, item)


def lay_one(centre: Centre, wrong: Wrong) -> Laid:
    """Task: one insurer's package into the outbox.

    Raises:
        IntegrityError: original or result are not what was committed.
        LedgerUnbalanced: there are other rejected lines than the ledger counts.
    """
    reception = centre.ledger.reception(wrong.reception)
    try:
        wanted = rejected_rows(centre, reception)
        whole = Seen(lines_of(centre, reception, wrong, wanted))
        for _ in whole:
            pass
    except SecretError as error:
        if error.key != "keys.key_absent" or not due(centre, reception):
            raise
        return Laid(wrong, ())
    path = PurePath(reception.file_name)
    name = f"{path.stem[:50]}_{reception.number:010d}_{wrong.insurer}"
    content = Content(
        name + path.suffix,
        whole.length,
        whole.sha256,
        lambda: lines_of(centre, reception, wrong, wanted),
    )
    about = About(wrong.insurer, reception.number, CORRECTION, Counts(wrong.rejected, 0, 0, 0))
    target = centre.outbox(reception.sender).folder / f"{PREFIX}{name}.tar{PACKAGE}"
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    key = centre.site.insurer(wrong.insurer).package_key
    package = lay(target, [content], about, signer=centre.signer, recipients=[key])
    centre.observe("correction laid out", step="report")
    signature = centre.outbox(reception.sender).holds(target.name + SIGNED) or ""
    return Laid(
        wrong,
        (
            (CORRECTION, target.name, package.sha256),
            (CORRECTION_SIGNATURE, signature_path(target).name, signature),
        ),
        package.archive_sha256,
    )


def rejected_rows(centre: Centre, reception: Reception) -> Ints:
    """Data records of a reception, from 0, that its sealed result rejects."""
    found = [piece["line_number"].unique().to_numpy() for piece in errors_of(centre, reception)]
    return np.unique(np.concatenate([np.zeros(0, np.int64), *found])) - 2


def lines_of(centre: Centre, reception: Reception, wrong: Wrong, wanted: Ints) -> Iterator[bytes]:
    """The file: control and end record restated, between them the wrong lines as they came."""
    form = centre.bundle_of(reception).form
    extract = Extract(form, wrong.insurer)
    said = originals.control_of(centre, reception)
    if ORIGINAL in said:  # a layout of before had no such field
        said[ORIGINAL] = f"{reception.number:010d}"
    yield render.single(form, form.control, said)
    with originals.open_original(centre, reception.original) as original:
        cuts = reception.cuts
        for (start, row), (stop, _) in pairwise(cuts):
            if stop > start and (lines := extract.chosen(original.read(start, stop), row, wanted)):
                for at in range(0, len(lines), BLOCK):
                    yield lines[at : at + BLOCK]
    if extract.rows != wrong.rejected:
        raise LedgerUnbalanced("engine.report_lines", reception=reception.number)
    yield extract.end()


def collect(centre: Centre) -> None:
    """Packages that their owners have, by `taken/` or by 受領確認, go altogether.

    In `taken/` they must lie byte for byte as laid out.
    """
    for sender in centre.site.senders:
        taken = centre.taken(sender.name)
        names = [path.name for path in taken.folder.glob(f"{PREFIX}*{PACKAGE}")]
        for name, digest in corrections_named(centre.ledger, sender.name, names):
            if taken.holds(name) != digest:
                continue
            with centre.ledger.begin() as transaction:
                set_collected(transaction, sender.name, name, centre.now())
            remove(centre, sender.name, name)
    for item in laid(centre.ledger, CORRECTION):
        if item.collected_at and centre.outbox(item.sender).holds(item.name) == item.sha256:
            remove(centre, item.sender, item.name)


def remove(centre: Centre, sender: str, name: str) -> None:
    """A package and its signature, wherever they lie."""
    for folder in (centre.outbox(sender), centre.taken(sender)):
        for one in (name, name + SIGNED):
            folder.remove(one)
    centre.observe("correction collected", step="deliver")
