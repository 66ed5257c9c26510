"""Sealed originals and results of receptions: one file and one key each, destroyed together."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from koukan import durable
from koukan.codecs.gate import Gate
from koukan.codecs.text import Content
from koukan.engine.centre import Centre
from koukan.keys.sealed import SealedReader, SealedWriter
from koukan.ledger import Reception

BLOCK = 2 * 1024 * 1024
LOT_BITS, PLACE_BITS = 52, 12  # of the sixteen digits in a copy's name


def new_lot() -> int:
    """A number that says nothing, for the names of copies that are made together."""
    return secrets.randbits(LOT_BITS)


def name_in(lot: int, place: int) -> str:
    """A name that says nothing; the ledger knows which reception it belongs to."""
    return f"o-{lot << PLACE_BITS | place:0{(LOT_BITS + PLACE_BITS) // 4}x}"


def is_in(lot: int, name: str) -> bool:
    """Whether it is one of the lot's names."""
    return name.startswith(name_in(lot, 0)[: -PLACE_BITS // 4])


def original_path(centre: Centre, name: str) -> Path:
    return centre.folder("originals", f"{name}.sealed")


def result_path(centre: Centre, name: str) -> Path:
    return centre.folder("results", f"{name}.sealed")


def seal_original(centre: Centre, name: str, blocks: Iterable[bytes]) -> None:
    """Write the sealed copy durably under a key of its own."""
    key = centre.keyring.random_key("original", name)
    with SealedWriter(original_path(centre, name), key, f"original|{name}") as file:
        for block in blocks:
            file.write(block)


def open_original(centre: Centre, name: str) -> SealedReader:
    key = centre.keyring.existing_key("original", name)
    return SealedReader(original_path(centre, name), key, f"original|{name}")


def control_of(centre: Centre, reception: Reception) -> dict[str, str]:
    """The control record of a file that passed the gate, by field."""
    form = centre.bundle_of(reception).form
    with open_original(centre, reception.original) as original:
        head = original.read(0, min(original.length, form.file.max_line_bytes + 2))
    values = Gate(form).split(head[: head.index(form.file.line_end)], form.control)
    assert values is not None  # the gate has read it before
    return values


def ahead(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The same blocks, the next one opened while the caller looks at the last."""
    waiting = iter(blocks)
    with ThreadPoolExecutor(1) as reader:
        coming = reader.submit(next, waiting, b"")
        while block := coming.result():
            coming = reader.submit(next, waiting, b"")
            yield block


def seal_result(centre: Centre, name: str, parts: Iterable[Content]) -> None:
    """The result file as it will lie in the outbox, sealed beside the original."""
    key = centre.keyring.existing_key("original", name)
    context = f"result|{name}"
    with SealedWriter(result_path(centre, name), key, context, replace=True) as file:
        for part in parts:
            file.write(part)


def read_result(centre: Centre, name: str) -> SealedReader:
    """The sealed result, to be read in blocks."""
    key = centre.keyring.existing_key("original", name)
    return SealedReader(result_path(centre, name), key, f"result|{name}")


def destroy(centre: Centre, *names: str) -> None:
    """Keys first: with them gone the files are noise already."""
    for name in names:
        centre.keyring.destroy("original", name)
        centre.observe("original's key destroyed", step="erase")
    durable.remove(place(centre, name) for name in names for place in (original_path, result_path))
