"""deliver: what an insurer has is erased here, at that moment.

Flow 3, step 7 and the erasure at delivery: a package is delivered when its insurer has moved it
into `taken/` or has confirmed it (`confirm`). Then its key, what was sealed under it and every copy
in outbox and `taken/` go; the signed record stays, and the ledger is verified against it.
"""

from __future__ import annotations

from koukan.engine import entrusted, returning, usage
from koukan.engine.centre import Centre
from koukan.engine.packages import SIGNED
from koukan.engine.steps import correct, erase
from koukan.ledger import identity as asked
from koukan.ledger.identity import Package
from koukan.sites import Job


def run(centre: Centre, job: Job) -> None:
    """Note what was taken, then erase all that is delivered."""
    taken(centre, job)
    correct.collect(centre)
    usage.collect(centre, job.name)
    usage.erase_closed(centre, job.name)
    returning.collect(centre, job.name)
    returning.erase_closed(centre, job.name)
    erase_delivered(centre, job.name)


def taken(centre: Centre, job: Job) -> None:
    """Packages that lie in their owners' `taken/`, byte for byte as they were laid out."""
    waiting = asked.packages(centre.ledger, states=["laid_out"])
    found = [item for item in waiting if centre.taken(item.sender).holds(item.name) == item.sha256]
    if not found:
        return
    with centre.log.operation("collect", job=job.name) as operation:
        with centre.ledger.begin() as transaction:
            for item in found:
                values = {"state": "delivered", "how": "taken", "closed_at": centre.now()}
                asked.set_package(transaction, item, **values)
        operation.note(packages=len(found))
    centre.observe("collected", step="deliver")


def erase_delivered(centre: Centre, job: str) -> None:
    """Erase delivered and expired packages; killed anywhere, the next run does the rest."""
    due = asked.packages(centre.ledger, states=["delivered", "expired"], erased=False)
    if not due:
        return
    with centre.log.operation("erase_packages", job=job) as operation:
        for done, package in enumerate(due, 1):
            erase_package(centre, package)
            centre.observe("package erased", step="deliver", done=done, total=len(due))
        operation.note(destroyed=len(due))


def recorded(package: Package) -> dict[str, object]:
    """What the erasure record of a package says, by the ledger; verified against it later."""
    return {
        "what": what(package),
        "reception": package.reception,
        "insurer": package.insurer,
        "package": package.name,
        "answered": package.answered,
        "ambiguous": package.ambiguous,
        "file_sha256": package.file_sha256,
        "archive_sha256": package.archive_sha256 or "",
        "how": package.how or "limit",
    }


def what(package: Package) -> str:
    """A package's name among the erasure records of its file of questions."""
    return f"package-{package.ordinal:03d}"


def erase_package(centre: Centre, package: Package) -> None:
    """Key first: with it gone the rest is for its owner alone, and goes as well."""
    entrusted.destroy_result(centre, package.reception, package.ordinal)
    centre.observe("package key destroyed", step="deliver")
    for folder in (centre.outbox(package.sender), centre.taken(package.sender)):
        for name in (package.name, package.name + SIGNED):
            folder.remove(name)
    with centre.ledger.begin() as transaction:
        erase.put(centre, transaction, what(package), package.reception, recorded(package))
        asked.set_package(transaction, package, erased=True)
