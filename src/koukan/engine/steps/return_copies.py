"""return_copies: each insurer gets the copies that it asked for in a sealed package, nobody else.

Flow 2-(4). What an insurer has, by `taken/` or 受領確認, is erased here and in `deliver`, at the
latest by `expire`. Once a package lies in its outbox, what was sealed for it is destroyed: nothing
of it opens with a key of ours any more, so for another key its insurer asks again.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from koukan.engine import entrusted, returning
from koukan.engine.centre import Centre
from koukan.engine.packages import PACKAGE, Content, lay
from koukan.errors import IntegrityError
from koukan.flows.copies import EXTRACT
from koukan.keys.package import key_hash
from koukan.ledger import copies as known
from koukan.ledger.copies import Package
from koukan.ledger.laid_packages import COPIES, LaidPackage, put_laid_package
from koukan.rules.package import About, Counts
from koukan.sites import Job

NOTED = 25  # packages that the ledger notes at a time


def run(centre: Centre, job: Job) -> None:
    """Erase what is collected; lay out what is built."""
    returning.finish(centre)  # of a run that was killed
    returning.collect(centre, job.name)
    returning.erase_closed(centre, job.name)
    lay_out(centre, job)


def lay_out(centre: Centre, job: Job) -> None:
    """Lay out what is built; what has lost its key or sender since waits."""
    built = known.all_packages(centre.ledger, states=["built"])
    if not built:
        return
    hindrance = centre.site.hindrances()
    ready = [item for item in built if hindrance(item.insurer, item.sender) is None]
    lots = [tuple(ready[start : start + NOTED]) for start in range(0, len(ready), NOTED)]
    with centre.log.operation("lay_out", job=job.name) as operation:
        done = 0
        for lot in centre.workers.map(lay_lot, lots):
            note(centre, lot)
            done += sum(found is not None for _, found in lot)
            centre.observe("copies laid out", step="return_copies", done=done, total=len(ready))
        returning.finish(centre)
        operation.note(packages=done, waiting=len(built) - done)


def lay_lot(centre: Centre, lot: tuple[Package, ...]) -> list[tuple[Package, LaidPackage | None]]:
    """Task: packages into their insurers' outboxes."""
    return [(item, lay_one(centre, item)) for item in lot]


def lay_one(centre: Centre, item: Package) -> LaidPackage | None:
    """One package into its insurer's outbox; again under the same name, it replaces the first.

    None when its owner has put a folder in its place: that stands in nobody else's way.
    """
    stem = item.name.removesuffix(f".tar{PACKAGE}").rsplit("_", 2)[0]
    file = f"{stem}_{item.reception:06d}{item.ordinal:04d}.csv"
    blocks = partial(entrusted.result_blocks, centre, item.reception, item.ordinal)
    content = Content(file, item.file_length, item.file_sha256, blocks)
    about = About(item.insurer, item.reception, EXTRACT, Counts(item.rows, 0, 0, 0))
    key = centre.site.insurer(item.insurer).package_key
    target = centre.outbox(item.sender).folder / item.name
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        found = lay(target, [content], about, signer=centre.signer, recipients=[key])
    except IsADirectoryError:
        return None
    centre.observe("package of copies laid out", step="return_copies")
    if item.archive_sha256 not in (None, found.archive_sha256):
        raise IntegrityError("package.other_archive", file=item.name)
    hashes = found.sha256, found.archive_sha256, key_hash(key)
    return LaidPackage(item.sender, item.name, COPIES, item.reception, item.insurer, *hashes)


def note(centre: Centre, lot: Sequence[tuple[Package, LaidPackage | None]]) -> None:
    """The ledger knows what lies in the outboxes, and for which keys."""
    with centre.ledger.begin() as transaction:
        for item, found in lot:
            if found is not None:
                hashes = {"archive_sha256": found.archive_sha256, "sha256": found.sha256}
                known.set_package(transaction, item, state="laid_out", **hashes)
                put_laid_package(transaction, found)
