"""The one module that makes files durable. Everything else calls it.

Order that survives a cut of power (measured on ext4): temp in the same folder, length check,
fsync of the file, link or rename, fsync of the folder. A failed fsync is final for this attempt: it
raises, and the caller starts again from its source.
"""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from koukan.errors import IntegrityError

TEMPORARY = ".tmp-"  # prefix of every file that is not yet published; recovery deletes them
_own = threading.local()  # `waiting`: folders of the thread's `together` block


def temporary_name(final: Path) -> Path:
    """A new name in the folder of `final` that no reader takes for a finished file."""
    return final.with_name(f"{TEMPORARY}{secrets.token_hex(6)}")


@contextmanager
def together() -> Iterator[None]:
    """Names that this thread makes or removes in the block are durable at its end, not before.

    The content of each file is durable at once, as always; each folder is synced once for all of
    its names. For many small files whose names nobody relies on until the block is over. A block
    within another is a part of it.
    """
    if getattr(_own, "waiting", None) is not None:
        yield
        return
    folders: set[Path] = set()
    _own.waiting = folders
    try:
        yield
    finally:
        _own.waiting = None
        for folder in sorted(folders):
            sync_folder(folder)


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable; in a `together` block at its end."""
    waiting: set[Path] | None = getattr(_own, "waiting", None)
    if waiting is not None:
        waiting.add(folder)
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_file(path: Path) -> None:
    """Make the content of `path` durable."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def publish(
    temporary: Path, final: Path, *, length: int | None = None, replace: bool = False
) -> None:
    """Give a written temporary file its final name, durably.

    Without `replace` a file that already stands under the final name wins (put if absent): the
    caller wrote the same content, or must not change what others have seen.

    Raises:
        IntegrityError: the temporary file is not `length` bytes long.
    """
    if length is not None and temporary.stat().st_size != length:
        raise IntegrityError("durable.length", path=final.name)
    sync_file(temporary)
    if replace:
        os.replace(temporary, final)
    else:
        try:
            os.link(temporary, final)
        except FileExistsError:
            pass  # an earlier attempt published it; ours is not needed
        os.unlink(temporary)
    sync_folder(final.parent)


def write(final: Path, content: bytes, *, replace: bool = False, mode: int = 0o600) -> None:
    """Write a small file whole and durably; its mode is exactly this one."""
    temporary = temporary_name(final)
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        if mode != 0o600:
            os.fchmod(handle, mode)
        file.write(content)
    publish(temporary, final, length=len(content), replace=replace)


def write_outside(final: Path, content: bytes) -> None:
    """Write a file whole on to a medium that is not ours, durably.

    It grows under its name with `.part` behind it, which an attempt that was killed leaves and the
    next one writes over. Nothing is linked: the file systems of most media cannot.
    """
    growing = final.with_name(f"{final.name}.part")
    handle = os.open(growing, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
    publish(growing, final, length=len(content), replace=True)


def unlink(path: Path) -> bool:
    """Remove a name durably; False when it was gone already."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return False
    sync_folder(path.parent)
    return True


def remove(paths: Iterable[Path]) -> None:
    """Remove many names; durable on return, for each folder at once. Those gone already stay so."""
    folders = set()
    for path in paths:
        path.unlink(missing_ok=True)
        folders.add(path.parent)
    for folder in sorted(folders):
        sync_folder(folder)
