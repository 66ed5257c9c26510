"""The real sshd of the operating system on loopback, for tests and the demonstration.

It runs in a mount and process namespace of its own: its passwd, group and shadow files, its chroots
and its /run exist there only, so no user, file or service of the host changes, and nothing is left
when it ends. Imports nothing of koukan.

sshd refuses a chroot whose path anybody but root may write to, as all of a temporary folder's are.
So `/srv` of the namespace is a file system of its own, each account's chroot is a folder in it, and
the folders that an account shall see are bound into that.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

CHROOTS = "/srv/sftp"
START_SECONDS, STEP_SECONDS = 20.0, 0.02
TRIES = 5  # a free port may be somebody else's before sshd has it
CONFIG = """\
Include {folder}/drop_in.conf
ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/host_key
PidFile none
UsePAM no
UseDNS no
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
AuthorizedKeysFile /run/keys/%u
Subsystem sftp internal-sftp
LogLevel VERBOSE
"""
CONFINED = """
Match User {names}
  ChrootDirectory {chroots}/%u
  ForceCommand internal-sftp -l INFO
  AllowTcpForwarding no
  AllowAgentForwarding no
  X11Forwarding no
  PermitTunnel no
  PermitTTY no
"""


@dataclass(frozen=True)
class Account:
    """Somebody who may log in, and what it sees.

    Args:
        keys: lines of public keys.
        folders: path below the chroot, made where it is not there -> folder of the host that is
            bound there; "" is the chroot itself, which then must be root's alone.
    """

    name: str
    uid: int
    gid: int
    keys: Sequence[str]
    folders: Mapping[str, Path]
    groups: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Server:
    """A running sshd. `host_key` is a line as it stands in a .pub file."""

    port: int
    host_key: str
    folder: Path
    process: subprocess.Popen[bytes]

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")


def missing() -> str | None:
    """Why no sshd can be started here; None where one can."""
    if os.geteuid() != 0:
        return "only root may make mount namespaces and run sshd for several users"
    for program, package in (("sshd", "openssh-server"), ("ssh-keygen", "openssh-client")):
        if _found(program) is None:
            return f"{program} is not installed (apt-get install {package})"
    trial = ["unshare", "--mount", "--pid", "--fork", "mount", "-t", "tmpfs", "none", "/srv"]
    if shutil.which("unshare") is None:
        return "unshare is not installed (apt-get install util-linux)"
    if subprocess.run(trial, check=False, capture_output=True).returncode:
        return "this machine lets nobody mount in a namespace of its own (unshare --mount)"
    return None


def _found(program: str) -> str | None:
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


@contextmanager
def running(
    folder: Path,
    accounts: Sequence[Account],
    *,
    config: str | None = None,
    files: Mapping[str, Path] | None = None,
    host_key_type: str = "ed25519",
) -> Iterator[Server]:
    """An sshd for these accounts until the end of the block.

    Args:
        folder: an empty one of our own, for keys, configuration and log.
        config: a drop-in, read first as Debian's sshd reads those of a site, so its settings win;
            by default every account is confined to SFTP in its chroot.
        files: path in the namespace -> file of the host, bound over it (authorized keys, say); a
            folder below /etc in which one lies has nothing else in it then.

    Raises:
        OSError: sshd did not start; its log is in the text.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _write_accounts(folder, accounts)
    if not (folder / "host_key").exists():
        _make_key(folder / "host_key", host_key_type)
    if config is None:
        names = ",".join(account.name for account in accounts)
        config = CONFINED.format(names=names, chroots=CHROOTS)
    server = _started(folder, accounts, config, files or {})
    try:
        yield server
    finally:
        stop(server.process)


def _make_key(path: Path, kind: str) -> None:
    command = ["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", str(path)]
    subprocess.run(command, check=True, capture_output=True)


