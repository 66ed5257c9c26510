"""A centre: one site's folders, definitions, ledger, keys and tables, opened together.

Layout below the root (all 0700; nothing in plain but configuration, names and counts):

    site.toml  formats/  jobs/        what the site decides; formats and jobs override ours
    exchange/<sender>/inbox/<door>/   files that came; exchange/<sender>/outbox/ files to collect;
                                      exchange/<sender>/taken/ packages that their owner has
    keyring/                          wrapped keys only
    ledger/                           SQLite
    definitions/                      the format definitions that receptions were read by
    originals/  results/              sealed, one of each for a reception, until their time is over
    questions/  requests/  packages/  本人確認, 機関別符号: sealed under random keys of their own
    pushes/                           to オンライン資格確認等システム: until they are laid out;
                                      of whom each told, and what was answered
    stages/                           sealed work of groups under way
    tables/<table>/                   encrypted Parquet and its transaction log
    approvals/                        what waits for persons, and their signatures
    log/                              the operation log
    locks/  temporary/
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path

from koukan import durable, shipped
from koukan.engine.foreseen import Foreseen
from koukan.engine.memory import keep_blocks, set_aside
from koukan.engine.policies import Book
from koukan.engine.stages import Kept
from koukan.engine.workers import Workers, take_turns
from koukan.errors import EnvironmentRefused
from koukan.exchange import Inbox, Outbox
from koukan.flows import identity, pmh, registration, tables
from koukan.formats import Bundle, Catalogue, Policy, bundle, require_catalogue, thaw
from koukan.formats.problems import places
from koukan.keys.identity import load_identity
from koukan.keys.issued import Issuer
from koukan.keys.keyring import Keyring
from koukan.keys.signing import Signer
from koukan.keys.tokens import Tokeniser
from koukan.ledger import Ledger, Reception, TableVersion
from koukan.oplog import OperationLog
from koukan.rules.persons import People
from koukan.sites import Job, Site, load_jobs, require_site
from koukan.sites.schedule import JST
from koukan.tables.snapshot import Snapshot
from koukan.tables.table import Table, Version

STEPS = (
    *("pick_up", "gate", "admit", "validate", "link", "commit", "acknowledge", "erase"),
    *("report", "correct"),
    *(
        "ask",
        "request",
        "request_immediate",
        "send",
        "split",
        "package",
        "confirm",
        "deliver",
        "expire",
    ),
    *("compact", "forget", "review", "export", "take_in"),
    *("issue", "hand_out", "retire"),
    *("allot", "provide"),
    *("fetch", "hand_over"),
    *("want", "take_codes", "notify", "request_codes", "send_codes", "tell_codes"),
    *("instruct", "retire_codes"),
    *("disclose", "retire_records"),
    *("deposit", "extract", "return_copies"),
)
SITE = "site.toml"
ACCOUNT = {"uid", "ssh_keys"}


def utc_now() -> datetime:
    return datetime.now(UTC)


def ignore(_event: str, **_where: object) -> None:
    """The observer when nobody looks."""


@dataclass
class Centre:
    """Everything a step may touch. `observe` hears of each boundary: a progress bar, or a test."""

    root: Path
    key_file: Path
    site: Site
    catalogue: Catalogue
    jobs: dict[str, Job]
    ledger: Ledger
    keyring: Keyring
    clock: Callable[[], datetime] = utc_now
    observe: Callable[..., None] = ignore
    sftp_key: Path | None = None  # our private key for partners' hosts
    people: dict[tuple[TableVersion | None, frozenset[int] | None], People] = field(
        default_factory=dict
    )
    _bundles: dict[str, Bundle] = field(default_factory=dict)
    _rights: dict[tuple[str, str], str] = field(default_factory=dict)

    def folder(self, *names: str) -> Path:
        return self.root.joinpath(*names)

    @cached_property
    def log(self) -> OperationLog:
        return OperationLog(self.folder("log"), self.actor, self.clock)

    @cached_property
    def actor(self) -> str:
        """As whom this process acts: told by the key file that it was given."""
        mine = self.key_file.absolute()
        others = (one.name for one in self.site.batch_actors if Path(one.key) == mine)
        return next(others, self.site.actor)

    @cached_property
    def policies(self) -> Book:
        return Book(self.folder("definitions"), self.catalogue, self.site)

    @cached_property
    def kept(self) -> Kept:
        """Frames of the group under way; tasks in threads share them."""
        shared = self.site.workers.kind == "threads"
        return Kept(self.site.limits.stage_bytes if shared else 0)

    @cached_property
    def foreseen(self) -> Foreseen:
        return Foreseen()

    @cached_property
    def workers(self) -> Workers:
        return Workers(self, self.site.workers.kind, self.site.workers.count)

    @cached_property
    def tables(self) -> dict[str, Table]:
        found = tables.definitions(self.catalogue.formats, self.site.buckets)
        return {
            name: Table(
                self.folder("tables", name),
                definition,
                self.keyring,
                partial(self.ledger.file_hash, name),
            )
            for name, definition in found.items()
        }

    @cached_property
    def tokeniser(self) -> Tokeniser:
        return Tokeniser(self.keyring.purpose_key("number"))

    @cached_property
    def link_issuer(self) -> Issuer:
        key = self.keyring.purpose_key("issue")
        return Issuer(key, "link_number", registration.LINK_DIGITS)

    @cached_property
    def member_issuer(self) -> Issuer:
        key = self.keyring.purpose_key("issue")
        return Issuer(key, "member_id", registration.MEMBER_DIGITS)

    @cached_property
    def request_issuer(self) -> Issuer:
        key = self.keyring.purpose_key("issue")
        return Issuer(key, "request_record_number", identity.REQUEST_DIGITS)

    @cached_property
    def pmh_issuer(self) -> Issuer:
        key = self.keyring.purpose_key("issue")
        return Issuer(key, "pmh_id", pmh.PMH_DIGITS)

    @cached_property
    def signer(self) -> Signer:
        return Signer(self.keyring.purpose_key("signing"))

    def inbox(self, sender: str, door: str) -> Inbox:
        owner = self.site.sender(sender).uid
        return Inbox(self.folder("exchange", sender, "inbox", door), owner)

    def outbox(self, sender: str) -> Outbox:
        return Outbox(self.folder("exchange", sender, "outbox"))

    def taken(self, sender: str) -> Outbox:
        """Where a sender puts what it has; only packages are looked for there."""
        return Outbox(self.folder("exchange", sender, "taken"))

    def now(self) -> str:
        return self.clock().astimezone(UTC).isoformat(timespec="seconds")

    def snapshot(self, name: str) -> Snapshot:
        """A table at the version that the ledger says; anything else is refused.

        One version ahead is right while a written group's commits are being made: the table is then
        read as it was before them.

        Raises:
            EnvironmentRefused: the site was made before there was such a table.
        """
        held = self.ledger.table_versions().get(name)
        if held is None:
            raise EnvironmentRefused("engine.table_missing", table=name)
        written = [group.number for group in self.ledger.open_groups() if group.state == "written"]
        ahead_by = written[0] if written else None
        return self.tables[name].snapshot(version_of(held), ahead_by=ahead_by)

    def bundle(self, name: str) -> Bundle:
        """The format as it is defined today (JST), kept under its hash for reruns."""
        today = self.clock().astimezone(JST).strftime("%Y%m%d")
        if (place := f"{name} {today}") not in self._bundles:
            found = bundle(self.catalogue, name, on=today)
            path = self.folder("definitions", f"{found.digest}.json")
            if not path.exists():
                durable.write(path, found.content)
            self._bundles[place] = self._bundles[found.digest] = found
        return self._bundles[place]

    def bundle_of(self, reception: Reception) -> Bundle:
        """The format as it was defined when the reception came."""
        digest = reception.definition
        if digest not in self._bundles:
            content = self.folder("definitions", f"{digest}.json").read_bytes()
            self._bundles[digest] = thaw(content)
        return self._bundles[digest]

    def policy_of(self, reception: Reception, insurers: Collection[str] | None = None) -> Policy:
        """What counts for a file: of its insurers, as it was when the file came.

        Args:
            insurers: whom it names; None: those that the ledger has counts of.
        """
        if insurers is None:
            insurers = [item.insurer for item in self.ledger.counts(reception.number)]
        return self.policies.of(reception.policy, self.bundle_of(reception).form, insurers)

    def rights_digest(self, sender: str, form: str) -> str:
        """Hash of what the sender may do with this format: same bytes, same rights, same answer."""
        if (sender, form) not in self._rights:
            self._rights[sender, form] = self._hash_rights(sender, form)
        return self._rights[sender, form]

    def _hash_rights(self, sender: str, form: str) -> str:
        whole = {
            "rights": [
                right.model_dump(mode="json")
                for right in self.catalogue.rights
                if form in right.formats
            ],
            # How it logs in is nothing that it may say.
            "sender": self.site.sender(sender).model_dump(mode="json", exclude=ACCOUNT),
            "insurers": {
                insurer.code: insurer.model_dump(mode="json") for insurer in self.site.insurers
            },
        }
        return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()

    def close(self) -> None:
        self.workers.close()
        self.ledger.close()


def version_of(held: TableVersion) -> Version:
    return Version(held.number, held.commit_hash, held.files_digest)


def held_version(name: str, version: Version) -> TableVersion:
    return TableVersion(name, version.number, version.commit_hash, version.files_digest)


def format_folders(root: Path | None) -> tuple[Path, ...]:
    shipped_folder = shipped.formats_folder()
    return (shipped_folder,) if root is None else (shipped_folder, root / "formats")


def job_folders(root: Path | None) -> tuple[Path, ...]:
    shipped_folder = shipped.jobs_folder()
    return (shipped_folder,) if root is None else (shipped_folder, root / "jobs")


def open_centre(
    root: Path,
    key_file: Path,
    *,
    clock: Callable[[], datetime] = utc_now,
    observe: Callable[..., None] = ignore,
    sftp_key: Path | None = None,
) -> Centre:
    """Open a site that was initialised.

    Raises:
        DefinitionError, SecretError, EnvironmentRefused: with what to mend.
    """
    keep_blocks()
    take_turns()
    root, site, catalogue, jobs = require_definitions(root)
    identity = load_identity(key_file, outside=root)
    keyring = Keyring.open(root / "keyring", identity)
    ledger = whole_ledger(root)
    set_aside()
    return Centre(root, key_file, site, catalogue, jobs, ledger, keyring, clock, observe, sftp_key)


def whole_ledger(root: Path) -> Ledger:
    """The ledger of a site. Raises EnvironmentRefused where an earlier koukan initialised it."""
    ledger = Ledger(root / "ledger" / "koukan.sqlite")
    ledger.require_whole()
    return ledger


def require_definitions(root: Path) -> tuple[Path, Site, Catalogue, dict[str, Job]]:
    """Root and definitions of a site that was initialised; files made from here on are ours alone.

    Raises:
        DefinitionError, EnvironmentRefused: with what to mend.
    """
    os.umask(0o077)
    root = root.resolve()
    if not (root / "ledger" / "koukan.sqlite").is_file():
        raise EnvironmentRefused("engine.not_initialised", path=root.name)
    catalogue = require_catalogue(*format_folders(root))
    site = require_site(root / SITE, catalogue)
    jobs, problems = load_jobs(job_folders(root), catalogue, STEPS)
    if problems:
        raise EnvironmentRefused("sites.wrong", known=places(problems))
    return root, site, catalogue, jobs
