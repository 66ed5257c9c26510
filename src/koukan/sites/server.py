"""What the SFTP server of the operating system needs to let senders in: accounts, folders, rules.

Pure: text and tables from `site.toml`. Who applies them is the machine's administrator.

Every sender with a `uid` is confined (chroot) to `FOLDER/NAME`, which is root's, as all above it
has to be; FOLDER is the centre's `exchange/`. Who owns what decides who may do what there:

    FOLDER/NAME/              root                       nothing can be made or removed here
    FOLDER/NAME/inbox/DOOR/   the sender, group koukan   the sender writes, koukan reads and removes
    FOLDER/NAME/outbox/       koukan, group the sender   koukan lays out, the sender reads
    FOLDER/NAME/taken/        the sender, group koukan   the sender copies packages here
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from koukan.sites.model import Sender, Site

# Requests of SFTP that are let through; whatever else there is or will be is refused: making links
# and folders, reading links, and names of users are not among them.
REQUESTS = (
    *("open", "close", "read", "write", "lstat", "fstat", "stat", "setstat", "fsetstat"),
    *("opendir", "readdir", "realpath", "remove", "rename", "posix-rename"),
    *("fsync", "statvfs", "limits", "copy-data"),
)
CLOSED = 0o0755  # a folder that is root's
SHARED = 0o2770  # the owner's and the group's; what is made in it gets the group
READ_ONLY = 0o2750
UMASK = "0027"
NO_SHELL = "/usr/sbin/nologin"
RULES, BOUNDS = "sshd.conf", "limits.conf"  # among the files
LIMITS_FILE = Path("/etc/security/limits.d/koukan-sftp.conf")  # where the bounds go
PROCESSES = 2  # of a sender's uid for each of its sessions
INCLUDE = Path("sshd_config.d", "*.conf")  # what Debian's sshd_config reads first, by name
DROP_IN = "10-koukan.conf"  # the rules' name there

# For the whole server, since they cannot stand in a Match block. Nothing that rests on SHA-1, CBC
# or a group of less than 2048 bits.
SERVER = """\
KexAlgorithms sntrup761x25519-sha512@openssh.com,curve25519-sha256,curve25519-sha256@libssh.org,\
ecdh-sha2-nistp384,diffie-hellman-group16-sha512
Ciphers aes256-gcm@openssh.com,aes128-gcm@openssh.com,aes256-ctr,aes128-ctr
MACs hmac-sha2-512-etm@openssh.com,hmac-sha2-256-etm@openssh.com
HostKeyAlgorithms ssh-ed25519,rsa-sha2-512,rsa-sha2-256
PubkeyAcceptedAlgorithms ssh-ed25519,sk-ssh-ed25519@openssh.com,rsa-sha2-512,rsa-sha2-256
LoginGraceTime 20
MaxAuthTries 3
MaxStartups 20:50:100
PerSourceMaxStartups 10
UsePAM yes
LogLevel VERBOSE
"""
# sshd reads nine words of a forced internal-sftp and drops the rest, silently: no more options.
CONFINED = """\
Match Group {group}
  ChrootDirectory {folder}/%u
  ForceCommand internal-sftp -p {requests} -u {umask} -l INFO -f AUTHPRIV
  AuthorizedKeysFile {keys}/%u
  AuthorizedKeysCommand none
  TrustedUserCAKeys none
  AuthenticationMethods publickey
  PubkeyAcceptedAlgorithms ssh-ed25519,sk-ssh-ed25519@openssh.com
  PasswordAuthentication no
  KbdInteractiveAuthentication no
  HostbasedAuthentication no
  DisableForwarding yes
  AllowTcpForwarding no
  AllowStreamLocalForwarding no
  AllowAgentForwarding no
  X11Forwarding no
  PermitTunnel no
  PermitTTY no
  PermitUserRC no
  MaxSessions 4
  ClientAliveInterval 30
  ClientAliveCountMax 4
  RekeyLimit 1G 1h
