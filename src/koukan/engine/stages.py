"""Sealed stages: frames that pass between the tasks of a group, and are gone when it is committed.

Every stage of a group is sealed with the group's own random key, destroyed with them. They are not
made durable: after a crash they are made anew.
"""

from __future__ import annotations

import io
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import polars as pl
import pyarrow as pa

from koukan.keys.keyring import Keyring
from koukan.keys.sealed import SealedWriter, unseal


@dataclass(frozen=True)
class Stage:
    """The stages of one attempt at one group."""

    folder: Path
    keyring: Keyring
    name: str

    @classmethod
    def of(cls, stages: Path, keyring: Keyring, group: int, attempt: int) -> Stage:
        name = f"g{group:08d}-{attempt:03d}"
        return cls(stages / name, keyring, name)

    def create(self) -> None:
        """An empty folder and a fresh key; leavings of earlier attempts at the group go."""
        group = self.name.partition("-")[0]
        for old in self.folder.parent.glob(f"{group}-*"):
            self._drop(old)
        self.folder.mkdir(mode=0o700)
        self.keyring.random_key("stage", self.name)

    def put(self, name: str, frame: pl.DataFrame) -> None:
        """Seal a frame under a name; the same name again replaces it."""
        content = io.BytesIO()
        frame.write_ipc(content, compression="uncompressed")
        key = self.keyring.existing_key("stage", self.name)
        with SealedWriter(self.folder / name, key, self._context(name), durable=False) as file:
            file.write(content.getbuffer())

    def get(self, name: str) -> pl.DataFrame:
        """The frame under a name."""
        key = self.keyring.existing_key("stage", self.name)
        content = unseal(self.folder / name, key, self._context(name))
        # Through pyarrow the frame lies in the bytes that were unsealed: nothing is copied again.
        table = pa.ipc.open_file(pa.BufferReader(content)).read_all()
        return cast(pl.DataFrame, pl.from_arrow(table))

    def holds(self, name: str) -> bool:
        return (self.folder / name).exists()

    def drop(self) -> None:
        """Destroy key and files."""
        self._drop(self.folder)

    def _drop(self, folder: Path) -> None:
        self.keyring.destroy("stage", folder.name)
        shutil.rmtree(folder, ignore_errors=True)

    def _context(self, name: str) -> str:
        return f"stage|{self.name}|{name}"
