"""Packages that hold one sealed file for one insurer: laid out, and known to be collected.

See `ledger.own_packages`. What they are made of, and what goes with them, is the flow's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from koukan.engine import entrusted
from koukan.engine.centre import Centre
from koukan.engine.packages import PACKAGE, Content, lay
from koukan.errors import IntegrityError
from koukan.keys.package import key_hash
from koukan.ledger.laid_packages import LaidPackage, laid, put_laid_package
from koukan.ledger.own_packages import Package
from koukan.rules.package import About, Counts


def lay_one(centre: Centre, item: Package, *, form: str, kind: str) -> LaidPackage | None:
    """One package into its insurer's outbox; again under the same name, it replaces the first.

    None when its owner has put a folder in its place: that stands in nobody else's way.

    Args:
        form: format of the file inside.
        kind: of the package, see `ledger.laid_packages`.

    Raises:
        IntegrityError: what is sealed does not give the archive that was laid out before.
    """
    stem = item.name.removesuffix(f".tar{PACKAGE}").rsplit("_", 2)[0]
    file = f"{stem}_{item.reception:06d}{item.ordinal:04d}.csv"
    blocks = partial(entrusted.result_blocks, centre, item.reception, item.ordinal)
    content = Content(file, item.file_length, item.file_sha256, blocks)
    about = About(item.insurer, item.reception, form, Counts(item.rows, 0, 0, 0))
    key = centre.site.insurer(item.insurer).package_key
    target = centre.outbox(item.sender).folder / item.name
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        found = lay(target, [content], about, signer=centre.signer, recipients=[key])
    except IsADirectoryError:
        return None
    if item.archive_sha256 not in (None, found.archive_sha256):
        raise IntegrityError("package.other_archive", file=item.name)
    hashes = found.sha256, found.archive_sha256, key_hash(key)
    return LaidPackage(item.sender, item.name, kind, item.reception, item.insurer, *hashes)


def note(
    centre: Centre,
    lot: Sequence[tuple[Package, LaidPackage | None]],
    set_package: Callable[..., None],
) -> None:
    """The ledger knows what lies in the outboxes, and for which keys.

    Args:
        set_package: of the flow's own table, see `ledger.own_packages`.
    """
    with centre.ledger.begin() as transaction:
        for item, found in lot:
            if found is not None:
                hashes = {"archive_sha256": found.archive_sha256, "sha256": found.sha256}
                set_package(transaction, item, state="laid_out", **hashes)
                put_laid_package(transaction, found)


def collected(centre: Centre, waiting: Sequence[Package], *, kind: str) -> list[Package]:
    """Those that their insurers have, by `taken/` or by 受領確認."""
    if not waiting:
        return []
    confirmed = {(one.sender, one.name) for one in laid(centre.ledger, kind) if one.collected_at}
    return [
        item
        for item in waiting
        if (item.sender, item.name) in confirmed
        or centre.taken(item.sender).holds(item.name) == item.sha256
    ]
