"""What becomes of an insurer's extract of its copies: laid out, collected, destroyed.

    packages/p<reception>-<ordinal>    an extract, until its package lies in the outbox

From then on nothing that we could open is left of it: what lies there is for the insurer's key.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from koukan.engine import entrusted, own_packages
from koukan.engine.centre import Centre
from koukan.engine.packages import SIGNED
from koukan.engine.steps import erase
from koukan.flows import copies
from koukan.ledger import copies as known
from koukan.ledger.laid_packages import COPIES
from koukan.ledger.own_packages import Package

ERASED = "copies"  # what an erasure record begins with


def finish(centre: Centre) -> None:
    """Destroy what is sealed of packages that lie in outboxes, or that the ledger does not know."""
    for reception, ordinal in left_sealed(centre):
        entrusted.destroy_result(centre, reception, ordinal)
        centre.observe("sealed copies destroyed", step="return_copies")


def left_sealed(centre: Centre) -> Iterator[tuple[int, int]]:
    """Sealed extracts that no package is to be made of."""
    sealed = entrusted.results(centre)
    if not sealed:
        return
    numbers = {one.number for one in centre.ledger.receptions(formats=[copies.QUERY])}
    packages = known.all_packages(centre.ledger, states=["built"])
    wanted = {(item.reception, item.ordinal) for item in packages}
    yield from (one for one in sealed if one[0] in numbers and one not in wanted)


def collect(centre: Centre, job: str) -> None:
    """Note which packages their insurers have, by `taken/` or by 受領確認."""
    waiting = known.all_packages(centre.ledger, states=["laid_out"])
    found = own_packages.collected(centre, waiting, kind=COPIES)
    if not found:
        return
    with centre.log.operation("collect", job=job) as operation:
        close(centre, found, "delivered")
        operation.note(packages=len(found))
    centre.observe("copies collected", step="return_copies")


def late(centre: Centre) -> list[Package]:
    """Packages that nobody collected, and whose time is over."""
    kept = timedelta(days=centre.site.copies.kept_days)
    return [
        item
        for item in known.all_packages(centre.ledger, states=known.OPEN)
        if datetime.fromisoformat(item.built_at) + kept <= centre.clock()
    ]


def expire(centre: Centre, job: str) -> None:
    """What nobody has collected in time is over, and goes."""
    over = late(centre)
    if over:
        with centre.log.operation("expire", job=job) as operation:
            close(centre, over, "expired")
            operation.note(expired=len(over))
        centre.observe("copies expired", step="expire")
    erase_closed(centre, job)


def close(centre: Centre, items: list[Package], state: str) -> None:
    with centre.ledger.begin() as transaction:
        for item in items:
            known.set_package(transaction, item, state=state, closed_at=centre.now())


def closed(centre: Centre) -> list[Package]:
    """What is over, and not destroyed yet."""
    return known.all_packages(centre.ledger, states=known.CLOSED, erased=False)


def erase_closed(centre: Centre, job: str) -> None:
    """Destroy what is over, each with its record; killed anywhere, the next run does the rest."""
    over = closed(centre)
    if not over:
        return
    with centre.log.operation("erase_packages", job=job) as operation:
        for item in over:
            erase_package(centre, item)
            centre.observe("copies erased", step="return_copies")
        operation.note(destroyed=len(over))


def what(item: Package) -> str:
    """Its name among the erasure records of its file of queries."""
    return f"{ERASED}-{item.ordinal:04d}"


def recorded(item: Package) -> dict[str, object]:
    """What the erasure record says, by the ledger; verified against it later."""
    return {
        "what": what(item),
        "reception": item.reception,
        "insurer": item.insurer,
        "rows": item.rows,
        "how": item.state,
        "package": item.name,
        "file_sha256": item.file_sha256,
        "archive_sha256": item.archive_sha256 or "",
    }


def erase_package(centre: Centre, item: Package) -> None:
    """Key first: with it gone the rest is for its insurer alone, and goes as well."""
    entrusted.destroy_result(centre, item.reception, item.ordinal)
    for folder in (centre.outbox(item.sender), centre.taken(item.sender)):
        for name in (item.name, item.name + SIGNED):
            folder.remove(name)
    with centre.ledger.begin() as transaction:
        erase.put(centre, transaction, what(item), item.reception, recorded(item))
        known.set_package(transaction, item, erased=True)
