"""Whether the machine is what its SFTP server needs: accounts, folders, keys, rules. Looks only."""

from __future__ import annotations

import grp
import hashlib
import os
import pwd
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from koukan.keys.secret import read_small
from koukan.sites import Site
from koukan.sites.server import (
    BOUNDS,
    DROP_IN,
    INCLUDE,
    LIMITS_FILE,
    NO_SHELL,
    RULES,
    Folder,
    accounts,
    authorized,
    files,
    folders,
)

LARGEST = 256 * 1024  # bytes of a file that is compared
NOT_THERE = "-"
ELSEWHERE = "exchange"
SSH = Path("/etc/ssh")


class Difference(NamedTuple):
    """One thing that is not as it has to be.

    Args:
        path: of the folder or file, or `account NAME`; names of senders and doors only.
        found, wanted: `mode owner:group` of a folder, `uid:gid shell groups` of an account, the
            hash of a file, a setting of sshd; `-` for what is not there, or must not be.
    """

    path: str
    found: str
    wanted: str


def differences(site: Site, exchange: Path, ssh: Path = SSH) -> list[Difference]:
    """Everything that is not as `koukan sftp config` says, in the order of repair.

    Args:
        exchange: the centre's folder of that name, which has to be `[sftp] folder`.
        ssh: the folder with the server's configuration.
    """
    place = Path(site.sftp.folder)
    found = list(_accounts(site))
    found += _above(place)
    if _same(exchange) != _same(place):
        found.append(Difference(ELSEWHERE, str(exchange.resolve()), str(place)))
    for folder in folders(site):
        found += _folder(place, folder)
    return [*found, *_keys(site), *_rules(site, ssh)]


def _accounts(site: Site) -> Iterator[Difference]:
    """Who is not in the group is not confined; files of another uid are not taken."""
    sftp = site.sftp
    if sftp.user != "root" and _account(sftp.user, "") == NOT_THERE:
        yield Difference(f"account {sftp.user}", NOT_THERE, sftp.user)
    for sender in accounts(site):
        wanted = f"{sender.uid}:{sender.uid} {NO_SHELL} {sftp.group}"
        found = _account(sender.name, sftp.group)
        if found != wanted:
            yield Difference(f"account {sender.name}", found, wanted)


def _account(name: str, group: str) -> str:
    try:
        known = pwd.getpwnam(name)
    except KeyError:
        return NOT_THERE
    try:
        confined = name in grp.getgrnam(group).gr_mem
    except KeyError:
        confined = False
    shown = f"{known.pw_uid}:{known.pw_gid} {known.pw_shell}"
    return f"{shown} {group if confined else NOT_THERE}"


def _keys(site: Site) -> Iterator[Difference]:
    """Files of authorized keys: each sender's own, and nobody else's."""
    folder = Path(site.sftp.keys)
    wanted = {sender.name: authorized(sender) for sender in accounts(site)}
    there = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    for name in sorted(wanted.keys() | there):
        yield from _file(folder / name, wanted.get(name, ""))


def _rules(site: Site, ssh: Path) -> Iterator[Difference]:
    """Our rules for sshd, and what it reads before them: of each setting the first one counts."""
    folder, main = ssh / INCLUDE.parent, ssh / "sshd_config"
    made = files(site)
    rules = made[RULES]
    yield from _file(LIMITS_FILE, made[BOUNDS])
    yield from _file(folder / DROP_IN, rules)
    before: list[tuple[Path, list[str]]] = []
    settings = _settings(_content(main))
    includes = [number for number, words in enumerate(settings) if _includes(words)]
    if not includes:
        yield Difference(str(main), NOT_THERE, f"Include {SSH / INCLUDE}")
    else:
        before.append((main, [words[0] for words in settings[: includes[0]]]))
    for path in sorted(folder.glob(INCLUDE.name)):
        if path.name < DROP_IN:
            before.append((path, [words[0] for words in _settings(_content(path))]))
    ours = {words[0] for words in _settings(rules)}
    for path, keywords in before:
        for keyword in sorted(ours.intersection(keywords)):
            yield Difference(str(path), keyword, NOT_THERE)


def _settings(text: str) -> list[list[str]]:
    """Lines that say something, in words; the first one in small letters, as sshd reads it."""
    lines = [line.replace("=", " ", 1).split() for line in text.splitlines()]
    return [[line[0].lower(), *line[1:]] for line in lines if line and not line[0].startswith("#")]


def _includes(words: list[str]) -> bool:
    return words[0] == "include" and any(
        word in (str(INCLUDE), str(SSH / INCLUDE)) for word in words[1:]
    )


def _file(path: Path, wanted: str) -> Iterator[Difference]:
    """A file that has to have this content, or not to be there where that is empty."""
    there = _content(path)
    if there != wanted:
        yield Difference(str(path), _hash(there), _hash(wanted))


def _hash(content: str) -> str:
    return f"SHA256:{hashlib.sha256(content.encode()).hexdigest()[:16]}" if content else NOT_THERE


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
        return read_small(path, LARGEST).decode("utf-8", "replace")
    except OSError:
        return ""
