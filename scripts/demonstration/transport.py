"""How files come and go between the insurers and the centre: by SFTP, or through plain folders.

Every insurer has a folder of its own beside the root, laid out as its part of the exchange is: what
lies in `inbox/DOOR` there is to be sent, what was collected lies in `outbox`. Where the operating
system's sshd can be started, all of it goes through that, by the configuration that `koukan sftp
config` writes; elsewhere the insurers' folders are the centre's own.
"""

from __future__ import annotations

import fnmatch
import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Protocol

from demonstration.commands import Commands
from demonstration.people import Beside

from koukan.exchange.marker import DONE
from koukan.formats import require_catalogue
from koukan.shipped import formats_folder
from koukan.sites import Site, require_site, server

sys.path.append(str(Path(__file__).resolve().parents[1] / "counterparts"))
import sshd

Say = Callable[..., None]
PART = ".part"
GROUP = 3901  # of all accounts, which exist in sshd's namespace only
TOP, KEYS = "/srv/sftp", "/run/koukan-keys"  # there
READABLE = 0o640
SETTINGS = f'\n[sftp]\nfolder = "{TOP}"\nkeys = "{KEYS}"\nuser = "root"\n'


class Transport(Protocol):
    """What the demonstration does as an insurer."""

    insurers: Path  # NAME/inbox/DOOR, NAME/outbox of every insurer, below exchange/

    def send(self) -> None:
        """Everything that insurers have laid out goes into their inboxes at the centre."""

    def look(self) -> None:
        """Every insurer has what lies in its outbox."""

    def collect(self, pattern: str) -> list[Path]:
        """Every insurer takes its packages of such names and says so; where each lies then."""


class Folders:
    """Insurers write into the centre's folders, and move packages within them."""

    def __init__(self, root: Path) -> None:
        self.insurers = root

    def send(self) -> None:
        pass

    def look(self) -> None:
        pass

    def collect(self, pattern: str) -> list[Path]:
        found = []
        for path in sorted((self.insurers / "exchange").glob(f"*/outbox/{pattern}")):
            taken = path.parents[1] / "taken"
            for each in (path.with_name(path.name + ".sig"), path):
                os.replace(each, taken / each.name)
            found.append(taken / path.name)
        return found


