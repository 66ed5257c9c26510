"""What `site.toml` and `jobs/*.toml` may say."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field as Setting
from pydantic import StringConstraints, model_validator

from koukan.errors import DefinitionError
from koukan.formats.model import Definition, Identifier
from koukan.sites.schedule import Schedule

Duration = Annotated[str, StringConstraints(pattern=r"^P[0-9]{1,4}D$")]
InsurerCode = Annotated[str, StringConstraints(pattern=r"^[0-9]{8}$")]
SenderName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{1,31}$")]


class Insurer(Definition):
    """An insurer for which somebody may speak."""

    code: InsurerCode
    kind: Identifier
    title: str


class Sender(Definition):
    """Who owns an inbox. It may speak for its insurers only; each door is a folder of its own."""

    name: SenderName
    title: str
    doors: tuple[Identifier, ...]
    insurers: tuple[InsurerCode, ...]


class Limits(Definition):
    """Bounds of a run."""

    settle_seconds: float = Setting(2.0, ge=0)  # between the two looks at an inbox
    group_bytes: int = Setting(512 * 1024**2, gt=0)  # receptions handled together
    group_files: int = Setting(500, gt=0)
    piece_rows: int = Setting(400_000, gt=0)  # rows of a section in memory at once, by worker
    stage_bytes: int = Setting(192 * 1024**2, ge=0)  # of a group's frames kept in memory
    pandera_rows: int = Setting(2_000, ge=0)  # above, reject codes come from expressions


class Workers(Definition):
    """Where tasks run: threads of this process, or processes of this machine."""

    kind: Literal["threads", "processes"] = "threads"
    count: int = Setting(2, ge=1, le=256)


class Site(Definition):
    """One centre."""

    language: Literal["ja", "en"] = "ja"
    actor: Identifier = "batch"
    buckets: int = Setting(16, ge=1)
    limits: Limits = Limits()
    workers: Workers = Workers()
    insurers: tuple[Insurer, ...] = Setting(alias="insurer")
    senders: tuple[Sender, ...] = Setting(alias="sender")

    @model_validator(mode="after")
    def _consistent(self) -> Site:
        if self.buckets & (self.buckets - 1):
            raise ValueError("buckets is a power of two")
        codes = [insurer.code for insurer in self.insurers]
        names = [sender.name for sender in self.senders]
        for what, values in (("insurer", codes), ("sender", names)):
            twice = sorted({value for value in values if values.count(value) > 1})
            if twice:
                raise ValueError(f"{what} {twice} stands twice")
        for sender in self.senders:
            unknown = sorted(set(sender.insurers) - set(codes))
            if unknown:
                raise ValueError(f"sender {sender.name}: insurer {unknown} is not known")
        return self

    def sender(self, name: str) -> Sender:
        """Raises DefinitionError for a sender that the site no longer has."""
        for sender in self.senders:
            if sender.name == name:
                return sender
        raise DefinitionError("sites.no_sender", sender=name)

    def insurer(self, code: str) -> Insurer:
        """Raises DefinitionError for an insurer that the site does not have."""
        for insurer in self.insurers:
            if insurer.code == code:
                return insurer
        raise DefinitionError("sites.no_insurer", insurer=code)


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
    retention: Retention = Retention()

    @model_validator(mode="after")
    def _consistent(self) -> Job:
        Schedule.parse(self.schedule)
        return self
