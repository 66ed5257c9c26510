"""The folder where approvals lie to be signed, and their signatures: `approvals/` below the root.

    a0000000001.json        the text to sign, as the ledger holds it
    a0000000001.<any>.sig   a signature under it; `ssh-keygen -Y sign` makes a0000000001.json.sig

Persons sign beside each other and beside a run, so who writes or removes holds the folder's lock.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from koukan import durable
from koukan.keys.secret import private_folder, read_small
from koukan.keys.sshsig import LARGEST

SUFFIX = ".sig"
_FILE = re.compile(r"a([0-9]{10})\..*", re.DOTALL)


@dataclass(frozen=True)
class ApprovalFolder:
    """The folder; it is made when something is first laid into it."""

    folder: Path

    @classmethod
    def below(cls, root: Path) -> ApprovalFolder:
        """That of a centre."""
        return cls(root / "approvals")

    def text(self, number: int) -> Path:
        """Where the text of an approval lies."""
        return self.folder / f"a{number:010d}.json"

    def publish(self, number: int, text: str) -> None:
        """Lay the text of an approval out, unless it lies there as it should."""
        path, content = self.text(number), text.encode("ascii")
        with self._alone():
            if not path.is_file() or read_small(path, len(content)) != content:
                durable.write(path, content, replace=True)

    def put(self, number: int, person: str, signature: bytes) -> str:
        """Lay a person's signature beside the text, in place of an earlier one; its file's name."""
        path = self.folder / f"a{number:010d}.{person}{SUFFIX}"
        with self._alone():
            durable.write(path, signature, replace=True)
        return path.name

    def signatures(self, number: int) -> list[tuple[str, bytes]]:
        """(name, content) of all signature files of an approval, by name.

        What cannot be read is given as empty, what is too long in part: neither is a signature.
        """
        found = []
        for path in sorted(self.folder.glob(f"a{number:010d}.*{SUFFIX}")):
            try:
                found.append((path.name, read_small(path, LARGEST)))
            except FileNotFoundError:
                continue  # removed while we looked
            except OSError:
                found.append((path.name, b""))
        return found

    def tidy(self, open_: Collection[int], newest: int) -> list[str]:
        """Remove the files of approvals up to `newest` that are not open, and unfinished files.

        Returns:
            names of what was removed.
        """
        removed = []
        with self._alone():
            for path in sorted(self.folder.iterdir()):
                name = _FILE.fullmatch(path.name)
                over = name is not None and int(name[1]) <= newest and int(name[1]) not in open_
                if (over or path.name.startswith(durable.TEMPORARY)) and not path.is_dir():
                    durable.unlink(path)
                    removed.append(path.name)
        return removed

    @contextmanager
    def _alone(self) -> Iterator[None]:
        handle = os.open(private_folder(self.folder), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)
