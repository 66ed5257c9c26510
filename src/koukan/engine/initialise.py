"""Make a site from its site.toml: its folders, keys, ledger and tables. Repeated at will."""

from __future__ import annotations

import os
from pathlib import Path

from koukan.engine.centre import SITE, Centre, format_folders, held_version
from koukan.errors import EnvironmentRefused, SecretError
from koukan.formats import require_catalogue
from koukan.keys.identity import create_identity, load_identity
from koukan.keys.keyring import PURPOSES, Keyring
from koukan.ledger import Ledger
from koukan.sites import Sender, Site, require_site

FOLDERS = (
    "exchange keyring ledger definitions originals results questions requests packages stages "
    "pushes tables approvals log locks temporary"
).split()
BATCH_PURPOSES = tuple(sorted(PURPOSES))
# Keys of further batch actors: none opens the vault, an insurer's partition or a sealed original.
FURTHER_ACTORS = {"online": ("history", "issue", "signing")}


def initialise(root: Path, key_file: Path) -> list[str]:
    """Make a site from its site.toml: folders, batch key, keyring, ledger, tables. Repeatable.

    Returns:
        what was made.

    Raises:
        DefinitionError, EnvironmentRefused: with what to mend.
        SecretError: the site is there already, and this is not its key: no second one is made.
    """
    os.umask(0o077)
    if not (root / SITE).is_file():
        raise EnvironmentRefused("engine.no_site_file", path=root.name)
    catalogue = require_catalogue(*format_folders(root))
    site = require_site(root / SITE, catalogue)
    made = []
    for name in FOLDERS:
        if not (root / name).is_dir():
            (root / name).mkdir(mode=0o700)
            made.append(name)
    for sender in site.senders:
        make_folders(root / "exchange", sender)
    if not key_file.exists() and (root / "ledger" / "koukan.sqlite").is_file():
        raise SecretError("keys.not_of_site", path=key_file.name)
    if not key_file.exists():
        key_file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        create_identity(key_file)
        made.append("batch key")
    identity = load_identity(key_file, outside=root)
    Keyring.create(root / "keyring", {site.actor: (identity.recipient, BATCH_PURPOSES)})
    keyring = Keyring.open(root / "keyring", identity)
    if not keyring.holds("signing"):
        raise SecretError("keys.not_of_site", path=key_file.name)
    made += further_actors(root, site, keyring)
    ledger = Ledger(root / "ledger" / "koukan.sqlite")
    made += ledger.create()
    centre = Centre(root, key_file, site, catalogue, {}, ledger, keyring)
    known = ledger.table_versions()
    with centre.log.operation("init"):
        for name, table in centre.tables.items():
            if name not in known:
                version = table.create()
                with ledger.begin() as transaction:
                    ledger.put_table_version(transaction, held_version(name, version))
                made.append(name)
    centre.close()
    return made


def further_actors(root: Path, site: Site, keyring: Keyring) -> list[str]:
    """Keys of the site's further batch actors: their files are made, their rights granted."""
    made = []
    for actor in site.batch_actors:
        path = Path(actor.key)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            create_identity(path)
            made.append(f"key of {actor.name}")
        recipient = load_identity(path, outside=root).recipient
        for purpose in FURTHER_ACTORS[actor.name]:
            keyring.grant(purpose, actor.name, recipient)
    return made


def make_folders(exchange: Path, sender: Sender) -> None:
    """A sender's folders, where they are not there.

    Raises:
        EnvironmentRefused: the administrator has to, since they are not ours to make.
    """
    for name in (*(f"inbox/{door}" for door in sender.doors), "outbox", "taken"):
        try:
            (exchange / sender.name / name).mkdir(parents=True, exist_ok=True)
        except PermissionError:
            raise EnvironmentRefused("sftp.not_made", sender=sender.name) from None