Match all
"""
# pam_limits applies them to each session. What one sender has open are two processes of its uid for
# each session; where it may have no more, sshd refuses the next one.
LIMITS = """\
@{group} hard nproc {processes}
@{group} hard fsize {kibibytes}
@{group} hard core 0
"""
APPLY = """\
#!/bin/sh
set -eu
cd "$(dirname "$0")"
install -D -m 644 sysusers.conf /etc/sysusers.d/koukan-sftp.conf
systemd-sysusers /etc/sysusers.d/koukan-sftp.conf
install -D -m 644 tmpfiles.conf /etc/tmpfiles.d/koukan-sftp.conf
systemd-tmpfiles --create /etc/tmpfiles.d/koukan-sftp.conf
install -d -m 755 {keys}
find {keys} -mindepth 1 -delete
[ -z "$(ls keys)" ] || install -m 644 keys/* {keys}/
install -D -m 644 limits.conf {limits}
install -D -m 644 sshd.conf /etc/ssh/sshd_config.d/{drop_in}
"$(command -v sshd || echo /usr/sbin/sshd)" -t
"""


class Folder(NamedTuple):
    """A folder as it has to be.

    Args:
        path: below the centre's `exchange/`; "" is that itself.
        owner, group: names of accounts.
    """

    path: str
    mode: int
    owner: str
    group: str


def accounts(site: Site) -> list[Sender]:
    """Who may log in, or once could: senders with a uid. Without keys nobody gets in."""
    return [sender for sender in site.senders if sender.uid is not None]


def folders(site: Site) -> list[Folder]:
    """Every folder, those above others first."""
    found = [Folder("", CLOSED, "root", "root")]
    for sender in accounts(site):
        found += _folders_of(site, sender)
    return found


def _folders_of(site: Site, sender: Sender) -> Iterator[Folder]:
    name, us = sender.name, site.sftp.user
    yield Folder(name, CLOSED, "root", "root")
    yield Folder(f"{name}/inbox", CLOSED, "root", "root")
    for door in sender.doors:
        yield Folder(f"{name}/inbox/{door}", SHARED, name, us)
    yield Folder(f"{name}/outbox", READ_ONLY, us, name)
    yield Folder(f"{name}/taken", SHARED, name, us)


def files(site: Site) -> dict[str, str]:
    """What the administrator needs, by name below the folder of output."""
    sftp = site.sftp
    confined = CONFINED.format(
        group=sftp.group,
        folder=sftp.folder,
        keys=sftp.keys,
        umask=UMASK,
        requests=",".join(REQUESTS),
    )
    found = {
        RULES: SERVER + confined,
        BOUNDS: LIMITS.format(
            group=sftp.group,
            processes=PROCESSES * sftp.sessions,
            kibibytes=sftp.file_bytes // 1024,
        ),
        "sysusers.conf": "".join(f"{line}\n" for line in _sysusers(site)),
        "tmpfiles.conf": "".join(f"{line}\n" for line in _tmpfiles(site)),
        "apply.sh": APPLY.format(keys=sftp.keys, drop_in=DROP_IN, limits=LIMITS_FILE),
    }
    for sender in accounts(site):
        if sender.ssh_keys:
            found[f"keys/{sender.name}"] = authorized(sender)
    return found


def authorized(sender: Sender) -> str:
    """The sender's file of authorized keys; each is for SFTP and nothing else."""
    return "".join(f"restrict {key.kind} {_blob(str(key))}\n" for key in sender.ssh_keys)


def _blob(line: str) -> str:
    """Of a public key, without its comment, which is somebody else's text."""
    return line.split()[1]


def _sysusers(site: Site) -> Iterator[str]:
    sftp = site.sftp
    if sftp.user != "root":
        yield f'u {sftp.user} - "koukan" / {NO_SHELL}'
    yield f"g {sftp.group} -"
    for sender in accounts(site):
        yield f"g {sender.name} {sender.uid}"
        yield f'u {sender.name} {sender.uid}:{sender.uid} "koukan sender" / {NO_SHELL}'
        yield f"m {sender.name} {sftp.group}"


def _tmpfiles(site: Site) -> Iterator[str]:
    for folder in folders(site):
        path = f"{site.sftp.folder}/{folder.path}".rstrip("/")
        yield f"d {path} {folder.mode:04o} {folder.owner} {folder.group} -"