def _write_accounts(folder: Path, accounts: Sequence[Account]) -> None:
    """The namespace's own passwd, group and shadow, and everybody's keys."""
    passwd = Path("/etc/passwd").read_text().splitlines()
    if not any(line.startswith("sshd:") for line in passwd):
        passwd.append("sshd:x:64999:65534::/run/sshd:/usr/sbin/nologin")
    group = Path("/etc/group").read_text().splitlines()
    groups = {name: gid for account in accounts for name, gid in account.groups.items()}
    for name, gid in groups.items():
        members = ",".join(item.name for item in accounts if name in item.groups)
        group.append(f"{name}:x:{gid}:{members}")
    keys = folder / "keys"
    keys.mkdir(exist_ok=True)
    for account in accounts:
        passwd.append(f"{account.name}:x:{account.uid}:{account.gid}::/:/usr/sbin/nologin")
        if account.gid not in groups.values():
            group.append(f"{account.name}:x:{account.gid}:")
        (keys / account.name).write_text("".join(f"{key.strip()}\n" for key in account.keys))
    shadow = [f"{line.split(':', 1)[0]}:*:19000:0:99999:7:::" for line in passwd]
    for name, lines in (("passwd", passwd), ("group", group), ("shadow", shadow)):
        (folder / name).write_text("\n".join(lines) + "\n")
        (folder / name).chmod(0o644)  # bound over the namespace's, which everybody reads


def _started(
    folder: Path, accounts: Sequence[Account], config: str, files: Mapping[str, Path]
) -> Server:
    for _ in range(TRIES):
        port = _free_port()
        (folder / "drop_in.conf").write_text(config)
        (folder / "sshd_config").write_text(CONFIG.format(port=port, folder=folder))
        (folder / "start").write_text(_script(folder, accounts, files))
        apart = "unshare --mount --pid --fork --kill-child=KILL --propagation private bash".split()
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [*apart, str(folder / "start")],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        if _answers(process, port):
            host_key = (folder / "host_key.pub").read_text().strip()
            return Server(port, host_key, folder, process)
        stop(process)
        told = (folder / "log").read_text(errors="replace")
        if "Address already in use" not in told:
            break
    raise OSError(f"sshd did not start: {told[-2000:]}")


def _script(folder: Path, accounts: Sequence[Account], files: Mapping[str, Path]) -> str:
    """What makes the namespace what sshd needs, then becomes sshd."""
    lines = ["set -euo pipefail", "umask 022"]
    lines += [
        f"mount --bind {shlex.quote(str(folder / name))} /etc/{name}"
        for name in ("passwd", "group", "shadow")
    ]
    # What is to be bound may lie below a folder that is covered here: kept open while it is.
    bound: list[tuple[str, str]] = []
    for number, source in enumerate((*files.values(), *_folders(accounts)), start=10):
        lines.append(f"exec {number}<{shlex.quote(str(source))}")
        bound.append((str(number), str(source)))
    # sshd reads keys as their account, which need not get into our folder.
    keys = shlex.quote(str(folder / "keys"))
    lines += [f"exec 9<{keys}", "mount -t tmpfs -o mode=0755 tmpfs /run", "mkdir /run/sshd"]
    lines += ["cp -r /proc/self/fd/9/. /run/keys", "chmod -R u=rwX,go=rX /run/keys", "exec 9<&-"]
    lines += ["mount -t tmpfs -o mode=0755 tmpfs /srv", f"mkdir {CHROOTS}"]
    handles = iter(number for number, _ in bound)
    covered = sorted({str(Path(path).parent) for path in files if path.startswith("/etc/")})
    lines += [f"mount -t tmpfs -o mode=0755 tmpfs {shlex.quote(folder)}" for folder in covered]
    for path in files:
        where = shlex.quote(path)
        lines += [f"mkdir -p $(dirname {where})", f"[[ -e {where} ]] || touch {where}"]
        lines.append(f"mount --bind /proc/self/fd/{next(handles)} {where}")
    for account in accounts:
        top = f"{CHROOTS}/{account.name}"
        lines.append(f"mkdir {top}")
        for inner in sorted(account.folders):
            where = shlex.quote(f"{top}/{inner}" if inner else top)
            lines += [f"mkdir -p {where}", f"mount --bind /proc/self/fd/{next(handles)} {where}"]
    lines += [f"exec {number}<&-" for number, _ in bound]
    lines.append(f"exec {_found('sshd')} -D -e -f {shlex.quote(str(folder / 'sshd_config'))}")
    return "\n".join(lines) + "\n"


def _folders(accounts: Sequence[Account]) -> list[Path]:
    return [account.folders[inner] for account in accounts for inner in sorted(account.folders)]


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def _answers(process: subprocess.Popen[bytes], port: int) -> bool:
    """Whether somebody says SSH there before long."""
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1) as there:
                if there.recv(4) == b"SSH-":
                    return process.poll() is None
        except OSError:
            time.sleep(STEP_SECONDS)
    return False


def stop(process: subprocess.Popen[bytes]) -> None:
    """End it and everything in its namespace; nothing when it has ended."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)  # of unshare: the kernel ends the namespace's first
    process.wait()
