"""Everybody who is not the centre, in folders beside its root: keys, the register, the insurers.

In earnest each of these lies with its owner. Here they lie beside the root, never inside it, so
that the demonstration can play all parts.
"""

from __future__ import annotations

from pathlib import Path

import pyrage
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from koukan.samples.scenario import SCENARIO, SamplePerson, site_toml

# Who approves what goes out, what comes in, and what becomes of withheld answers; who lists whose
# codes are reissued, the administrator, without whom no list leaves on a medium, and who looks at
# records of what was provided.
SENDING, STORING, DECIDING = "sato", "suzuki", "takahashi"
REISSUING, ADMINISTERING, RECORDING = STORING, "tanaka", STORING
STAFF = {
    SENDING: ("架空の職員　佐藤", ("send",)),
    STORING: ("架空の職員　鈴木", ("store", "reissue", "record")),
    DECIDING: ("架空の職員　高橋", ("release",)),
    ADMINISTERING: ("架空の職員　田中", ("administer",)),
}
OFFICE = "fukushi"  # the welfare office that gets its share of 資格確認実績ログ
WITHHOLDING = '\n[identity]\nrelease_below = "C"\n'
# Who lays files here gives them their names when they are whole: the two looks need no long pause.
LIMITS = "\n[limits]\nsettle_seconds = 0.1\n"
NATIONAL = """
[[sender]]
name = "nws"
title = "情報提供ネットワークシステム"
doors = ["nws"]
system = "nws"
package_key = "{nws}"

[[sender]]
name = "oqs"
title = "オンライン資格確認等システム"
doors = ["oqs"]
system = "oqs"
package_key = "{oqs}"

[[sender]]
name = "pmh"
title = "ＰＭＨ（Public Medical Hub）"
doors = ["pmh_link"]
system = "pmh"
package_key = "{pmh}"

[[batch_actor]]
name = "online"
key = "{online_key}"
"""


class Beside:
    """The folders beside a root."""

    def __init__(self, root: Path) -> None:
        self.keys = root.with_name(root.name + "-keys")
        self.batch_key = self.keys / "batch.key"
        self.online_key = self.keys / "online.key"  # of the process that makes pushes
        self.others = root.with_name(root.name + "-others")
        self.register = self.others / "register.csv"  # what the resident register knows
        self.partner_state = self.others / "juki-net"
        self.signer = self.others / "centre.pub"  # the centre's public key, as insurers have it

    def person(self, name: str) -> Path:
        """The private key of one of the staff."""
        return self.keys / "staff" / name

    def insurer(self, code: str) -> Path:
        """An insurer's private key for its packages."""
        return self.keys / "insurers" / f"{code}.txt"

    def login(self, sender: str) -> Path:
        """A sender's private key for its account with the SFTP server."""
        return self.keys / "logins" / sender

    def system(self, name: str) -> Path:
        """A national system's private key for what the centre encrypts to it."""
        return self.keys / "systems" / f"{name}.txt"

    def opened(self, name: str) -> Path:
        """Where an insurer takes a package's files out."""
        return self.others / "opened" / name

    def make(self, *, by_sftp: bool) -> str:
        """Make everybody's keys; the site.toml that names their public parts.

        Args:
            by_sftp: senders log in at the centre.
        """
        for folder in ("staff", "insurers", "logins", "systems"):
            (self.keys / folder).mkdir(parents=True, exist_ok=True, mode=0o700)
        (self.others / "opened").mkdir(parents=True, exist_ok=True, mode=0o700)
        persons = [
            SamplePerson(name, title, ssh_key(self.person(name)), rights)
            for name, (title, rights) in STAFF.items()
        ]
        senders = [sender.name for sender in SCENARIO.senders] if by_sftp else []
        logins = {name: ssh_key(self.login(name)) for name in senders}
        recipients = {
            insurer.code: age_key(self.insurer(insurer.code)) for insurer in SCENARIO.insurers
        }
        text = site_toml(package_keys=recipients, persons=persons, logins=logins)
        keys = {name: age_key(self.system(name)) for name in ("nws", "oqs", "pmh")}
        return text + NATIONAL.format(**keys, online_key=self.online_key) + WITHHOLDING + LIMITS


def ssh_key(path: Path) -> str:
    """A new private key in this file; the line of its public half."""
    private = Ed25519PrivateKey.generate()
    content = private.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    path.write_bytes(content)
    public = private.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    return f"{public.decode()} {path.name}"


def age_key(path: Path) -> str:
    """A new private key in this file; its public half."""
    identity = pyrage.x25519.Identity.generate()
    path.write_text(f"{identity}\n")
    return str(identity.to_public())
