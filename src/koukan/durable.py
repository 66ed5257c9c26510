"""The one module that makes files durable. Everything else calls it.

Order that survives a cut of power (measured on ext4): temp in the same folder, length check,
fsync of the file, link or rename, fsync of the folder. A failed fsync is final for this attempt: it
raises, and the caller starts again from its source.
"""

from __future__ import annotations

import ctypes
import errno
import os
import secrets
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from koukan.errors import IntegrityError

TEMPORARY = ".tmp-"  # prefix of every file that is not yet published; recovery deletes them
_SYNC_FILE_RANGE_WAIT_BEFORE, _SYNC_FILE_RANGE_WRITE = 1, 2  # fcntl.h
# What a system says that has no such call, or lets us not: the sync at the end waits for all of it.
_NOT_HERE = frozenset({errno.ENOSYS, errno.EPERM, errno.EINVAL, errno.EOPNOTSUPP})
STRETCH = 8 << 20  # bytes by which a large file grows until the system is told to write them


@dataclass
class _Block:
    """What a thread's `together` block leaves for its end."""

    unnamed: dict[Path, tuple[Path, bool]] = field(default_factory=dict)  # final -> temporary
    written: set[Path] = field(default_factory=set)  # under their names already
    folders: set[Path] = field(default_factory=set)

    def claim(self, temporary: Path, final: Path, *, replace: bool) -> None:
        """Take a file over from who wrote it, and removes whatever has its temporary name."""
        if final in self.unnamed and not replace:
            os.unlink(temporary)
            return
        self.forget(final)
        ours = temporary_name(final)
        temporary.rename(ours)
        self.unnamed[final] = ours, replace

    def forget(self, final: Path) -> bool:
        """Whether a file was waiting for this name; it waits no longer."""
        ours, _ = self.unnamed.pop(final, (None, False))
        if ours is not None:
            ours.unlink(missing_ok=True)
        return ours is not None

    def finish(self) -> None:
        """Contents, then names, then folders."""
        waiting = [ours for ours, _ in self.unnamed.values()]
        for path in (*waiting, *self.written):
            # So that the first wait is for all of them: of many files that are waited for one after
            # another, a disk would have to end a transaction for each.
            handle = os.open(path, os.O_RDONLY)
            try:
                _begin_writing(handle, 0, 0)
            finally:
                os.close(handle)
        for path in (*waiting, *self.written):
            sync_file(path)
        for final, (ours, replace) in self.unnamed.items():
            _name(ours, final, replace=replace)
        self.folders.update(final.parent for final in self.unnamed)
        self.unnamed.clear()

    def leave(self) -> None:
        """Whatever happened: nothing without a name stays, and folders are as they look."""
        for final in list(self.unnamed):
            self.forget(final)
        for folder in sorted(self.folders):
            sync_folder(folder)


_own = threading.local()  # `block`: the thread's `together` block


def temporary_name(final: Path) -> Path:
    """A new name in the folder of `final` that no reader takes for a finished file."""
    return final.with_name(f"{TEMPORARY}{secrets.token_hex(6)}")


@contextmanager
def together() -> Iterator[None]:
    """Files that this thread writes in the block are durable and get their names at its end.

    For many small files on which nobody relies until the block is over: the disk is waited for
    once, and each folder is synced once. Names that are removed are gone at once, and durably so
    at the end. Of a block that fails no file gets its name. A block within another is a part of it.
    """
    if _block() is not None:
        yield
        return
    block = _own.block = _Block()
    try:
        yield
        _own.block = None
        block.finish()
    finally:
        _own.block = None
        block.leave()


