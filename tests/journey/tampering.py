"""Ways to alter what lies on disk, and what everybody who reads it must do then."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest
from journey import checks, nights
from journey.nights import Said

from koukan.engine.centre import Centre
from koukan.engine.digest import state_digest
from koukan.engine.history import look_up
from koukan.engine.run import run_job
from koukan.errors import Exit, IntegrityError, TableRefused
from koukan.samples.registration import LOSS, NEW

KENPO_A = nights.INSURERS["kenpo-a"][0].code


@dataclass(frozen=True)
class Base:
    """The small site after its night; one more file of kenpo-a waits in the inbox."""

    site: nights.Prepared
    before: Path  # a copy of the root as it was before the night
    digest: str  # after the waiting file was taken in, nothing having been altered


NAMED = (2, 390)  # one whom kenpo-a has registered, and a new one


def next_file(root: Path) -> None:
    """News of a person whom kenpo-a has registered, and a new one: vault and roster are read."""
    nights.lay_said(root, "kenpo-a", 4, [Said(NAMED[0], LOSS), Said(NAMED[1], NEW)])


def member_of(root: Path, person: int) -> str:
    return nights.member_ids(root, "kenpo-a", "MR_kenpo-a_000001.csv")[person + 1]


READERS: dict[str, Callable[[Centre], object]] = {
    "run": lambda centre: run_job(centre, nights.REGISTER),
    "look-up": lambda centre: look_up(centre, KENPO_A, member_of(centre.root, 2)),
    "digest": state_digest,
}


def flipped(content: bytes, place: int, bit: int = 0) -> bytes:
    return content[:place] + bytes([content[place] ^ (1 << bit)]) + content[place + 1 :]


def plain(path: Path) -> bytes:
    """Any Parquet file that is not encrypted."""
    other = path.with_name("plain")
    pl.DataFrame({"link_number": [1], "member_id": [1]}).write_parquet(other)
    content = other.read_bytes()
    other.unlink()
    return content


ALTERED: dict[str, Callable[[Path, list[Path]], bytes | None]] = {
    "missing": lambda _path, _others: None,
    "empty": lambda _path, _others: b"",
    "truncated by a byte": lambda path, _others: path.read_bytes()[:-1],
    "truncated to half": lambda path, _others: path.read_bytes()[: path.stat().st_size // 2],
    "lengthened": lambda path, _others: path.read_bytes() + b"PARE",
    "random bytes": lambda path, _others: random.Random(1).randbytes(path.stat().st_size),
    "random bytes between the magic": lambda path, _others: (
        b"PARE" + random.Random(1).randbytes(path.stat().st_size - 8) + b"PARE"
    ),
    "another file of the table": lambda _path, others: others[0].read_bytes(),
    "another file of the same length": lambda path, others: (
        others[0].read_bytes().ljust(path.stat().st_size, b"\0")[: path.stat().st_size - 4]
        + b"PARE"
    ),
    "plaintext": lambda path, _others: plain(path),
    "plaintext of the same length": lambda path, _others: (
        plain(path).ljust(path.stat().st_size, b"\0")[: path.stat().st_size - 4] + b"PAR1"
    ),
}


@contextmanager
def altered(paths: list[Path], contents: list[bytes | None]) -> Iterator[None]:
    """The files with other bytes (None: gone) for the time of the block."""
    before = [path.read_bytes() for path in paths]
    for path, content in zip(paths, contents, strict=True):
        path.unlink()
        if content is not None:
            path.write_bytes(content)
    yield
    for path, content in zip(paths, before, strict=True):
        path.write_bytes(content)


def require_refused(
    base: Base, root: Path, reader: str, kind: type[IntegrityError] = TableRefused
) -> None:
    """A reader refuses, with the exit code that stops the line and calls somebody."""
    centre = base.site.open(root)
    try:
        with pytest.raises(kind) as refused:
            READERS[reader](centre)
        assert refused.value.exit_code == Exit.INTEGRITY
        assert refused.value.__cause__ is None
        assert refused.value.__suppress_context__ or refused.value.__context__ is None
    finally:
        centre.close()


def require_sound(base: Base, root: Path) -> None:
    """With everything back in its place, one plain run comes to what it would have come to."""
    centre = base.site.open(root)
    run_job(centre, nights.REGISTER)
    assert state_digest(centre) == base.digest
    assert checks.problems(centre) == []
    centre.close()


def require_night(base: Base, root: Path) -> None:
    """The night that was stopped goes on to its usual end."""
    centre = base.site.open(root)
    run_job(centre, nights.REGISTER)
    next_file(root)
    run_job(centre, nights.REGISTER)
    assert state_digest(centre) == base.digest
    assert checks.problems(centre) == []
    centre.close()
