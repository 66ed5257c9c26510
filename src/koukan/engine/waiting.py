"""Whom an insurer has still to settle: who has no 個人番号 yet, and who may never join.

The roster tells who waits for a number; the last word on each member of the 委託区画 tells who is
still 加入予定者 or 世帯員. Both are listed with the line that said so first, and its age. Who went
on at another insurer is listed there. Files are read one after another; members concerned are kept.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, datetime
from functools import partial

import numpy as np
import polars as pl

from koukan.engine.asof import events_under
from koukan.engine.centre import Centre
from koukan.engine.people import people_of
from koukan.engine.reading import steady
from koukan.engine.registry import HOLDER
from koukan.errors import UsageError
from koukan.flows.registration import BASIC, CLASS, FORMER, PARTITION, PERSON_LINKS, ROSTER
from koukan.rules.hindsight import place_of
from koukan.rules.line_keys import NONE
from koukan.rules.persons import MOVED, People
from koukan.sites.schedule import JST
from koukan.tables import encrypted
from koukan.tables.definition import SECTION

NUMBER = "my_number"  # who waits for it
OPEN = ("2", "3")  # 加入予定者, 世帯員
LISTED = ("waiting_for", "member_id", "reception", "line_number", "days")
_PLACE = ("group_number", "reception", "line_number")
_INSURER = re.compile(r"[0-9]{8}")


@steady
def waiting(centre: Centre, insurer: str) -> pl.DataFrame:
    """Who waits, the oldest first.

    Returns:
        LISTED; `waiting_for` is NUMBER or the 加入者区分コード, one of OPEN; `days` since the
        file of the line came (JST).

    Raises:
        UsageError: the insurer is not written so, or is none of the site's.
    """
    if not _INSURER.fullmatch(insurer):
        raise UsageError("history.insurer_form")
    if insurer not in {one.code for one in centre.site.insurers}:
        raise UsageError("waiting.unknown", insurer=insurer)
    with centre.log.operation("waiting", insurer=insurer) as operation:
        people = people_of(centre)
        here = partial(_here, centre, insurer, people)
        unnumbered = _first_lines(centre, insurer, here(_unnumbered(centre, insurer, people)))
        undecided = here(_still(insurer, people, _undecided(centre, insurer)))
        parts = [unnumbered.with_columns(waiting_for=pl.lit(NUMBER)), undecided]
        found = pl.concat([part.select(LISTED[:-1]) for part in parts])
        listed = _aged(centre, found).sort(
            "days", "reception", "line_number", descending=[True, False, False]
        )
        operation.note(rows=listed.height)
    return listed.select(LISTED)


def _unnumbered(centre: Centre, insurer: str, people: People) -> pl.DataFrame:
    """Members without any 個人番号: `member_id`, `reception` of the first."""
    roster = centre.snapshot(PARTITION)
    files = roster.files(insurer=insurer, section=ROSTER)
    columns = ["member_id", "reception"]
    rows = roster.read(files, columns, section=ROSTER, where=pl.col("link_number").is_null())
    numbered = pl.col("link_number").is_not_null() & _among(rows["member_id"])
    given = roster.read(files, ["member_id"], section=ROSTER, where=numbered)
    left = rows.join(given, on="member_id", how="anti")
    return _still(insurer, people, left.group_by("member_id").agg(pl.col("reception").min()))


def _still(insurer: str, people: People, rows: pl.DataFrame) -> pl.DataFrame:
    """Without who was withdrawn or goes on as another."""
    members = rows["member_id"].to_numpy()
    code = np.full(len(members), int(insurer))
    goes_on = people.current(code, members) == members
    gone = people.left(code, members, np.full(len(members), NONE))
    return rows.filter(pl.Series(goes_on & ~gone, dtype=pl.Boolean))


def _here(centre: Centre, insurer: str, people: People, members: pl.DataFrame) -> pl.DataFrame:
    """Without those who went on at another insurer, and of whom this one said nothing since."""
    if members.is_empty():
        return members
    said = _lines(centre, insurer, ["member_id", *_PLACE], _among(members["member_id"]))
    last = said.group_by("member_id").agg(said=_when().max())
    went = pl.concat(
        [_went_waiting(centre, insurer, people), _went(centre, insurer, people, members)]
    )
    away = last.join(went, on="member_id").filter(pl.col("went") > pl.col("said"))
    return members.join(away, on="member_id", how="anti")


def _went_waiting(centre: Centre, insurer: str, people: People) -> pl.DataFrame:
    """member_id, went: who left while it waited, and when; a statement tells it."""
    table = centre.snapshot(PERSON_LINKS)
    mine = (pl.col("act") == MOVED) & (pl.col("insurer_code") == insurer)
    rows = table.read(table.files(), where=mine)
    members = rows["member_id"].to_numpy()
    current = people.current(np.full(len(members), int(insurer)), members)
    return rows.select(member_id=pl.Series(current, dtype=pl.Int64), went=_when())


def _went(centre: Centre, insurer: str, people: People, members: pl.DataFrame) -> pl.DataFrame:
    """The same of those who have a 個人番号: the events at the other insurer name this one."""
    roster = centre.snapshot(PARTITION)
    numbered = pl.col("link_number").is_not_null() & _among(members["member_id"])
    files = roster.files(insurer=insurer, section=ROSTER)
    columns = ["member_id", "link_number"]
    given = roster.read(files, columns, section=ROSTER, where=numbered)
    given = people.attribute(given.with_columns(insurer_code=pl.lit(insurer)))
    raw = np.unique(people.raw_links(given["link_number"].to_numpy())[1])
    events = events_under(centre, BASIC, raw, (*HOLDER, *_PLACE, FORMER))
    left = people.attribute(events.filter(pl.col(FORMER) == insurer))
    moves = left.group_by("link_number").agg(went=_when().max())
    return given.unique(columns).join(moves, on="link_number").select("member_id", "went")


def _when() -> pl.Expr:
    return place_of(pl.col("group_number"), pl.col("reception"))


def _first_lines(centre: Centre, insurer: str, members: pl.DataFrame) -> pl.DataFrame:
    """With the first line of each in the file that brought it."""
    rows = _lines(centre, insurer, ["member_id", *_PLACE], _among(members["member_id"]))
    lines = rows.group_by("member_id", "reception").agg(pl.col("line_number").min())
    return members.join(lines, on=["member_id", "reception"], how="inner")


def _undecided(centre: Centre, insurer: str) -> pl.DataFrame:
    """Members whose last word is one of OPEN, with the line that said it first."""
    columns = ["member_id", CLASS, *_PLACE]
    told = _lines(centre, insurer, columns, pl.col(CLASS).is_in(OPEN))
    every = _lines(centre, insurer, columns, _among(told["member_id"])).sort(_PLACE)
    last = every.unique("member_id", keep="last", maintain_order=True)
    same = every.join(last.filter(pl.col(CLASS).is_in(OPEN)), on=["member_id", CLASS], how="semi")
    first = same.sort(_PLACE).unique("member_id", keep="first", maintain_order=True)
    return first.rename({CLASS: "waiting_for"})


def _among(members: pl.Series) -> pl.Expr:
    return pl.col("member_id").is_in(members.unique().implode())


def _lines(centre: Centre, insurer: str, columns: Sequence[str], where: pl.Expr) -> pl.DataFrame:
    """Lines of the section that tells 加入者区分コード, file by file."""
    partition = centre.snapshot(PARTITION)
    sections = partition.table.definition.sections
    section = next(name for name, types in sections.items() if CLASS in types)
    parts = [pl.DataFrame(schema={name: sections[section][name] for name in columns})]
    for file in partition.files(**{"insurer": insurer, SECTION: section}):
        rows = partition.scan(file).filter(where).select(columns)
        parts.append(encrypted.collect(rows, path=partition.table.folder / file.path))
    return pl.concat(parts)


def _aged(centre: Centre, found: pl.DataFrame) -> pl.DataFrame:
    """With the days since each line's file came."""
    today = centre.clock().astimezone(JST).date()
    came = {
        number: _day(centre.ledger.reception(number).received_at)
        for number in found["reception"].unique().to_list()  # files, not lines
    }
    days = {number: (today - day).days for number, day in came.items()}
    return found.with_columns(days=pl.col("reception").replace_strict(days, return_dtype=pl.Int64))


def _day(moment: str) -> date:
    return datetime.fromisoformat(moment).astimezone(JST).date()
