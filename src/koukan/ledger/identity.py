"""What the ledger knows of 本人確認: files of questions, requests, shares of answers, packages.

Numbers, names, counts, hashes and states; never an item of a question or of an answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import ColumnElement, Connection, and_, func, insert, or_, select, update
from sqlalchemy.engine import Row

from koukan.ledger import schema as s
from koukan.ledger.store import Ledger

T = TypeVar("T")
UNDER_WAY = ("cut", "sending", "sent")  # states of requests of which a copy is left here
NO_PACKAGE = 0  # ordinal for shares of which nothing went: given up, or all withheld


@dataclass(frozen=True)
class Questions:
    """An accepted file of questions; see `schema.questions`."""

    reception: int
    insurer: str
    kind: str
    mode: str
    start: int
    rows: int
    asked: int
    generation: int
    open: int
    asked_at: str
    state: str


@dataclass(frozen=True)
class Received:
    """What a file of questions was when it came in."""

    kind: str
    file_name: str
    sender: str


@dataclass(frozen=True)
class Request:
    """A file of questions of many insurers to a national system; see `schema.requests`."""

    number: int
    partner: str
    kind: str
    mode: str
    name: str
    sequence: int
    rows: int
    sha256: str
    length: int
    state: str
    created_at: str
    sent_at: str | None


@dataclass(frozen=True)
class Part:
    """Which questions of a file a request holds; see `schema.request_parts`."""

    request: int
    reception: int
    first: int
    rows: int


@dataclass(frozen=True)
class Share:
    """What an answer file had for a file of questions."""

    reception: int
    answer: int
    answered: int
    ambiguous: int
    package: int | None


@dataclass(frozen=True)
class Package:
    """A sealed package for an insurer; see `schema.packages`."""

    reception: int
    ordinal: int
    insurer: str
    sender: str
    name: str
    answered: int
    ambiguous: int
    open: int
    file_sha256: str
    file_length: int
    archive_sha256: str | None
    sha256: str | None
    state: str
    how: str | None
    erased: bool
    built_at: str
    closed_at: str | None

    @property
    def rows(self) -> int:
        return self.answered + self.ambiguous


def _made(kind: type[T], rows: Iterable[Row[Any]]) -> list[T]:
    names = [item.name for item in fields(kind)]  # type: ignore[arg-type]
    return [kind(**{name: row._mapping[name] for name in names}) for row in rows]


# --- questions


def questions(ledger: Ledger, *, state: str | None = None) -> list[Questions]:
    """All files of questions, by reception."""
    query = select(s.questions).order_by(s.questions.c.reception)
    if state is not None:
        query = query.where(s.questions.c.state == state)
    return _made(Questions, ledger.read(query))


def questions_of(ledger: Ledger, reception: int) -> Questions | None:
    query = select(s.questions).where(s.questions.c.reception == reception)
    return next(iter(_made(Questions, ledger.read(query))), None)


def received(ledger: Ledger) -> dict[int, Received]:
    """Reception -> under which name it came from whom, of all files of questions."""
    files = s.receptions.c
    query = select(s.questions.c.reception, s.questions.c.kind, files.file_name, files.sender)
    joined = query.join(s.receptions, files.number == s.questions.c.reception)
    return {
        row.reception: Received(row.kind, row.file_name, row.sender) for row in ledger.read(joined)
    }


class Gap(NamedTuple):
    """Some questions of a file, in their order, of which something is still to be done."""

    questions: Questions
    first: int
    rows: int


def unrequested(ledger: Ledger) -> list[Gap]:
    """Open files' questions that stand in no request, or only in one that was never sent."""
    states = s.requests.c.state
    return _gaps(ledger, or_(states.in_(UNDER_WAY), s.requests.c.sent_at.is_not(None)))


def unsent(ledger: Ledger) -> list[Gap]:
    """Open files' questions that nobody outside has been asked."""
    return _gaps(ledger, or_(s.requests.c.state == "sending", s.requests.c.sent_at.is_not(None)))


def _gaps(ledger: Ledger, covering: ColumnElement[bool]) -> list[Gap]:
    """What these requests leave out of each open file, by reception and place."""
    parts = s.request_parts.c
    query = (
        select(parts.reception, parts.first, parts.rows)
        .join(s.requests, s.requests.c.number == parts.request)
        .join(s.questions, s.questions.c.reception == parts.reception)
        .where(s.questions.c.state == "open", covering)
        .order_by(parts.reception, parts.first)
    )
    covered: dict[int, list[tuple[int, int]]] = {}
    for row in ledger.read(query):
        covered.setdefault(row.reception, []).append((row.first, row.rows))
    found = []
    for item in questions(ledger, state="open"):
        place = 0
        for first, rows in (*covered.get(item.reception, ()), (item.asked, 0)):
            if first > place:
                found.append(Gap(item, place, first - place))
            place = max(place, first + rows)
    return found


def put_questions(connection: Connection, values: Mapping[str, object]) -> None:
    connection.execute(insert(s.questions).values(values))


def next_generation(connection: Connection, reception: int, left: int, *, complete: bool) -> None:
    """A package took up what was answered; so many questions are sealed anew.

    Args:
        complete: none is, and no answer is withheld.
    """
    table = s.questions
    changed = update(table).where(table.c.reception == reception)
    state = {"state": "complete"} if complete else {}
    connection.execute(changed.values(generation=table.c.generation + 1, open=left, **state))


