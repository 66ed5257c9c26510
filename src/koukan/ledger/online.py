"""Pushes to オンライン資格確認等システム: of which groups, of how many, and how far each is."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Integer,
    String,
    Table,
    func,
    insert,
    select,
    update,
)

from koukan.ledger import schema as s
from koukan.ledger.store import Ledger

pushes = Table(
    "push",
    s.metadata,
    Column("sequence", Integer, primary_key=True),  # stands in the file's name and control record
    Column("kind", String, nullable=False),  # delta full
    Column("since_group", Integer, nullable=False),  # what later groups brought is in it
    Column("until_group", Integer, nullable=False),  # up to this one
    Column("partner", String, nullable=False),
    Column("day", String, nullable=False),  # YYYYMMDD, JST: stands in the file
    Column("state", String, nullable=False),  # open laid accepted partly refused
    Column("persons", Integer, nullable=False, default=0),  # of them `deleted`
    Column("deleted", Integer, nullable=False, default=0),
    Column("rows", Integer, nullable=False, default=0),
    # Of earlier versions: nothing is in them any more.
    Column("sha256", String, nullable=False, default=""),
    Column("file_sha256", String, nullable=False, default=""),
    Column("accepted", Integer, nullable=False, default=0),  # persons, as the receiver said
    Column("refused", Integer, nullable=False, default=0),
    Column("laid_at", String),
    Column("answered_at", String),  # when the last answer was taken in that said anything new
    Column("file_sha512", String, nullable=False, default="", server_default=""),  # as signed
    Column("answer", Integer, nullable=False, default=0, server_default="0"),  # its reception
    Column("refusal", String, nullable=False, default="", server_default=""),  # code, of all of it
    # Of those refused, whom no later push has told of.
    Column("open_refused", Integer, nullable=False, default=0, server_default="0"),
    # Persons of all pushes from this one on are told again by it; 0: of none.
    Column("again_since", Integer, nullable=False, default=0, server_default="0"),
    Column("told_again_by", Integer),  # the push that tells all of its persons again
)
answers = Table(
    "push_answer",
    s.metadata,
    Column("reception", Integer, primary_key=True),
    Column("push", Integer, nullable=False),
    Column("accepted", Integer, nullable=False),  # persons of whom nothing was said before
    Column("refused", Integer, nullable=False),
    Column("duplicate", Integer, nullable=False),  # lines that change nothing
    Column("held", Integer, nullable=False),
    Column("late", Boolean, nullable=False),  # later than the site allows
)

UNDER_WAY = "open"


@dataclass(frozen=True)
class Push:
    """One push; see the table."""

    sequence: int
    kind: str
    since_group: int
    until_group: int
    partner: str
    day: str
    state: str
    persons: int = 0
    deleted: int = 0
    rows: int = 0
    sha256: str = ""
    file_sha256: str = ""
    accepted: int = 0
    refused: int = 0
    laid_at: str | None = None
    answered_at: str | None = None
    file_sha512: str = ""
    answer: int = 0
    refusal: str = ""
    open_refused: int = 0
    again_since: int = 0
    told_again_by: int | None = None

    @property
    def unanswered(self) -> int:
        """Persons of whom the receiver has said nothing."""
        return self.persons - self.accepted - self.refused

    @property
    def answered(self) -> bool:
        """Whether the receiver has said of everybody what became of it."""
        return self.answered_at is not None and not self.unanswered

    @property
    def waits(self) -> bool:
        """Whether an answer has to come yet."""
        return self.state != UNDER_WAY and not self.answered and self.told_again_by is None


@dataclass(frozen=True)
class Answer:
    """What one answer came to; see the table."""

    reception: int
    push: int
    accepted: int
    refused: int
    duplicate: int
    held: int
    late: bool


def all_pushes(ledger: Ledger, *, states: Collection[str] | None = None) -> list[Push]:
    """In ascending number."""
    query = select(pushes).order_by(pushes.c.sequence)
    if states is not None:
        query = query.where(pushes.c.state.in_(list(states)))
    return [Push(**row._mapping) for row in ledger.read(query)]


def push_of(ledger: Ledger, sequence: int) -> Push | None:
    """The push of that number."""
    rows = ledger.read(select(pushes).where(pushes.c.sequence == sequence))
    return Push(**rows[0]._mapping) if rows else None


def all_answers(ledger: Ledger) -> list[Answer]:
    """In ascending reception."""
    query = select(answers).order_by(answers.c.reception)
    return [Answer(**row._mapping) for row in ledger.read(query)]


def put_answer(connection: Connection, answer: Answer) -> None:
    connection.execute(insert(answers).values(vars(answer)))


def begin(
    ledger: Ledger, kind: str, span: tuple[int, int], *, partner: str, day: str, again: int = 0
) -> Push:
    """Name the next push, of the groups in (since, until].

    Args:
        again: it also tells all of whom pushes from this one on told; 0: of none.
    """
    with ledger.begin() as connection:
        newest = connection.execute(select(func.max(pushes.c.sequence))).scalar()
        number = int(newest or 0) + 1
        found = Push(number, kind, *span, partner, day, UNDER_WAY, again_since=again)
        connection.execute(insert(pushes).values(vars(found)))
    return found


def change(connection: Connection, sequence: int, **values: object) -> None:
    connection.execute(update(pushes).where(pushes.c.sequence == sequence).values(values))


def tell_again(connection: Connection, push: Push) -> None:
    """Note of the pushes whose persons this one tells again that nothing of them is waited for."""
    table = pushes.c
    earlier = (table.sequence >= push.again_since) & (table.sequence < push.sequence)
    if push.again_since:
        values = {"told_again_by": push.sequence, "open_refused": 0}
        connection.execute(
            update(pushes).where(earlier, table.told_again_by.is_(None)).values(values)
        )


def told_until(ledger: Ledger) -> int:
    """The last group that any push has told of; 0 before the first one."""
    return int(ledger.read(select(func.max(pushes.c.until_group)))[0][0] or 0)


def committed_until(ledger: Ledger) -> int:
    """The last committed group before any that is under way."""
    table = s.groups.c
    open_ones = select(func.min(table.number)).where(table.state != "committed")
    first_open = ledger.read(open_ones)[0][0]
    newest = select(func.max(table.number)).where(table.state == "committed")
    if first_open is not None:
        newest = newest.where(table.number < first_open)
    return int(ledger.read(newest)[0][0] or 0)


def brought(ledger: Ledger, formats: Collection[str], since: int, until: int) -> list[int]:
    """Groups of these formats in the span (`since`, `until`], ascending."""
    table = s.groups.c
    inside = (table.number > since) & (table.number <= until) & table.format.in_(list(formats))
    return [
        int(row.number)
        for row in ledger.read(select(table.number).where(inside).order_by(table.number))
    ]
