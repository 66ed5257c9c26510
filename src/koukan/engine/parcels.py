"""Parcels: what one welfare office gets of a 資格確認実績ログ, sealed and as the ledger has it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import PurePath
from typing import NamedTuple

import polars as pl

from koukan.codecs import render
from koukan.engine import entrusted
from koukan.engine.centre import Centre
from koukan.engine.packages import PACKAGE
from koukan.engine.usage import Kept, Office
from koukan.flows import usage
from koukan.ledger import Reception
from koukan.ledger.usage import Log


class Parcel(NamedTuple):
    """What an office gets of a log."""

    ordinal: int
    office: Office
    place: int
    rows: int


class Sealed(NamedTuple):
    """A parcel as it was sealed; hash and length of the file."""

    parcel: Parcel
    sha256: str
    length: int


def seal_one(
    centre: Centre, log: Log, parcel: Parcel, lines: Callable[[], Iterator[pl.DataFrame]]
) -> Sealed:
    """One office's file, rendered part by part while it is sealed."""
    digest, length = hashlib.sha256(), 0

    def blocks() -> Iterator[bytes]:
        nonlocal length
        for block in rendered(centre, log, parcel, lines()):
            digest.update(block)
            length += len(block)
            yield block

    entrusted.seal_result(centre, log.reception, parcel.ordinal, blocks())
    return Sealed(parcel, digest.hexdigest(), length)


def rendered(
    centre: Centre, log: Log, parcel: Parcel, lines: Iterator[pl.DataFrame]
) -> Iterator[bytes]:
    """The file that an office gets, in blocks."""
    form = centre.catalogue.formats[usage.EXTRACT]
    control = {
        "reception_number": f"{log.reception:010d}",
        "insurer_code": parcel.office.insurer,
        "log_number": log.log_number,
        "log_version": f"{log.version:02d}",
        "part_number": f"{parcel.ordinal:04d}",
    }
    yield render.control(form, control)
    days = pl.selectors.date().dt.strftime("%Y%m%d")
    for frame in lines:
        if frame.height:
            yield render.records(form, usage.SECTION, frame.with_columns(days))
    yield render.end(form, {"record_count": f"{parcel.rows:08d}"})


def held_row(centre: Centre, reception: int, kept: Kept, since: str = "") -> dict[str, object]:
    """What the ledger has of held lines."""
    return {
        "reception": reception,
        "ordinal": kept.ordinal,
        "rows": kept.rows,
        "payers": kept.payers,
        "state": "held",
        "since": since or centre.now(),
    }


def row_of(centre: Centre, reception: Reception, item: Sealed) -> dict[str, object]:
    """What the ledger has of a package that is built."""
    parcel = item.parcel
    stem = PurePath(reception.file_name).stem[:50]
    number = f"{reception.number:010d}_{parcel.ordinal:04d}"
    return {
        "reception": reception.number,
        "ordinal": parcel.ordinal,
        "insurer": parcel.office.insurer,
        "sender": parcel.office.sender,
        "name": f"{usage.PREFIX}_{stem}_{number}.tar{PACKAGE}",
        "rows": parcel.rows,
        "file_sha256": item.sha256,
        "file_length": item.length,
        "state": "built",
        "built_at": centre.now(),
    }