def set_questions(connection: Connection, reception: int, **values: object) -> None:
    changed = update(s.questions).where(s.questions.c.reception == reception)
    connection.execute(changed.values(**values))


# --- requests


def requests(ledger: Ledger, *, states: Iterable[str] | None = None) -> list[Request]:
    """By number."""
    query = select(s.requests).order_by(s.requests.c.number)
    if states is not None:
        query = query.where(s.requests.c.state.in_(list(states)))
    return _made(Request, ledger.read(query))


def next_request(ledger: Ledger, partner: str) -> tuple[int, int]:
    """The number and the partner's sequence number of the next request."""
    newest = ledger.read(select(func.max(s.requests.c.number)))[0][0]
    query = select(func.max(s.requests.c.sequence)).where(s.requests.c.partner == partner)
    return int(newest or 0) + 1, int(ledger.read(query)[0][0] or 0) + 1


def put_request(
    connection: Connection, values: Mapping[str, object], parts: Iterable[Mapping[str, object]]
) -> None:
    """A request that was cut, with the slices of files that it holds."""
    connection.execute(insert(s.requests).values(values))
    rows = [{"request": values["number"], **part} for part in parts]
    connection.execute(insert(s.request_parts), rows)


def set_request(connection: Connection, number: int, **values: object) -> None:
    changed = update(s.requests).where(s.requests.c.number == number)
    connection.execute(changed.values(**values))


def answered(connection: Connection, numbers: Iterable[int], at: str) -> None:
    """Requests with a question that was answered are over; and they were sent, known or not."""
    table = s.requests.c
    mine = table.number.in_(sorted(numbers))
    sent_at = func.coalesce(table.sent_at, at)
    connection.execute(update(s.requests).where(mine).values(state="over", sent_at=sent_at))


def give_up(connection: Connection, reception: int) -> None:
    """Requests that hold questions of this file are over: their text must not stay."""
    parts = s.request_parts.c
    holding = select(parts.request).where(parts.reception == reception)
    table = s.requests.c
    mine = and_(table.number.in_(holding), table.state.in_(UNDER_WAY))
    connection.execute(update(s.requests).where(mine).values(state="over"))


def parts_of(ledger: Ledger, request: int) -> list[Row[Any]]:
    """reception, first, rows of each slice, by reception."""
    query = select(s.request_parts).where(s.request_parts.c.request == request)
    return ledger.read(query.order_by(s.request_parts.c.reception))


def parts_under_way(ledger: Ledger) -> list[Part]:
    """The slices of all requests of which a copy is left here."""
    table = s.request_parts.c
    query = select(s.request_parts).join(s.requests, s.requests.c.number == table.request)
    query = query.where(s.requests.c.state.in_(UNDER_WAY)).order_by(table.request, table.reception)
    return _made(Part, ledger.read(query))


def requests_holding(ledger: Ledger, receptions: Iterable[int]) -> set[int]:
    """Numbers of the requests in which questions of these files stand."""
    wanted = set(receptions)
    query = select(s.request_parts.c.request, s.request_parts.c.reception).distinct()
    if len(wanted) == 1:
        query = query.where(s.request_parts.c.reception == min(wanted))
    return {row.request for row in ledger.read(query) if row.reception in wanted}


# --- answers


def shares(
    ledger: Ledger, *, packaged: bool | None = None, reception: int | None = None
) -> list[Share]:
    """By file of questions and answer file."""
    table = s.answer_shares.c
    query = select(s.answer_shares).order_by(table.reception, table.answer)
    if reception is not None:
        query = query.where(table.reception == reception)
    if packaged is not None:
        query = query.where(table.package.is_not(None) if packaged else table.package.is_(None))
    return _made(Share, ledger.read(query))


def put_shares(connection: Connection, rows: Iterable[Mapping[str, object]]) -> None:
    given = list(rows)
    if given:
        connection.execute(insert(s.answer_shares), given)


def take_up(connection: Connection, reception: int, ordinal: int) -> None:
    """A package has all shares of the file that none had before."""
    table = s.answer_shares.c
    mine = and_(table.reception == reception, table.package.is_(None))
    connection.execute(update(s.answer_shares).where(mine).values(package=ordinal))


# --- packages


def packages(
    ledger: Ledger,
    *,
    states: Iterable[str] | None = None,
    erased: bool | None = None,
    reception: int | None = None,
) -> list[Package]:
    """By file of questions and ordinal."""
    table = s.packages.c
    query = select(s.packages).order_by(table.reception, table.ordinal)
    if states is not None:
        query = query.where(table.state.in_(list(states)))
    if erased is not None:
        query = query.where(table.erased == erased)
    if reception is not None:
        query = query.where(table.reception == reception)
    return _made(Package, ledger.read(query))


def newest_ordinals(ledger: Ledger) -> dict[int, int]:
    """Reception -> ordinal of its newest package."""
    table = s.packages.c
    query = select(table.reception, func.max(table.ordinal).label("newest"))
    return {
        int(row.reception): int(row.newest) for row in ledger.read(query.group_by(table.reception))
    }


def put_package(connection: Connection, values: Mapping[str, object]) -> None:
    connection.execute(insert(s.packages).values({**values, "erased": False}))


def set_package(connection: Connection, package: Package, **values: object) -> None:
    table = s.packages.c
    mine = and_(table.reception == package.reception, table.ordinal == package.ordinal)
    connection.execute(update(s.packages).where(mine).values(**values))