class Client:
    """OpenSSH's sftp as one insurer uses it, logged in until it is closed."""

    def __init__(self, port: int, user: str, key: Path, known_hosts: Path) -> None:
        options = ["-q", "-F", "/dev/null", "-i", str(key), "-b", "-"]
        for setting in (
            *("BatchMode=yes", "IdentitiesOnly=yes", f"UserKnownHostsFile={known_hosts}"),
            f"Port={port}",
        ):
            options += ["-o", setting]
        self._process = subprocess.Popen(
            ["sftp", *options, f"{user}@127.0.0.1"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def do(self, *commands: str) -> list[str]:
        """Commands, one after another; what they print.

        Raises:
            OSError: one was refused, which ends the session.
        """
        sent, received = self._process.stdin, self._process.stdout
        assert sent is not None
        assert received is not None
        end = "!echo done"  # run on this side: it answers when all before it was done
        sent.write("".join(f"{command}\n" for command in (*commands, end)))
        sent.flush()
        lines = []
        for line in received:
            if line == "done\n":
                return lines
            if not line.startswith("sftp> "):
                lines.append(line.rstrip())
        raise OSError(f"sftp ended with {self._process.wait()}")

    def names(self, folder: str) -> list[str]:
        """What lies in a folder of the centre."""
        return [Path(line.strip()).name for line in self.do(f"ls -1 {folder}")]

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


class Sftp:
    """Every insurer logs in at a real sshd with a key of its own."""

    def __init__(self, beside: Beside, port: int, known_hosts: Path) -> None:
        self.insurers = beside.others / "insurers"
        self._beside, self._port, self._known_hosts = beside, port, known_hosts
        self._clients: dict[str, Client] = {}

    def send(self) -> None:
        for name, folder in self._everybody():
            for path in sorted(folder.glob("inbox/*/*")):
                self._put(self._client(name), path, f"inbox/{path.parent.name}")

    def _put(self, client: Client, path: Path, folder: str) -> None:
        """Under a name that nobody takes, then the final one, then the marker of its hash."""
        path.chmod(READABLE)
        if path.name.endswith(PART):  # whose connection breaks here
            client.do(f"put -p {path} {folder}/{path.name}")
        else:
            content = path.read_bytes()
            marker = path.with_name(path.name + DONE)
            lines = content.count(b"\n")
            marker.write_text(f"{hashlib.sha256(content).hexdigest()} {len(content)} {lines}\n")
            marker.chmod(READABLE)
            client.do(
                f"put -p {path} {folder}/{path.name}{PART}",
                f"rename {folder}/{path.name}{PART} {folder}/{path.name}",
                f"put -p {marker} {folder}/{marker.name}",
            )
            marker.unlink()
        path.unlink()

    def look(self) -> None:
        for name, folder in self._everybody():
            (folder / "outbox").mkdir(exist_ok=True)
            client = self._client(name)
            if client.names("outbox"):
                client.do(f"get -p outbox/* {folder}/outbox/")

    def collect(self, pattern: str) -> list[Path]:
        found = []
        for name, folder in self._everybody():
            client, mine = self._client(name), folder / "collected"
            mine.mkdir(exist_ok=True)
            for each in sorted(fnmatch.filter(client.names("outbox"), pattern)):
                pair = (f"{each}.sig", each)
                client.do(
                    *(f"get outbox/{one} {mine}/{one}" for one in pair),
                    *(f"cp outbox/{one} taken/{one}" for one in pair),
                )
                found.append(mine / each)
        return found

    def close(self) -> None:
        for client in self._clients.values():
            client.close()

    def _everybody(self) -> Iterator[tuple[str, Path]]:
        for folder in sorted((self.insurers / "exchange").iterdir()):
            if self._beside.login(folder.name).exists():
                yield folder.name, folder

    def _client(self, name: str) -> Client:
        if name not in self._clients:
            key = self._beside.login(name)
            self._clients[name] = Client(self._port, name, key, self._known_hosts)
        return self._clients[name]


@contextmanager
def opened(root: Path, beside: Beside, commands: Commands, say: Say) -> Iterator[Transport]:
    """Whatever there can be on this machine, with the root's `site.toml`, until the block ends."""
    reason, written = sshd.missing(), root / "site.toml"
    if not written.exists():
        text = beside.make(by_sftp=reason is None)
        written.write_text(text + (SETTINGS if reason is None else ""), encoding="utf-8")
    site = require_site(written, require_catalogue(formats_folder()))
    senders = server.accounts(site)
    if reason or not senders:
        say("by_folders", reason=reason or "the site was made without")
        yield Folders(root)
        return
    made = beside.others / "sftp"
    commands.ask("sftp", "config", "--output", str(made))
    top = beside.others / "srv"
    make_folders(site, top)
    if not (root / "exchange").exists():
        (root / "exchange").symlink_to(top)
    group = {site.sftp.group: GROUP}
    accounts = [
        sshd.Account(sender.name, sender.uid, sender.uid, (), {"": top / sender.name}, group)
        for sender in senders
    ]
    keys = {f"{KEYS}/{sender.name}": made / "keys" / sender.name for sender in senders}
    config = (made / "sshd.conf").read_text(encoding="ascii")
    with ExitStack() as stack:
        running = sshd.running(beside.others / "sshd", accounts, config=config, files=keys)
        host = stack.enter_context(running)
        known_hosts = beside.others / "known_hosts"
        known_hosts.write_text(f"[127.0.0.1]:{host.port} {host.host_key}\n")
        for sender in senders:
            for door in sender.doors:
                mine = beside.others / "insurers" / "exchange" / sender.name / "inbox" / door
                mine.mkdir(parents=True, exist_ok=True)
        transport = Sftp(beside, host.port, known_hosts)
        stack.callback(transport.close)
        say("by_sftp", count=len(senders), port=host.port, folder=made)
        yield transport


def make_folders(site: Site, top: Path) -> None:
    """What systemd-tmpfiles makes of the generated file, where there is one."""
    numbers = {sender.name: sender.uid or 0 for sender in server.accounts(site)}
    for folder in server.folders(site):
        path = top / folder.path
        path.mkdir(parents=True, exist_ok=True)
        os.chown(path, numbers.get(folder.owner, 0), numbers.get(folder.group, 0))
        path.chmod(folder.mode)
