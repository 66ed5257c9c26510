"""Packages whose insurer has another key since: they are encrypted anew, and nothing is rebuilt.

An insurer that lost its key, or must not use it any more, could not open what lies in its outbox.
What is inside stays as it is: the archive, and so the package's identity, is the same.
"""

from __future__ import annotations

from collections.abc import Callable

from koukan.engine.centre import Centre
from koukan.keys.package import key_hash
from koukan.ledger import identity as asked
from koukan.ledger import laid_packages
from koukan.ledger.identity import Package
from koukan.ledger.laid_packages import LaidPackage


def fitting(centre: Centre) -> Callable[[str, str, str | None], bool]:
    """A function of insurer, sender and hash: whether that is the key to which packages go now.

    Where none may be made now, what lies there is left as it is.
    """
    hindrance = centre.site.hindrances()

    def fits(insurer: str, sender: str, key_sha256: str | None) -> bool:
        if hindrance(insurer, sender) is not None:
            return True
        return key_sha256 == key_hash(centre.site.insurer(insurer).package_key)

    return fits


def outdated_packages(centre: Centre) -> list[Package]:
    """Of 本人確認, not collected yet: what its owner has taken is hers, whatever its key.

    One of which the ledger of an earlier koukan did not note the key counts as well.
    """
    fits = fitting(centre)
    known = {
        (item.sender, item.name): item.key_sha256
        for item in laid_packages.laid(centre.ledger, laid_packages.ANSWERS)
    }
    return [
        item
        for item in asked.packages(centre.ledger, states=["laid_out"])
        if not fits(item.insurer, item.sender, known.get((item.sender, item.name)))
        and centre.taken(item.sender).holds(item.name) != item.sha256
    ]


def outdated_corrections(centre: Centre) -> list[LaidPackage]:
    """Of rejected lines, still in the outbox; they are made anew from the original."""
    fits = fitting(centre)
    return [
        item
        for item in laid_packages.laid(centre.ledger, laid_packages.CORRECTION)
        if item.collected_at is None
        and not fits(item.insurer, item.sender, item.key_sha256)
        and centre.outbox(item.sender).holds(item.name) is not None  # laid by a killed run, too
    ]
