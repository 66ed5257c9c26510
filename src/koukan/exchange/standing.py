"""Whether the machine's folders and keys are what its SFTP server needs. Looks only."""

from __future__ import annotations

import grp
import os
import pwd
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from koukan.keys.secret import read_small
from koukan.sites import Site
from koukan.sites.server import Folder, accounts, authorized, folders

LARGEST_KEYS = 64 * 1024  # bytes of a file of authorized keys
NOT_THERE = "-"
ELSEWHERE = "exchange"


class Difference(NamedTuple):
    """One thing that is not as it has to be.

    Args:
        path: of the folder or file; names of senders and doors only.
        found, wanted: `mode owner:group`, `-` for what is not there, or what a file is.
    """

    path: str
    found: str
    wanted: str


def differences(site: Site, exchange: Path) -> list[Difference]:
    """Everything that is not as `koukan sftp config` says, in the order of repair.

    Args:
        exchange: the centre's folder of that name, which has to be `[sftp] folder`.
    """
    place = Path(site.sftp.folder)
    found = list(_above(place))
    if _same(exchange) != _same(place):
        found.append(Difference(ELSEWHERE, str(exchange.resolve()), str(place)))
    for folder in folders(site):
        found += _folder(place, folder)
    for sender in accounts(site):
        path = Path(site.sftp.keys, sender.name)
        wanted = authorized(sender)
        there = _content(path)
        if there != wanted:
            found.append(Difference(str(path), "other keys" if there else NOT_THERE, "its keys"))
    return found


def _same(path: Path) -> tuple[int, int] | None:
    try:
        state = path.stat()
    except OSError:
        return None
    return state.st_dev, state.st_ino


def _above(place: Path) -> Iterator[Difference]:
    """Folders above the chroots: sshd lets nobody in below one that others may change."""
    for path in reversed(place.parents):
        state = path.stat() if path.exists() else None
        if state is not None and (
            state.st_uid != 0 or state.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        ):
            yield Difference(str(path), _shown(state), "0755 root:root")


def _folder(place: Path, folder: Folder) -> Iterator[Difference]:
    path = place / folder.path
    wanted = f"{folder.mode:04o} {folder.owner}:{folder.group}"
    try:
        state = os.lstat(path)
    except OSError:
        yield Difference(str(path), NOT_THERE, wanted)
        return
    if not stat.S_ISDIR(state.st_mode) or _shown(state) != wanted:
        yield Difference(str(path), _shown(state), wanted)


def _shown(state: os.stat_result) -> str:
    kind = "" if stat.S_ISDIR(state.st_mode) else f"{stat.filemode(state.st_mode)[0]} "
    return f"{kind}{stat.S_IMODE(state.st_mode):04o} {_user(state.st_uid)}:{_group(state.st_gid)}"


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _group(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def _content(path: Path) -> str:
    try:
        return read_small(path, LARGEST_KEYS).decode("ascii", "replace")
    except OSError:
        return ""
