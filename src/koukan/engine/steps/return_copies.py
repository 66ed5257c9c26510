"""return_copies: each insurer gets the copies that it asked for in a sealed package, nobody else.

Flow 2-(4). What an insurer has, by `taken/` or 受領確認, is erased here and in `deliver`, at the
latest by `expire`. Once a package lies in its outbox, what was sealed for it is destroyed: nothing
of it opens with a key of ours any more, so for another key its insurer asks again.
"""

from __future__ import annotations

from koukan.engine import own_packages, returning
from koukan.engine.centre import Centre
from koukan.flows.copies import EXTRACT
from koukan.ledger import copies as known
from koukan.ledger.laid_packages import COPIES, LaidPackage
from koukan.ledger.own_packages import Package
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
            own_packages.note(centre, lot, known.set_package)
            done += sum(found is not None for _, found in lot)
            centre.observe("copies laid out", step="return_copies", done=done, total=len(ready))
        returning.finish(centre)
        operation.note(packages=done, waiting=len(built) - done)


def lay_lot(centre: Centre, lot: tuple[Package, ...]) -> list[tuple[Package, LaidPackage | None]]:
    """Task: packages into their insurers' outboxes."""
    done = []
    for item in lot:
        done.append((item, own_packages.lay_one(centre, item, form=EXTRACT, kind=COPIES)))
        centre.observe("package of copies laid out", step="return_copies")
    return done
