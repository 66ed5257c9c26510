"""Reviews behind the night: which groups they looked at, and what they told whom."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Connection, func, insert, select, update

from koukan.ledger import schema as s
from koukan.ledger.store import Ledger


@dataclass(frozen=True)
class Review:
    """One review: of the groups from `first_group` to `last_group`."""

    number: int
    first_group: int
    last_group: int
    day: str  # YYYYMMDD, JST
    state: str  # open done


@dataclass(frozen=True)
class Notice:
    """What one review came to for one insurer; `name` is empty where nobody speaks for it."""

    review: int
    insurer: str
    sender: str
    name: str
    sha256: str
    same: int  # persons with two spells of the insurer
    other: int  # persons whom another insurer has, too

    @property
    def lines(self) -> int:
        return self.same + self.other


def reviews(ledger: Ledger, *, state: str | None = None) -> list[Review]:
    """In ascending number."""
    query = select(s.reviews).order_by(s.reviews.c.number)
    if state is not None:
        query = query.where(s.reviews.c.state == state)
    return [Review(**row._mapping) for row in ledger.read(query)]


def notices(ledger: Ledger, review: int | None = None) -> list[Notice]:
    """By review and insurer."""
    query = select(s.notices).order_by(s.notices.c.review, s.notices.c.insurer)
    if review is not None:
        query = query.where(s.notices.c.review == review)
    return [Notice(**row._mapping) for row in ledger.read(query)]


def unreviewed(ledger: Ledger, formats: Collection[str]) -> list[int]:
    """Committed groups of these formats behind the last review and before any that is open."""
    table = s.groups.c
    behind = int(ledger.read(select(func.max(s.reviews.c.last_group)))[0][0] or 0)
    of_formats = table.format.in_(list(formats))
    open_ones = select(func.min(table.number)).where(of_formats, table.state != "committed")
    first_open = ledger.read(open_ones)[0][0]
    query = select(table.number).where(
        of_formats, table.state == "committed", table.number > behind
    )
    found = [int(row.number) for row in ledger.read(query.order_by(table.number))]
    return [number for number in found if first_open is None or number < first_open]


def groups_of(ledger: Ledger, review: Review, formats: Collection[str]) -> list[int]:
    """The groups under review, of these formats."""
    table = s.groups.c
    inside = table.number.between(review.first_group, review.last_group)
    query = select(table.number).where(inside, table.format.in_(list(formats)))
    return [int(row.number) for row in ledger.read(query.order_by(table.number))]


def begin(ledger: Ledger, groups: Collection[int], day: str) -> Review:
    """Name the review of these groups."""
    with ledger.begin() as connection:
        newest = connection.execute(select(func.max(s.reviews.c.number))).scalar()
        found = Review(int(newest or 0) + 1, min(groups), max(groups), day, "open")
        connection.execute(insert(s.reviews).values(vars(found)))
    return found


def put_notice(connection: Connection, notice: Notice) -> None:
    """Replace what the review came to for the insurer."""
    table = s.notices
    same = (table.c.review == notice.review) & (table.c.insurer == notice.insurer)
    connection.execute(table.delete().where(same))
    connection.execute(insert(table).values(vars(notice)))


def finish(connection: Connection, number: int) -> None:
    changed = update(s.reviews).where(s.reviews.c.number == number)
    connection.execute(changed.values(state="done"))


def sender_of(ledger: Ledger, insurer: str, formats: Collection[str]) -> str | None:
    """Whose file of these formats was the last one with accepted lines of an insurer."""
    table, counted = s.receptions.c, s.insurer_counts.c
    query = (
        select(table.sender)
        .join(s.insurer_counts, counted.reception == table.number)
        .where(table.format.in_(list(formats)), counted.insurer == insurer, counted.accepted > 0)
        .order_by(table.number.desc())
        .limit(1)
    )
    found = ledger.read(query)
    return str(found[0].sender) if found else None
