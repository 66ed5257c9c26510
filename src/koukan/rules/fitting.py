"""Remarks on what one person's lines of a file say together. Nothing is rejected for them.

The days of a line are two numbers beside its other ones: `begin` and `end`, the first day that is
no longer meant. They cost a million clean lines next to nothing; only persons whom a coarse look
leaves in doubt are looked at by the day.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

import numpy as np
import polars as pl

from koukan.formats.model import Format, Record
from koukan.rules.ages import LATE, ages
from koukan.rules.line_keys import NONE
from koukan.rules.register import Ints, Lines, Mask, Small

SPAN = pl.Schema({"begin": pl.Int32, "end": pl.Int32})
BORN = "birth_date"
SPELL = ("qualification_date", "disqualification_date")
VALID = ("valid_from_date", "valid_to_date")
RETURNED = "return_date"
ROOM = 100  # days: more than the leap days of all years that anybody lives in
OPEN = np.iinfo(np.int32).max
# Whom 後期高齢者医療 takes in, and who stays outside of it at any age.
UNION, EXEMPT = "elderly_union", "welfare"


class Days(NamedTuple):
    """By line."""

    begin: Small
    end: Small


def span_columns(record: Record, present: Collection[str]) -> list[pl.Expr]:
    """The days of a checked record's lines, as `SPAN`; `NONE` where there is none.

    Of 加入者基本情報 `begin` is the birth as it is written (YYYYMMDD, with 00). A certificate that
    was returned has no end that could be too late.

    Args:
        present: columns that have any value.
    """
    own = {item.name for item in record.own}
    none = pl.lit(NONE, pl.Int32)

    def days(name: str) -> pl.Expr:
        return pl.col(name).to_physical() if name in present else pl.lit(None, pl.Int32)

    begin, end = none, none
    if BORN in own and BORN in present:
        begin = pl.col(BORN).cast(pl.Int32, strict=False).fill_null(NONE)
    elif SPELL[0] in own:
        begin, end = (days(name).fill_null(NONE) for name in SPELL)
    elif VALID[0] in own:
        begin = days(VALID[0]).fill_null(NONE)
        kept = days(RETURNED).is_null()
        end = pl.when(kept).then(days(VALID[1]) + 1).fill_null(NONE)
    return [begin.alias("begin"), end.alias("end")]


def misfits(
    form: Format,
    lines: Lines,
    of_line: Small,
    days: Days,
    kinds: Mapping[int, str],
) -> pl.DataFrame:
    """Remarks, as if all lines were accepted; the caller leaves out those that are not.

    Args:
        of_line: person of every line.
        days: of every line, as `span_columns` gives them.
        kinds: 保険者コード -> kind, of insurers whose kind is known.

    Returns:
        row, field, code.
    """
    begin, end = days
    codes = {record.section: int(record.code) for record in form.records}
    valid = [
        codes[record.section]
        for record in form.records
        if any(item.name == VALID[0] for item in record.own)
    ]
    certificates = np.flatnonzero(np.isin(lines.type, valid))
    spells = np.flatnonzero(lines.type == codes["qualification"])
    elderly = certificates[lines.type[certificates] == codes["elderly_certificate"]]
    basic = np.flatnonzero(lines.type == codes["basic"])
    births = np.full(int(of_line.max(initial=NONE)) + 1, NONE, np.int64)
    births[of_line[basic]] = begin[basic]
    outside = _outside(of_line, days, spells, certificates)
    aged = _not_elderly(births[of_line[elderly]], begin[elderly], end[elderly])
    late = _elsewhere(births[of_line[spells]], begin[spells], lines.insurer[spells], kinds)
    return pl.concat(
        [
            _found(outside, VALID[0], "W413"),
            _found(elderly[aged], VALID[0], "W421"),
            _found(spells[late], SPELL[0], "W422"),
        ]
    )


def _found(rows: Ints, field: str, code: str) -> pl.DataFrame:
    found = pl.DataFrame({"row": rows.astype(np.int64)})
    return found.with_columns(field=pl.lit(field), code=pl.lit(code))


def _outside(of_line: Small, days: Days, spells: Ints, certificates: Ints) -> Ints:
    """Certificates whose days lie in no spell that the same person's lines tell."""
    # Nearly everybody has one spell: the last one of each person settles nearly all.
    last = np.full(int(of_line.max(initial=NONE)) + 1, NONE, np.int64)
    last[of_line[spells]] = spells
    own = last[of_line[certificates]]
    told = own != NONE
    certificates, own = certificates[told], own[told]
    left = certificates[~_within(days, certificates, own)]
    if not left.size:
        return left
    pairs = pl.DataFrame({"row": left, "person": of_line[left]}).join(
        pl.DataFrame({"spell": spells, "person": of_line[spells]}), on="person"
    )
    rows, theirs = pairs["row"].to_numpy(), pairs["spell"].to_numpy()
    return np.setdiff1d(left, rows[_within(days, rows, theirs)])


def _within(days: Days, certificates: Ints, spells: Ints) -> Mask:
    begin, end = days
    over = np.where(end[spells] == NONE, OPEN, end[spells])
    first, last = begin[certificates], end[certificates]
    inside: Mask = (begin[spells] <= first) & (first < over) & (last <= over)
    return inside


def _not_elderly(births: Ints, begin: Small, end: Small) -> Mask:
    """高齢受給者証 of somebody who is not yet, or no longer, the age for it."""
    known = ages(births)
    wrong = (begin < known.elderly) | (begin >= known.late) | (end > known.late)
    found: Mask = known.certain & wrong
    return found


def _elsewhere(births: Ints, begin: Small, insurers: Small, kinds: Mapping[int, str]) -> Mask:
    """Who is old enough for 後期高齢者医療 and somewhere else, or in it and not old enough."""
    unions = [code for code, kind in kinds.items() if kind == UNION]
    others = [code for code, kind in kinds.items() if kind not in (UNION, EXEMPT)]
    union, other = np.isin(insurers, unions), np.isin(insurers, others)
    # The year settles nearly all: shorter and longer than any, with room for those before 1970.
    years = births // 10_000 + LATE - 1970
    doubtful = union & (begin < (years + 1) * 366 + ROOM) | other & (begin >= years * 365 - ROOM)
    rows = np.flatnonzero(doubtful & (births != NONE))
    known = ages(births[rows])
    wrong = np.where(union[rows], begin[rows] < known.late, begin[rows] >= known.late)
    found = np.zeros(len(births), np.bool_)
    found[rows] = known.certain & wrong
    return found