@contextmanager
def at_once() -> Iterator[None]:
    """What this thread writes here is durable and has its name at once, also in a block."""
    outer, _own.block = _block(), None
    try:
        yield
    finally:
        _own.block = outer


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable; in a `together` block at its end."""
    if (block := _block()) is not None:
        block.folders.add(folder)
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_file(path: Path) -> None:
    """Make the content of `path` durable; in a `together` block at its end."""
    if (block := _block()) is not None:
        block.written.add(path)
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def publish(
    temporary: Path, final: Path, *, length: int | None = None, replace: bool = False
) -> None:
    """Give a written temporary file its final name, durably; in a `together` block at its end.

    Without `replace` a file that already stands under the final name wins (put if absent): the
    caller wrote the same content, or must not change what others have seen.

    Raises:
        IntegrityError: the temporary file is not `length` bytes long.
    """
    if length is not None and temporary.stat().st_size != length:
        raise IntegrityError("durable.length", path=final.name)
    if (block := _block()) is not None:
        block.claim(temporary, final, replace=replace)
        return
    sync_file(temporary)
    _name(temporary, final, replace=replace)
    sync_folder(final.parent)


def write_behind(handle: int, told: int, length: int) -> int:
    """Have the system write what a large file has grown by while it grows on.

    Nothing is durable by this: the wait at its end is shorter, as little is left to wait for.

    Args:
        told: bytes that the system was told to write before.
        length: of the file by now.

    Returns:
        bytes that it was told to write now.
    """
    if length - told < STRETCH:
        return told
    _begin_writing(handle, told, length)
    return length


def write_and_forget(handle: int, told: int, length: int) -> int:
    """The same for a file that nobody reads again soon: of what was written nothing is kept.

    So it takes the memory of two stretches, however large it is, and the same pages all the time:
    a result of 200 MB was laid out in 0.2 s instead of 0.3 to 0.5, see `forget_behind`.

    Raises:
        OSError: something could not be written. The sync at the end may not hear of it again.
    """
    if (said := write_behind(handle, told, length)) != told:
        _await_written(handle, told)
        _forget(handle, 0, told)
    return said


def forget_behind(handle: int, told: int, length: int) -> int:
    """Have the system forget what was read of a large file that nobody reads again soon.

    Its pages are the first to be used anew, for what is written meanwhile. Those that the system
    has to find elsewhere cost several times as much where it is a guest that gives unused memory
    back to its host: a copy of a gigabyte took two thirds longer.

    Args:
        told: bytes from which on they may be forgotten.
        length: bytes that were read by now.

    Returns:
        bytes from which on there is something to forget yet.
    """
    if length - told < STRETCH:
        return told
    _forget(handle, told, length)
    return length


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
    block = _block()
    waited = block is not None and block.forget(path)
    try:
        os.unlink(path)
    except FileNotFoundError:
        return waited
    sync_folder(path.parent)
    return True


def remove(paths: Iterable[Path]) -> None:
    """Remove many names; durable on return, for each folder at once. Those gone already stay so."""
    folders = set()
    block = _block()
    for path in paths:
        if block is not None:
            block.forget(path)
        path.unlink(missing_ok=True)
        folders.add(path.parent)
    for folder in sorted(folders):
        sync_folder(folder)


def _block() -> _Block | None:
    found: _Block | None = getattr(_own, "block", None)
    return found


def _name(temporary: Path, final: Path, *, replace: bool) -> None:
    if replace:
        os.replace(temporary, final)
        return
    try:
        os.link(temporary, final)
    except FileExistsError:
        pass  # an earlier attempt published it; ours is not needed
    os.unlink(temporary)


def _begin_writing(handle: int, start: int, stop: int) -> None:
    """Have the system write a file's bytes and wait for nothing; up to its end where both are 0.

    Of what it writes it forgets nothing: much of it is read again soon. Where it cannot be told so,
    the sync at the end has more to wait for.
    """
    if (tell := _sync_file_range()) is not None:
        tell(handle, start, stop - start, _SYNC_FILE_RANGE_WRITE)


def _await_written(handle: int, stop: int) -> None:
    """Wait until the system has written what it was told to of a file's first bytes.

    Raises:
        OSError: it could not.
    """
    tell = _sync_file_range()
    if tell is None or not stop or not tell(handle, 0, stop, _SYNC_FILE_RANGE_WAIT_BEFORE):
        return
    if (number := ctypes.get_errno()) not in _NOT_HERE:
        raise OSError(number, os.strerror(number))


def _forget(handle: int, start: int, stop: int) -> None:
    """Have the system drop what it keeps of a file's bytes, as far as it is on the disk."""
    if stop > start and hasattr(os, "posix_fadvise"):
        os.posix_fadvise(handle, start, stop - start, os.POSIX_FADV_DONTNEED)


@cache
def _sync_file_range() -> Callable[[int, int, int, int], int] | None:
    """The system's call, which Python has not; None where there is none."""
    try:
        call = ctypes.CDLL(None, use_errno=True).sync_file_range
    except (AttributeError, OSError):
        return None
    call.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
    found: Callable[[int, int, int, int], int] = call
    return found
