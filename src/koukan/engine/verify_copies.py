"""Verify copies (副本): packages are what was built and laid out, deletions are gone as was signed.

That the rows of each insurer's partition are the accepted lines is told by `engine.verify`.
"""

from __future__ import annotations

from collections.abc import Iterator

from koukan.engine import artefacts, entrusted, returning
from koukan.engine.centre import Centre
from koukan.engine.problems import Problem, differing, problem
from koukan.engine.verify_identity import signed
from koukan.ledger import copies as known
from koukan.ledger.own_packages import Package
from koukan.ledger.rewritings import forgetting


def problems(centre: Centre) -> Iterator[Problem]:
    """Everything about copies that contradicts the ledger."""
    records = {(row.number, row.what): row.record for row in centre.ledger.erasures()}
    for item in known.all_packages(centre.ledger):
        yield from of_package(centre, item, records.get((item.reception, returning.what(item))))
    done = set(forgetting(centre.ledger))
    for deletion in known.all_deletions(centre.ledger):
        if deletion.erased_by is not None and deletion.erased_by not in done:
            where = {"reception": deletion.reception, "insurer": deletion.insurer}
            yield problem("copies.verify_deletion", **where)


def of_package(centre: Centre, item: Package, record: str | None) -> Iterator[Problem]:
    """Sealed until it is laid out, then for its insurer alone; erased, it is gone and signed."""
    name = entrusted.package_name(item.reception, item.ordinal)
    where = {"reception": item.reception, "file": item.name}
    key = centre.folder("keyring", "random", "package", f"{name}.key")
    paths = [centre.folder("packages", name), key]
    if item.state == "built" and not item.erased:
        found = artefacts.sealed_lines(
            centre, item.reception, item.ordinal, item.file_sha256, beside=artefacts.FRAME
        )
        if found != item.rows:
            yield problem("copies.verify_sealed", **where, known=differing(item.rows, found))
        return
    if item.erased:
        said = signed(centre, record)
        if any(said.get(part) != value for part, value in returning.recorded(item).items()):
            yield problem("copies.verify_record", **where)
        paths.append(centre.outbox(item.sender).folder / item.name)
    elif item.state == "laid_out":
        lying = centre.outbox(item.sender).holds(item.name)
        if lying not in (None, item.sha256):
            yield problem("copies.verify_other", **where)
    if any(path.exists() for path in paths):
        yield problem("copies.verify_left", **where)
