"""Sealed stages: frames that pass between the tasks of a group, and are gone when it is committed.

Every stage of a group is sealed with the group's own random key, destroyed with them. They are not
made durable: after a crash they are made anew.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy.typing as npt
import polars as pl
import pyarrow as pa

from koukan.keys.keyring import Keyring
from koukan.keys.sealed import SealedWriter, unseal

Numbers = dict[str, npt.NDArray[Any]]  # by name, of one length

# Other tasks keep the other cores busy.
_COMPRESSED = pa.ipc.IpcWriteOptions(compression="lz4", use_threads=False)
_ALONE = pa.ipc.IpcReadOptions(use_threads=False)


def packed(frame: pl.DataFrame) -> memoryview:
    """A frame as bytes to be sealed: a sixth of it, for what sealing and writing all would cost.

    By pyarrow as well: polars' own writer takes twice the time, and what it wrote twice to read.
    """
    table = frame.to_arrow(compat_level=pl.CompatLevel.newest())
    content = pa.BufferOutputStream()
    with pa.ipc.new_file(content, table.schema, options=_COMPRESSED) as file:
        file.write_table(table)
    return memoryview(content.getvalue())


def unpacked(content: bytes) -> pl.DataFrame:
    """The frame of `packed`, whose columns polars takes as they lie."""
    table = pa.ipc.open_file(pa.BufferReader(content), options=_ALONE).read_all()
    return cast(pl.DataFrame, pl.from_arrow(table))


class Kept:
    """Frames that stay in memory because the tasks that want them share it; bounded.

    Sealing a group's frames and opening them again is a fifth of the whole work of a file; what
    fits the site's bound never touches the disk. Worker processes share nothing: their bound is 0.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._size = 0
        self._sealed: set[str] = set()
        self._frames: dict[tuple[str, str], pl.DataFrame] = {}
        self._promised: dict[tuple[str, str], Callable[[], pl.DataFrame]] = {}
        self._numbers: dict[str, Numbers] = {}
        self._lock = threading.Lock()

    def put(self, stage: str, name: str, frame: pl.DataFrame, *, small: bool) -> bool:
        """Whether there was room."""
        size = int(frame.estimated_size())
        with self._lock:
            self._forget((stage, name))
            # An empty frame has no size; where nothing is shared it goes to the disk all the same.
            full = not self._limit or self._size + size > self._limit
            if full or (stage in self._sealed and not small):
                return False
            self._frames[stage, name] = frame
            self._size += size
        return True

    def promise(self, stage: str, name: str, make: Callable[[], pl.DataFrame]) -> bool:
        """Whether those who want the frame share the memory of which it is made."""
        if not self._limit:
            return False
        with self._lock:
            self._forget((stage, name))
            self._promised[stage, name] = make
        return True

    def keep_none(self, stage: str) -> None:
        """Nothing of this stage stays in memory, until it is dropped."""
        with self._lock:
            self._sealed.add(stage)

    def leave_numbers(self, stage: str, numbers: Numbers) -> None:
        self._numbers[stage] = numbers

    def take_numbers(self, stage: str) -> Numbers:
        return self._numbers.pop(stage)

    def holds(self, stage: str, name: str) -> bool:
        return (stage, name) in self._frames or (stage, name) in self._promised

    def get(self, stage: str, name: str) -> pl.DataFrame | None:
        made = self._promised.get((stage, name))
        return made() if made is not None else self._frames.get((stage, name))

    def drop(self, stage: str, name: str) -> bool:
        """Forget one frame; whether it was here."""
        with self._lock:
            return self._forget((stage, name))

    def drop_all(self, stage: str) -> None:
        """Forget all of a stage."""
        with self._lock:
            for key in [key for key in (*self._frames, *self._promised) if key[0] == stage]:
                self._forget(key)
            self._sealed.discard(stage)
            self._numbers.pop(stage, None)

    def _forget(self, key: tuple[str, str]) -> bool:
        promised = self._promised.pop(key, None)
        frame = self._frames.pop(key, None)
        if frame is not None:
            self._size -= int(frame.estimated_size())
        return promised is not None or frame is not None


@dataclass(frozen=True)
class Stage:
    """The stages of one attempt at one group."""

    folder: Path
    keyring: Keyring
    name: str
    kept: Kept

    @classmethod
    def of(cls, stages: Path, keyring: Keyring, kept: Kept, group: int, attempt: int) -> Stage:
        name = f"g{group:08d}-{attempt:03d}"
        return cls(stages / name, keyring, name, kept)

    @classmethod
    def left(
        cls, stages: Path, keyring: Keyring, kept: Kept, groups: Collection[int]
    ) -> list[Stage]:
        """Stages of other groups than these: of groups committed by a run that was killed then."""
        owners = {f"g{group:08d}" for group in groups}
        found = [path for path in stages.iterdir() if path.name.partition("-")[0] not in owners]
        return [cls(path, keyring, path.name, kept) for path in sorted(found)]

    def create(self, *, sealed: bool = False) -> None:
        """An empty folder and a fresh key; leavings of earlier attempts at the group go.

        Args:
            sealed: nothing is kept in memory.
        """
        group = self.name.partition("-")[0]
        for old in self.folder.parent.glob(f"{group}-*"):
            self._drop(old)
        self.folder.mkdir(mode=0o700)
        self.keyring.random_key("stage", self.name)
        if sealed:
            self.kept.keep_none(self.name)

    def put(self, name: str, frame: pl.DataFrame, *, small: bool = False) -> None:
        """Keep a frame in memory or seal it, under a name; the same name again replaces it.

        Args:
            small: it may stay in memory in any case: few rows, or taken from here at once.
        """
        if self.kept.put(self.name, name, frame, small=small):
            return
        key = self.keyring.existing_key("stage", self.name)
        with SealedWriter(self.folder / name, key, self._context(name), durable=False) as file:
            file.write(packed(frame))

    def promise(self, name: str, make: Callable[[], pl.DataFrame]) -> None:
        """A frame that is made anew whenever it is asked for; sealed where memory is not shared.

        Args:
            make: what it holds on to stays in memory as long as the stage does.
        """
        if not self.kept.promise(self.name, name, make):
            self.put(name, make())

    def get(self, name: str) -> pl.DataFrame:
        """The frame under a name."""
        kept = self.kept.get(self.name, name)
        if kept is not None:
            return kept
        key = self.keyring.existing_key("stage", self.name)
        return unpacked(unseal(self.folder / name, key, self._context(name)))

    def holds(self, name: str) -> bool:
        return self.kept.holds(self.name, name) or (self.folder / name).exists()

    def leave_numbers(self, numbers: Numbers) -> None:
        """Columns of all lines of the group, from one step of the driver to the next."""
        self.kept.leave_numbers(self.name, numbers)

    def take_numbers(self) -> Numbers:
        """What was left, once: it is as large as all that is kept, and the taker lets go of it."""
        return self.kept.take_numbers(self.name)

    def done_with(self, name: str) -> None:
        """Give back what a frame takes that nobody asks for again: memory, or space on the disk."""
        if not self.kept.drop(self.name, name):
            (self.folder / name).unlink(missing_ok=True)

    def drop(self) -> None:
        """Destroy key and files."""
        self._drop(self.folder)

    def _drop(self, folder: Path) -> None:
        self.kept.drop_all(folder.name)
        self.keyring.destroy("stage", folder.name)
        shutil.rmtree(folder, ignore_errors=True)

    def _context(self, name: str) -> str:
        return f"stage|{self.name}|{name}"
