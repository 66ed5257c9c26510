"""Look one person up in the 資格履歴: events and spells, from all insurers, now or as once known.

Of many persons and days at once, see `engine/asof.py`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from typing import NamedTuple, TypeAlias

import numpy as np
import polars as pl

from koukan.engine.centre import Centre
from koukan.engine.nights import groups_until
from koukan.engine.people import people_of
from koukan.engine.reading import steady
from koukan.errors import UsageError
from koukan.flows.registration import (
    HISTORY,
    INCIDENTAL,
    LINK_DIGITS,
    MEMBER_DIGITS,
    PARTITION,
    QUALIFICATION,
    ROSTER,
)
from koukan.oplog import Operation
from koukan.rules import spells as rule
from koukan.rules.line_keys import NONE
from koukan.rules.persons import People
from koukan.tables.definition import SECTION, bucket_label, bucket_of_link

_INSURER = re.compile(r"[0-9]{8}")
_MEMBER = re.compile(f"[0-9]{{{MEMBER_DIGITS}}}")
_LINK = re.compile(f"[0-9]{{{LINK_DIGITS}}}")
_INNER = ("link_number", *INCIDENTAL)  # not shown to anybody
TOLD = (  # what is told of a spell: what it says, and which line said so last
    "insurer_code",
    "member_id",
    "qualification_date",
    "disqualification_date",
    "loss_reason",
    "reception",
    "line_number",
)


class Member(NamedTuple):
    """A person as one insurer knows it: 保険者コード, eight digits, and 被保険者枝番, ten."""

    insurer: str
    member_id: str


class Link(NamedTuple):
    """A person across all insurers: 紐付番号, sixteen digits."""

    link_number: str


Who: TypeAlias = Member | Link


def look_up(
    centre: Centre, insurer: str, member_id: str, *, known: str | None = None
) -> dict[str, pl.DataFrame]:
    """The events of the person whom an insurer knows by a 被保険者枝番; see `events`."""
    return events(centre, Member(insurer, member_id), known=known)


@steady
def events(centre: Centre, who: Who, *, known: str | None = None) -> dict[str, pl.DataFrame]:
    """The history of a person, under whichever 個人番号 and 被保険者枝番 it was told.

    Args:
        known: a night (YYYY-MM-DD): only what was committed when it was over. None: everything.

    Returns:
        section -> its events of that person, from all insurers, oldest reception first; without
        紐付番号. A section without events is an empty frame; a 紐付番号 that nobody has, has none.

    Raises:
        UsageError: the insurer has no such 被保険者枝番 any more, or its person has no 個人番号
            yet, or one of the three is not written so.
    """
    with _looking(centre, who, known) as (person, operation):
        sections = centre.tables[HISTORY].definition.sections
        found = {
            section: section_of(centre, person, section)
            .sort("reception", "line_number")
            .drop(_INNER)
            for section in sections
        }
        operation.note(rows=sum(frame.height for frame in found.values()))
    return found


@steady
def spells(
    centre: Centre, who: Who, *, on: date | None = None, known: str | None = None
) -> pl.DataFrame:
    """The spells of a person (`rules.spells`), from all insurers.

    Args:
        on: only those that cover this day.
        known: see `events`.

    Returns:
        TOLD, sorted by 資格取得年月日 and insurer.

    Raises:
        UsageError: see `events`.
    """
    with _looking(centre, who, known) as (person, operation):
        found = rule.spells(section_of(centre, person, QUALIFICATION))
        if on is not None:
            found = found.filter(rule.covers(pl.lit(on)))
        operation.note(rows=found.height)
    return found.sort("qualification_date", "insurer_code").select(TOLD)


@contextmanager
def exporting(centre: Centre, who: Who, rows: int) -> Iterator[None]:
    """What was found leaves as a file in the block: logged, as a look is."""
    where = {"insurer": who.insurer} if isinstance(who, Member) else {}
    with centre.log.operation("history_export", **where) as operation:
        operation.note(rows=rows)
        yield


def is_written(who: Member) -> bool:
    """Whether both are the digits that they must be."""
    return bool(_INSURER.fullmatch(who.insurer) and _MEMBER.fullmatch(who.member_id))


class Person(NamedTuple):
    """Whom a look-up is about, and what is known of persons when it asks."""

    link: int  # the shown 紐付番号
    people: People
    groups: Collection[int] | None  # whose events count; None: all


@contextmanager
def _looking(centre: Centre, who: Who, known: str | None) -> Iterator[tuple[Person, Operation]]:
    """The person; that somebody looks is logged, with the insurer and nothing else.

    What was typed may be another number than it should be: it is never repeated.
    """
    if isinstance(who, Link):
        if not _LINK.fullmatch(who.link_number):
            raise UsageError("history.link_form")
        with centre.log.operation("history") as operation:
            people, groups = _knowing(centre, known)
            link = people.canonical(np.array([int(who.link_number)]))[0]
            yield Person(int(link), people, groups), operation
        return
    if not is_written(who):
        raise UsageError("history.form")
    with centre.log.operation("history", insurer=who.insurer) as operation:
        people, groups = _knowing(centre, known)
        link = link_of(centre, people, who.insurer, int(who.member_id), groups)
        yield Person(link, people, groups), operation


def _knowing(centre: Centre, known: str | None) -> tuple[People, Collection[int] | None]:
    groups = None if known is None else groups_until(centre, known)
    return people_of(centre, groups), groups


def link_of(
    centre: Centre, people: People, insurer: str, member: int, groups: Collection[int] | None
) -> int:
    """The shown 紐付番号 of a 被保険者枝番, or of the one that it goes on as.

    Raises:
        UsageError: see `events`.
    """
    who = np.array([int(insurer)]), np.array([member])
    current = int(people.current(*who)[0])
    rows = roster_rows(centre, insurer, sorted({member, current}))
    if not (rows["member_id"] == member).any():
        raise UsageError("history.unknown", insurer=insurer)
    if people.left(*who, np.array([NONE]))[0]:
        raise UsageError("history.withdrawn", insurer=insurer)
    linked = rows.filter(pl.col("link_number").is_not_null())
    if linked.is_empty():
        raise UsageError("history.waiting", insurer=insurer)
    told = rows["group_number"].unique() if groups is None else list(groups)
    # What is known by then counts before the rest, the one that goes on before the other.
    known, goes_on = pl.col("group_number").is_in(told), pl.col("member_id") == current
    order = (known, goes_on, "group_number", "reception")
    last = linked.sort(*order).tail(1).with_columns(insurer_code=pl.lit(insurer))
    return int(people.attribute(last)["link_number"][0])


def roster_rows(centre: Centre, insurer: str, members: Sequence[int]) -> pl.DataFrame:
    """All that an insurer's roster says of these 被保険者枝番."""
    roster = centre.snapshot(PARTITION)
    files = roster.files(insurer=insurer, section=ROSTER)
    column, (one, *others) = pl.col("member_id"), members
    mine = column.is_in(list(members)) if others else column == one  # a fifth less work
    return roster.read(files, section=ROSTER, where=mine)


def section_of(centre: Centre, person: Person, section: str) -> pl.DataFrame:
    """One section's events of a person, with all their columns.

    Only the files of the buckets of its 紐付番号 are opened.
    """
    history, buckets = centre.snapshot(HISTORY), centre.site.buckets
    _, links = person.people.raw_links(np.array([person.link]))
    wanted = pl.col("link_number").is_in(links.tolist())
    if person.groups is not None:
        wanted &= pl.col("group_number").is_in(list(person.groups))
    files = [
        file
        for bucket in np.unique(bucket_of_link(links, buckets)).tolist()
        for file in history.of_bucket(bucket_label(bucket, buckets), **{SECTION: section})
    ]
    found = person.people.attribute(history.read(files, section=section, where=wanted))
    return found.filter(pl.col("link_number") == person.link)
