"""apply.sh and `koukan sftp check` on a machine of their own: applied_sftp.py CENTRE CONFIG WORK.

To be run in a mount namespace of its own, whose /etc, /srv and /run are its own. Prints as JSON
what differs after apply.sh, then for each thing that is made wrong what is told of it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from koukan.engine.centre import format_folders
from koukan.exchange.standing import differences
from koukan.formats import require_catalogue
from koukan.sites import Site, require_site

Undo = Callable[[], object]
SRV, SSH = Path("/srv/koukan-sftp"), Path("/etc/ssh")
KEYS = SSH / "koukan-keys"
SENDER = SRV / "kenpo-a"


def owned(path: Path, user: int, group: int) -> Callable[[], Undo]:
    def damage() -> Undo:
        state = path.stat()
        os.chown(path, user, group)
        return lambda: (
            os.chown(path, state.st_uid, state.st_gid),
            path.chmod(state.st_mode & 0o7777),
        )

    return damage


def mode(path: Path, wanted: int) -> Callable[[], Undo]:
    def damage() -> Undo:
        before = path.stat().st_mode & 0o7777
        path.chmod(wanted)
        return lambda: path.chmod(before)

    return damage


def gone(path: Path, instead: Callable[[], object] = lambda: None) -> Callable[[], Undo]:
    aside = path.with_name(f"{path.name}-aside")

    def damage() -> Undo:
        path.rename(aside)
        instead()
        return back

    def back() -> None:
        path.unlink(missing_ok=True)
        aside.rename(path)

    return damage


def text(path: Path, change: Callable[[str], str]) -> Callable[[], Undo]:
    """A file with other content; one that was not there is taken away again."""

    def damage() -> Undo:
        there = path.exists()
        before = path.read_text() if there else ""
        path.write_text(change(before))
        return (lambda: path.write_text(before)) if there else path.unlink

    return damage


def lines(path: Path, start: str, other: str) -> Callable[[], Undo]:
    """Lines that start so become another one, or none."""

    def change(content: str) -> str:
        found = [other if line.startswith(start) else line for line in content.splitlines()]
        return "".join(f"{line}\n" for line in found if line)

    return text(path, change)


def damages(root: Path) -> dict[str, Callable[[], Undo]]:
    outbox, door = SENDER / "outbox", SENDER / "inbox" / "server_link"
    passwd, group = Path("/etc/passwd"), Path("/etc/group")
    main, drop_ins = SSH / "sshd_config", SSH / "sshd_config.d"
    nologin = "/usr/sbin/nologin"

    def account(uid: int, shell: str = nologin) -> str:
        return f"kenpo-a:x:{uid}:{uid}:koukan sender:/:{shell}"

    return {
        "an outbox of its sender's": owned(outbox, 3001, 3001),
        "a door of nobody's group": owned(door, 3001, 65534),
        "a sender's folder that it may write to": mode(SENDER, 0o775),
        "an outbox that its owner may write to": mode(outbox, 0o2770),
        "a door for all": mode(door, 0o2777),
        "no folder": gone(door),
        "a link for a folder": gone(door, lambda: door.symlink_to("/tmp")),
        "a file for a folder": gone(door, door.touch),
        "a folder above that others may write to": mode(Path("/srv"), 0o777),
        "exchange elsewhere": gone(
            root / "exchange", lambda: (root / "exchange").symlink_to("/tmp")
        ),
        "no user koukan": lines(passwd, "koukan:", ""),
        "no account": lines(passwd, "kenpo-a:", ""),
        "another uid": lines(passwd, "kenpo-a:", account(3099)),
        "a shell": lines(passwd, "kenpo-a:", account(3001, "/bin/bash")),
        "not in the group": lines(group, "koukan-sftp:", "koukan-sftp:x:995:"),
        "no group": lines(group, "koukan-sftp:", ""),
        "no key": gone(KEYS / "kenpo-a"),
        "another key": text(KEYS / "kenpo-a", lambda known: known.replace("AAAA", "BBBB")),
        "a key of one who has none": text(KEYS / "kenpo-b", lambda _: "ssh-ed25519 AAAA\n"),
        "a key of a stranger": text(KEYS / "root", lambda _: "ssh-ed25519 AAAA\n"),
        "no rules": gone(drop_ins / "10-koukan.conf"),
        "other rules": text(
            drop_ins / "10-koukan.conf",
            lambda rules: rules.replace("PermitTTY no", "PermitTTY yes"),
        ),
        "no bounds": gone(Path("/etc/security/limits.d/koukan-sftp.conf")),
        "rules before ours": text(
            drop_ins / "00-site.conf",
            lambda _: "# ours\nMatch User kenpo-a\n  chrootdirectory=none\n  Banner /etc/issue\n",
        ),
        "rules before the others": text(main, lambda rules: f"Ciphers aes128-cbc\n{rules}"),
        "no rules read": lines(main, "Include", ""),
    }


def harmless() -> dict[str, Callable[[], Undo]]:
    drop_ins = SSH / "sshd_config.d"
    return {
        "rules behind ours": text(drop_ins / "50-site.conf", lambda _: "PermitTTY yes\n"),
        "others before ours": text(drop_ins / "00-site.conf", lambda _: "Banner /etc/issue\n"),
        "no drop-in at all": text(drop_ins / "00-site.txt", lambda _: "PermitTTY yes\n"),
    }


def told(site: Site, root: Path) -> list[list[str]]:
    return [list(item) for item in differences(site, root / "exchange")]


def effective(user: str) -> dict[str, str]:
    """What sshd would do with an account."""
    command = ["/usr/sbin/sshd", "-T", "-C", f"user={user},host=there,addr=192.0.2.1"]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return dict(line.split(" ", 1) for line in said.splitlines() if " " in line)


def main() -> None:
    root, config, work = map(Path, sys.argv[1:])
    shutil.copytree("/etc", work / "etc", symlinks=True)
    for source, target in ((work / "etc", "/etc"), ("tmpfs", "/srv"), ("tmpfs", "/run")):
        kind = ["-t", "tmpfs", "-o", "mode=0755"] if source == "tmpfs" else ["--bind"]
        subprocess.run(["mount", *kind, str(source), target], check=True)
    Path("/run/sshd").mkdir()
    if not any(SSH.glob("ssh_host_*_key")):
        subprocess.run(["ssh-keygen", "-A"], check=True, capture_output=True)
    (SSH / "sshd_config").write_text("Include /etc/ssh/sshd_config.d/*.conf\nUsePAM no\n")
    for path in (SSH / "sshd_config.d").glob("*.conf"):
        path.unlink()
    site = require_site(root / "site.toml", require_catalogue(*format_folders(None)))
    (root / "exchange").symlink_to(SRV)
    before = told(site, root)
    for _ in range(2):
        subprocess.run(["sh", str(config / "apply.sh")], check=True, stdout=sys.stderr)
    found = {"before": before, "applied": told(site, root)}
    found["sshd"] = {user: effective(user) for user in ("kenpo-a", "root")}  # type: ignore[assignment]
    cases = {}
    for name, damage in {**damages(root), **harmless()}.items():
        undo = damage()
        cases[name] = told(site, root)
        undo()
        assert told(site, root) == [], name
    json.dump({**found, "damages": cases, "harmless": sorted(harmless())}, sys.stdout)


if __name__ == "__main__":
    main()
