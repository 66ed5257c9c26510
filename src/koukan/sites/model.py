"""What `site.toml` and `jobs/*.toml` may say."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from datetime import date
from typing import Annotated, Literal

from pydantic import BeforeValidator, Strict, StringConstraints, field_validator, model_validator
from pydantic import Field as Setting

from koukan.errors import DefinitionError
from koukan.formats.model import Definition, Identifier, Policy
from koukan.formats.problems import Mistake, listed
from koukan.sites.publickey import PublicKey, taken
from koukan.sites.schedule import Schedule
from koukan.sites.settings import (
    Codes,
    Copies,
    Disclosure,
    Identity,
    Limits,
    Online,
    Pmh,
    Records,
    Usage,
    Workers,
)

Duration = Annotated[str, StringConstraints(pattern=r"^P[0-9]{1,4}D$")]
InsurerCode = Annotated[str, StringConstraints(pattern=r"^[0-9]{8}$")]
SenderName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{1,31}$")]
PersonName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9._-]{0,63}$")]
AccountName = Annotated[str, StringConstraints(pattern=r"^[a-z_][a-z0-9_-]{0,31}$")]
Place = Annotated[str, StringConstraints(pattern=r"^(/[A-Za-z0-9._-]+)+$")]
Day = Annotated[date, Strict()]  # a TOML date, in JST; never a number or a moment
Operation = Literal["send", "store", "release"]  # what waits for a person's approval
# "look" is one of its own, allowing none of these; those behind it allow looks at persons.
Right = Literal[
    "send",
    "store",
    "release",
    "look",
    "number",
    "review",
    "code",
    "reissue",
    "record",
    "administer",
]
# What a package is encrypted to. A blob of SSH begins with its kind, so that base64 shows it, too.
PACKAGE_KEY = re.compile(
    r"age1[02-9ac-hj-np-z]{58}"
    r"|ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI[A-Za-z0-9+/]{43}( [^\x00-\x1f\x7f]*)?"
    r"|ssh-rsa AAAAB3NzaC1yc2EAAA[A-Za-z0-9+/]{100,3000}={0,2}( [^\x00-\x1f\x7f]*)?"
)


def public_key(value: object) -> PublicKey:
    """A key as it stands in site.toml; pydantic tells the Mistake of any other text."""
    if isinstance(value, PublicKey):
        return value
    try:
        return PublicKey.parse(value if isinstance(value, str) else "")
    except ValueError:  # without the text in the message: see below
        raise Mistake("definitions.person_key") from None


def package_key(text: str) -> str:
    """The text, if a package can be encrypted to it."""
    # Without the text in the message: it may be a private key, pasted by mistake.
    if text and not PACKAGE_KEY.fullmatch(text):
        raise Mistake("definitions.package_key")
    return text


class Insurer(Definition):
    """An insurer for which somebody may speak. No package is made for one without a key."""

    code: InsurerCode
    kind: Identifier
    title: str
    package_key: str = ""
    policy: Policy = Policy()  # what differs from the site's
    # 公費負担者番号 of a welfare office, for 資格確認実績ログ; its own code where it names none.
    payers: tuple[InsurerCode, ...] = ()

    @field_validator("package_key")
    @classmethod
    def _public(cls, text: str) -> str:
        return package_key(text)


HOST_KEY = re.compile(
    r"(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)) [A-Za-z0-9+/]{60,3000}={0,2}( .*)?"
)


class Host(Definition):
    """A partner's SFTP host, to which we go for what it has for us and with what we have for it.

    Our private key is nobody's but ours and stands in no file of the site: see README.
    """

    address: str = Setting(min_length=1)
    port: int = Setting(22, ge=1, le=65535)
    user: str = Setting(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,63}$")
    host_keys: tuple[str, ...] = Setting(min_length=1)  # lines of .pub files; one of them it has
    fetch_from: str = Setting(min_length=1)  # its folder with files for us
    hand_to: str = Setting(min_length=1)  # its folder for files of ours
    door: Identifier | None = None  # the inbox that fetched files go to; absent: the only one
    markers: bool = False  # each file is followed by one with `.done` behind its name
    seconds: float = Setting(30.0, gt=0, le=600)  # without an answer for so long, we give up
    max_bytes: int = Setting(2 * 1024**3, gt=0)  # of a file that is fetched

    @field_validator("host_keys")
    @classmethod
    def _public(cls, lines: tuple[str, ...]) -> tuple[str, ...]:
        for line in lines:
            kind, blob = (*line.split(), "", "")[:2]
            try:
                inside, _ = taken(base64.b64decode(blob, validate=True))
            except ValueError:
                inside = b""
            if not HOST_KEY.fullmatch(line) or inside != kind.encode():
                raise Mistake("definitions.host_key")
        return lines


class Sender(Definition):
    """Who owns an inbox. It may speak for its insurers only; each door is a folder of its own.

    A national system that answers us is a sender, too: it names its `system` and has no insurers;
    what is pushed to it is encrypted to its `package_key`.
    """

    name: SenderName
    title: str
    doors: tuple[Identifier, ...]
    insurers: tuple[InsurerCode, ...] = ()
    system: Identifier | None = None
    # Its account with our SFTP server, `koukan sftp config`; its files must belong to this uid.
    uid: int | None = Setting(None, ge=1, le=2**31 - 1)
    ssh_keys: tuple[Annotated[PublicKey, BeforeValidator(public_key)], ...] = ()
    package_key: str = ""  # of a system that gets packages; insurers have their own
    host: Host | None = None  # of a system to which we go; without one it comes to our folders

    @field_validator("package_key")
    @classmethod
    def _public(cls, text: str) -> str:
        return package_key(text)

    @model_validator(mode="after")
    def _with_host(self) -> Sender:
        if self.host is None:
            return self
        door = self.host.door
        fits = len(self.doors) == 1 if door is None else door in self.doors
        if self.system is None or not fits:
            raise Mistake("definitions.host_of_whom", sender=self.name)
        return self

    @property
    def fetched_to(self) -> str:
        """The door to which fetched files go; only of a sender with a host."""
        return (self.host and self.host.door) or self.doors[0]


class SftpServer(Definition):
    """Where the SFTP server of the operating system lets senders in, and as whom koukan runs."""

    folder: Place = "/srv/koukan-sftp"  # exchange/, at a path that is root's alone
    keys: Place = "/etc/ssh/koukan-keys"
    user: AccountName = "koukan"  # as whom koukan runs; its group of that name takes from inboxes
    group: AccountName = "koukan-sftp"  # of all accounts that are let in
    sessions: int = Setting(8, ge=1, le=1000)  # of one sender at once
    file_bytes: int = Setting(8 * 1024**3, ge=1024)  # of one file, while it is uploaded


class Person(Definition):
    """One member of staff, who approves with a key of her own. Both days are inclusive."""

    name: PersonName  # as it stands in the operation log
    title: str
    key: Annotated[PublicKey, BeforeValidator(public_key)]
    operator: Identifier = "payment_fund"  # whose staff she is, see rights.toml
    rights: tuple[Right, ...]
    valid_from: Day
    valid_to: Day | None = None
    revoked: bool = False

    @model_validator(mode="after")
    def _consistent(self) -> Person:
        if self.valid_to is not None and self.valid_to < self.valid_from:
            raise Mistake("definitions.valid_order")
        return self


ActorName = Literal["online"]


class BatchActor(Definition):
    """A further actor without a person, for jobs that name it: a process with a key of its own.

    Which keys it has is fixed by its name (`engine.initialise.FURTHER_ACTORS`).
    """

    name: ActorName
    key: Annotated[
        str, StringConstraints(pattern=r"^/[^\x00-\x1f\x7f]+$")
    ]  # file, outside the root


class Approvals(Definition):
    """What the approvals of sending and storing need."""

    days: int = Setting(3, ge=1, le=366)  # an approval that nobody gave by then is asked for anew
    overdue_hours: int = Setting(24, ge=1)  # what waits for persons longer than that is reported
    send: int = Setting(1, ge=1, le=10)  # distinct persons
    store: int = Setting(1, ge=1, le=10)
    release: int = Setting(1, ge=1, le=10)
    user_verified: bool = (
        False  # true: only keys in a token that knew its user by biometrics or PIN
    )

    def needed(self, operation: Operation) -> int:
        """How many distinct persons an operation takes."""
        needed: dict[Operation, int] = {
            "send": self.send,
            "store": self.store,
            "release": self.release,
        }
        return needed[operation]


Hindrance = Literal["other_sender", "no_key"]


class Site(Definition):
    """One centre."""

    language: Literal["ja", "en"] = "ja"
    actor: Identifier = "batch"
    buckets: int = Setting(16, ge=1)
    limits: Limits = Limits()
    workers: Workers = Workers()
    identity: Identity = Identity()
    pmh: Pmh = Pmh()
    disclosure: Disclosure = Disclosure()
    records: Records = Records()
    usage: Usage = Usage()
    copies: Copies = Copies()
    codes: Codes = Codes()
    policy: Policy = Policy()  # what differs from the shipped one
    insurers: tuple[Insurer, ...] = Setting(alias="insurer")
    senders: tuple[Sender, ...] = Setting(alias="sender")
    persons: tuple[Person, ...] = Setting(default=(), alias="person")
    approvals: Approvals = Approvals()
    online: Online = Online()
    batch_actors: tuple[BatchActor, ...] = Setting(default=(), alias="batch_actor")
    sftp: SftpServer = SftpServer()

    @model_validator(mode="after")
    def _consistent(self) -> Site:
        if self.buckets & (self.buckets - 1):
            raise Mistake("definitions.buckets")
        codes = [insurer.code for insurer in self.insurers]
        names = [sender.name for sender in self.senders]
        persons = [person.name.casefold() for person in self.persons]
        keys = [person.key.fingerprint for person in self.persons]
        for what, values in (
            ("[[insurer]] code", codes),
            ("[[sender]] name", names),
            ("[[person]] name", persons),
            ("[[person]] key", keys),
            ("[[batch_actor]] name", [str(one.name) for one in self.batch_actors]),
            (
                "[[sender]] ssh_keys",
                [key.fingerprint for sender in self.senders for key in sender.ssh_keys],
            ),
            ("[[sender]] uid", [str(item.uid) for item in self.senders if item.uid is not None]),
        ):
            twice = {value for value in values if values.count(value) > 1}
            if twice:
                raise Mistake("definitions.twice", field=what, known=listed(twice))
        for actor in (self.actor, *(one.name for one in self.batch_actors)):
            if actor.casefold() in persons:
                raise Mistake("definitions.person_is_actor", actor=actor)
        if self.actor in [one.name for one in self.batch_actors]:
            raise Mistake("definitions.twice", field="[[batch_actor]] name", known=self.actor)
        for sender in self.senders:
            unknown = set(sender.insurers) - set(codes)
            if unknown:
                raise Mistake(
                    "definitions.sender_insurer", sender=sender.name, insurer=listed(unknown)
                )
            if sender.ssh_keys and sender.uid is None:
                raise Mistake("definitions.sender_uid", sender=sender.name)
            if sender.package_key and sender.system is None:
                raise Mistake("definitions.sender_package_key", sender=sender.name)
            if bool(sender.insurers) == (sender.system is not None):
                raise Mistake("definitions.sender_speaks", sender=sender.name)
        return self

    def sender(self, name: str) -> Sender:
        """Raises DefinitionError for a sender that the site no longer has."""
        for sender in self.senders:
            if sender.name == name:
                return sender
        raise DefinitionError("sites.no_sender", sender=name)

    def batch_actor(self, name: str | None) -> BatchActor | None:
        """Who runs a job that names an actor; None: whoever runs all others."""
        return next((one for one in self.batch_actors if one.name == name), None)

    def partner(self, system: str) -> Sender | None:
        """Whom we exchange with for a national system; None where the site has none."""
        return next((sender for sender in self.senders if sender.system == system), None)

    def insurer(self, code: str) -> Insurer:
        """Raises DefinitionError for an insurer that the site does not have."""
        for insurer in self.insurers:
            if insurer.code == code:
                return insurer
        raise DefinitionError("sites.no_insurer", insurer=code)

    def hindrances(self) -> Callable[[str, str], Hindrance | None]:
        """A function of insurer and sender: why no package of the one may lie with the other."""
        keys = {insurer.code: insurer.package_key for insurer in self.insurers}
        spoken_for = {sender.name: frozenset(sender.insurers) for sender in self.senders}

        def hindrance(insurer: str, sender: str) -> Hindrance | None:
            if insurer not in spoken_for.get(sender, ()):
                return "other_sender"
            return None if keys.get(insurer) else "no_key"

        return hindrance

    def person_of(self, key: PublicKey) -> Person | None:
        """Whose key it is; None for a stranger's."""
        return next((person for person in self.persons if person.key == key), None)


class Retention(Definition):
    """How long originals are kept, counted from the day their outcome became final."""

    original: Duration = "P35D"
    refused: Duration = "P7D"

    def days(self, outcome: str | None) -> int:
        return int((self.refused if outcome == "refused" else self.original)[1:-1])


class Job(Definition):
    """A scheduled chain of steps."""

    name: Identifier
    title: str
    purpose: str
    schedule: str  # minute hour day month weekday, in JST
    formats: tuple[Identifier, ...] = ()
    steps: tuple[Identifier, ...]
    actor: ActorName | None = None  # who runs it, where the site has that one
    every_tick: tuple[Identifier, ...] = ()  # at each tick between: for what waits for nobody
    retention: Retention = Retention()

    @model_validator(mode="after")
    def _consistent(self) -> Job:
        try:
            Schedule.parse(self.schedule)
        except ValueError:
            raise Mistake("definitions.schedule") from None
        return self
