"""Look one person up in the 資格履歴: events and spells, from all insurers, now or as once known.

Of many persons and days at once, see `engine/asof.py`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import date
from typing import NamedTuple, TypeAlias

import polars as pl

from koukan.engine.centre import Centre
from koukan.engine.nights import groups_until
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
from koukan.tables.definition import BUCKET, SECTION, bucket_label, bucket_of_link

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
    """The history of a person.

    Args:
        known: a night (YYYY-MM-DD): only what was committed when it was over. None: everything.

    Returns:
        section -> its events of that person, from all insurers, oldest reception first; without
        紐付番号. A section without events is an empty frame; a 紐付番号 that nobody has, has none.

    Raises:
        UsageError: the insurer has no such 被保険者枝番, or one of the three is not written so.
    """
    with _looking(centre, who) as (link, operation):
        groups = None if known is None else groups_until(centre, known)
        found = events_of(centre, link, groups)
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
    with _looking(centre, who) as (link, operation):
        groups = None if known is None else groups_until(centre, known)
        found = rule.spells(section_of(centre, link, QUALIFICATION, groups))
        if on is not None:
            found = found.filter(rule.covers(pl.lit(on)))
        operation.note(rows=found.height)
    return found.sort("qualification_date", "insurer_code").select(TOLD)


@contextmanager
def _looking(centre: Centre, who: Who) -> Iterator[tuple[int, Operation]]:
    """The person's 紐付番号; that somebody looks is logged, with the insurer and nothing else.

    What was typed may be another number than it should be: it is never repeated.
    """
    if isinstance(who, Link):
        if not _LINK.fullmatch(who.link_number):
            raise UsageError("history.link_form")
        with centre.log.operation("history") as operation:
            yield int(who.link_number), operation
        return
    if not _INSURER.fullmatch(who.insurer) or not _MEMBER.fullmatch(who.member_id):
        raise UsageError("history.form")
    with centre.log.operation("history", insurer=who.insurer) as operation:
        yield link_of(centre, who.insurer, int(who.member_id)), operation


def link_of(centre: Centre, insurer: str, member_id: int) -> int:
    """The 紐付番号 in the insurer's roster."""
    roster = centre.snapshot(PARTITION)
    files = roster.files(insurer=insurer, section=ROSTER)
    mine = pl.col("member_id") == member_id
    found = roster.read(files, ["link_number"], section=ROSTER, where=mine)
    if found.is_empty():
        raise UsageError("history.unknown", insurer=insurer)
    return int(found["link_number"][0])


def events_of(
    centre: Centre, link: int, groups: Collection[int] | None = None
) -> dict[str, pl.DataFrame]:
    """All events of one 紐付番号 by section; only the files of its bucket are opened.

    Args:
        groups: whose events count. None: all.
    """
    found = {}
    for section in centre.tables[HISTORY].definition.sections:
        rows = section_of(centre, link, section, groups)
        found[section] = rows.sort("reception", "line_number").drop(_INNER)
    return found


def section_of(
    centre: Centre, link: int, section: str, groups: Collection[int] | None = None
) -> pl.DataFrame:
    """One section's events of one 紐付番号, with all their columns."""
    history = centre.snapshot(HISTORY)
    buckets = centre.site.buckets
    bucket = bucket_label(bucket_of_link(link, buckets), buckets)
    wanted = pl.col("link_number") == link
    if groups is not None:
        wanted &= pl.col("group_number").is_in(list(groups))
    files = history.files(**{BUCKET: bucket, SECTION: section})
    return history.read(files, section=section, where=wanted)
