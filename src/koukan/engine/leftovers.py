"""What killed runs have left below `tables/`; only the holder of the jobs' lease may remove it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from koukan import durable
from koukan.engine.centre import Centre
from koukan.ledger import Group
from koukan.tables.log import LOG

UNFINISHED = f"{durable.TEMPORARY}*"
STAGED = "*#*"  # what delta-rs writes before it links it under the name of a commit


def remove_unfinished(paths: Iterable[Path]) -> None:
    for path in list(paths):
        path.unlink()


def remove_staged(centre: Centre) -> None:
    """What killed commits have left in the tables' logs."""
    remove_unfinished(centre.folder("tables").glob(f"*/{LOG}/{STAGED}"))


def remove_files(centre: Centre, group: Group) -> None:
    """Unlink exactly the data files that earlier attempts at this group left behind."""
    remove_unfinished(centre.folder("tables").rglob(UNFINISHED))
    for name, table in centre.tables.items():
        for path in table.orphans(centre.snapshot(name), name_prefix=f"g{group.number:08d}-"):
            path.unlink()
