"""Invented members of staff with keys of their own, written into a centre's site.toml."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from ssh_keys import public

from koukan.keys.sshsig import PersonKey, PublicKey


@dataclass
class Staff:
    """One person. `key` is what stands in site.toml; by default that of `private`."""

    name: str
    rights: tuple[str, ...] = ("send", "store")
    valid_from: date = date(2026, 4, 1)
    valid_to: date | None = None
    revoked: bool = False
    operator: str = "payment_fund"
    private: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    key: PublicKey | None = None

    @property
    def signing(self) -> PersonKey:
        return PersonKey(self.private)

    @property
    def toml(self) -> str:
        until = "" if self.valid_to is None else f"valid_to = {self.valid_to}\n"
        return (
            f'\n[[person]]\nname = "{self.name}"\ntitle = "架空の担当者"\n'
            f'key = "{self.key or public(self.private)}"\nrights = {list(self.rights)}\n'
            f'operator = "{self.operator}"\n'
            f"valid_from = {self.valid_from}\n{until}revoked = {str(self.revoked).lower()}\n"
        )


def employ(root: Path, *people: Staff, policy: str = "") -> None:
    """Let the site of a root have exactly these persons, and this [approvals]."""
    path = root / "site.toml"
    before = path.read_text(encoding="utf-8").partition("\n[[person]]")[0].partition("\n[app")[0]
    rest = "".join(one.toml for one in people) + (f"\n[approvals]\n{policy}\n" if policy else "")
    path.write_text(before + rest, encoding="utf-8")


def key_file(folder: Path, person: Staff) -> Path:
    """The person's private key as OpenSSH keeps it."""
    path = folder / f"{person.name}.key"
    path.touch(0o600)
    path.write_bytes(
        person.private.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    )
    return path
