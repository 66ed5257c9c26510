"""Register: rules over the lines of a group of receptions, before anything is linked.

Lines are numpy columns of one length, in ascending (reception, line) order. Three rules look beyond
one line: the same key twice in a file (equal content makes the second a duplicate, other content
rejects all), the lines of one person (same レコード識別番号) agree and are complete (flow 1-(1)
step 1-1: the whole 基本4情報, 資格情報, 各種証情報), and they stand or fall together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl

from koukan.formats.model import Format
from koukan.rules.checks import FINDINGS
from koukan.rules.line_keys import AS_MEMBER, NONE

Ints = npt.NDArray[np.int64]
Small = npt.NDArray[np.integer[Any]]  # of the width that holds them: there are as many as lines
Mask = npt.NDArray[np.bool_]
Number = TypeVar("Number", bound=np.generic)
NOBODY = np.zeros(0, np.int64)  # no line
UNCALLED = "R307"  # in a correction, the line of a person who is not to be corrected
# 処理種別コード
NEW, REENTRY, CHANGE, LOSS, CORRECTION, CANCELLATION, WITHDRAWAL, PARTING = range(1, 9)


@dataclass(frozen=True)
class Lines:
    """All data lines of a group; `reception` is the position of the file in the group."""

    reception: Small
    record_number: Ints
    type: Small
    process: Small
    insurer: Small
    my_number: Ints
    member_id: Ints
    target: Ints
    key: Ints
    bad: Mask

    def __len__(self) -> int:
        return len(self.reception)

    def judged(self) -> Lines:
        """Without what nobody asks of lines once `judge` has looked at them."""
        return replace(
            self, process=NOBODY, my_number=NOBODY, member_id=NOBODY, target=NOBODY, key=NOBODY
        )

    def who(self, rows: Ints | Mask) -> Ints:
        """Whose lines these are in their file: the 個人番号, else one made of the record number."""
        number = self.my_number[rows]
        unknown = number == NONE
        if unknown.any():
            number = np.where(unknown, AS_MEMBER + self.record_number[rows], number)
        return number


@dataclass(frozen=True)
class Persons:
    """One entry for each (reception, レコード識別番号), in that order."""

    first: Ints  # index of the person's first line
    of_line: Small  # person of every line
    reception: Small
    process: Small
    insurer: Small
    my_number: Ints
    member_id: Ints
    target: Ints

    def part(self, start: int, stop: int) -> Persons:
        """Some consecutive persons; lines still count over the whole group."""
        columns = {
            field.name: getattr(self, field.name)[start:stop]
            for field in fields(self)
            if field.name != "of_line"
        }
        return Persons(of_line=self.of_line, **columns)


def duplicate_candidates(lines: Lines) -> Ints:
    """Lines whose key stands in their file at least twice (indices, ascending)."""
    usable = ~lines.bad & (lines.key != NONE)
    found = []
    for code in np.flatnonzero(np.bincount(lines.type[usable])):
        rows = np.flatnonzero(usable & (lines.type == code))
        number = lines.who(rows)
        # 40 bits of number and 24 of a mixed key: equal keys are equal here, the reverse is
        # settled below on the few that are left
        mixed = (number << 24) ^ (lines.key[rows] * 2_654_435_761)
        ordered = pl.Series(mixed).sort().to_numpy()  # numpy takes three times as long
        twice = ordered[1:][ordered[1:] == ordered[:-1]]
        if twice.size:
            alike = pl.Series(mixed).is_in(pl.Series(twice).implode())
            found.append(rows[alike.to_numpy()])
    return np.sort(np.concatenate(found)) if found else np.zeros(0, np.int64)


def duplicates(
    lines: Lines, rows: Ints, digests: list[npt.NDArray[np.uint64]]
) -> tuple[Ints, Ints, Ints]:
    """Among candidates: lines that repeat an earlier one, and lines that contradict another.

    Args:
        rows: the candidates, ascending.
        digests: hashes of each candidate's bytes behind its レコード識別番号.

    Returns:
        duplicates (indices, ascending), the line that each repeats, and contradicting lines.
    """
    frame = pl.DataFrame(
        {
            "row": rows,
            "reception": lines.reception[rows],
            "type": lines.type[rows],
            "insurer": lines.insurer[rows],
            "who": lines.who(rows),
            "key": lines.key[rows],
            **{f"digest_{number}": digest for number, digest in enumerate(digests)},
        }
    )
    identity = ["reception", "type", "insurer", "who", "key"]
    content = pl.struct(pl.col("^digest_.*$"))
    judged = frame.sort("row").with_columns(
        contents=content.n_unique().over(identity),
        first=pl.col("row").first().over(identity),
    )
    repeated = judged.filter((pl.col("contents") == 1) & (pl.col("row") != pl.col("first")))
    contradicting = judged.filter(pl.col("contents") > 1)["row"]
    return repeated["row"].to_numpy(), repeated["first"].to_numpy(), contradicting.to_numpy()


@dataclass(frozen=True)
class Grouping:
    """An order of the lines in which each person's stand together."""

    order: Ints | None  # None: they stand so already
    starts: Ints  # where in that order each person begins

    def line_up(self, values: npt.NDArray[Number]) -> npt.NDArray[Number]:
        return values if self.order is None else values[self.order]


def persons_of(lines: Lines) -> tuple[Persons, Grouping]:
    """Group the lines by person."""
    identity = lines.record_number
    if len(lines) and lines.reception.min() != lines.reception.max():
        identity = lines.reception.astype(np.int64) * 10**10 + identity
    order = None
    if not np.all(identity[1:] >= identity[:-1]):
        order = np.argsort(identity, kind="stable")
        identity = identity[order]
    begins = np.ones(len(lines), np.bool_)
    np.not_equal(identity[1:], identity[:-1], out=begins[1:])
    of_line = np.cumsum(begins, dtype=np.int32)  # there are as many as lines
    of_line -= 1
    starts = first = np.flatnonzero(begins)
    if order is not None:
        of_line[order] = of_line.copy()
        first = order[starts]
    persons = Persons(
        first=first,
        of_line=of_line,
        reception=lines.reception[first],
        process=lines.process[first],
        insurer=lines.insurer[first],
        my_number=lines.my_number[first],
        member_id=lines.member_id[first],
        target=lines.target[first],
    )
    return persons, Grouping(order, starts)


def _differs(values: Small, usable: Mask | None, of_line: Small, grouping: Grouping) -> Mask:
    """By person: whether its usable lines name different values.

    Args:
        usable: by line; None: all are.
        of_line: person of every line.
    """
    differs = np.zeros(len(grouping.starts), np.bool_)
    ordered = grouping.line_up(values)
    changes = ordered[1:] != ordered[:-1]
    changes[grouping.starts[1:] - 1] = False  # from one person to the next
    if not changes.any():
        return differs
    # Few persons are left to be looked at line by line.
    persons = grouping.line_up(of_line)
    doubtful = differs.copy()
    doubtful[persons[1:][changes]] = True
    known = doubtful[persons]
    if usable is not None:
        known &= grouping.line_up(usable)
    found, starts = np.unique(persons[known], return_index=True)
    chosen = ordered[known]
    differs[found] = np.minimum.reduceat(chosen, starts) < np.maximum.reduceat(chosen, starts)
    return differs


@dataclass(frozen=True)
class Judgement:
    """What the rules over lines say: findings by line, duplicates, and persons to link."""

    findings: pl.DataFrame  # of these rules: row (line of the group), field, code
    duplicate: Mask  # by line
    rejected: Mask  # by person
    repeating: Mask  # by person: all its lines repeat another's; there is nothing to register
    persons: Persons


def barred_types(form: Format, kinds: Mapping[int, str]) -> dict[int, int]:
    """保険者コード -> record types that an insurer of its kind may not register, a bit for each."""
    return {
        insurer: sum(
            1 << int(record.code)
            for record in form.records
            if record.kinds and kind not in record.kinds
        )
        for insurer, kind in kinds.items()
    }


def _barred_lines(lines: Lines, barred: Mapping[int, int]) -> Ints:
    """Lines of a record type that their insurer may not register."""
    every = 0
    for mask in barred.values():
        every |= mask
    kinds = [code for code in range(every.bit_length()) if every >> code & 1]
    rows = np.flatnonzero(np.isin(lines.type, kinds)) if kinds else np.zeros(0, np.int64)
    if not rows.size:
        return rows
    insurers = np.array(sorted(barred), np.int64)
    masks = np.array([barred[int(insurer)] for insurer in insurers], np.int64)
    place = np.minimum(np.searchsorted(insurers, lines.insurer[rows]), len(insurers) - 1)
    known = insurers[place] == lines.insurer[rows]
    barred_here: Mask = known & (masks[place] >> lines.type[rows] & 1 == 1)
    return np.asarray(rows[barred_here], np.int64)


def judge(
    form: Format,
    lines: Lines,
    repeated: Ints,
    originals: Ints,
    contradicting: Ints,
    *,
    barred: Mapping[int, int] = MappingProxyType({}),
    uncalled: Ints = NOBODY,
    grouped: tuple[Persons, Grouping] | None = None,
) -> Judgement:
    """Apply the rules over lines.

    Args:
        repeated, originals, contradicting: as `duplicates` gives them.
        barred: as `barred_types` gives it; insurers that are not in it may register everything.
        uncalled: lines of corrections, of persons who are not to be corrected.
        grouped: what `persons_of` gives, where it is known.
    """
    persons, grouping = grouped or persons_of(lines)
    foreign = _barred_lines(lines, barred)
    parts = [
        _findings(contradicting, "my_number", "R301"),
        _findings(foreign, "record_type_code", "R222"),
        _findings(uncalled, "record_number", UNCALLED),
    ]
    # A line with a finding of its own may hold anything: it makes nobody a stranger.
    usable = ~lines.bad
    strangers = _differs(lines.insurer, None, persons.of_line, grouping)
    for values in (lines.my_number, lines.member_id, lines.target):
        strangers |= _differs(values, usable, persons.of_line, grouping)
    mixed = _differs(lines.process, usable, persons.of_line, grouping)
    parts.append(_findings(np.flatnonzero(strangers[persons.of_line]), "record_number", "R303"))
    parts.append(_findings(np.flatnonzero(mixed[persons.of_line]), "process_type_code", "R305"))
    bits = np.zeros(100, np.uint16)  # by record type, of those that everybody has
    for place, record in enumerate(form.required):
        bits[int(record.code)] = 1 << place
    kinds = grouping.line_up(bits[lines.type])
    missing = np.bitwise_or.reduceat(kinds, grouping.starts) != np.bitwise_or.reduce(bits)
    parts.append(_findings(persons.first[missing], "record_type_code", "R304"))
    rejected = strangers | mixed | missing
    rejected[persons.of_line[np.flatnonzero(lines.bad)]] = True
    rejected[persons.of_line[contradicting]] = True
    rejected[persons.of_line[foreign]] = True
    rejected[persons.of_line[uncalled]] = True
    shared = persons.of_line[repeated] != persons.of_line[originals]
    rejected |= _fallen_together(lines, persons, rejected, repeated[shared], originals[shared])
    duplicate = np.zeros(len(lines), np.bool_)
    # A line that repeats one of a rejected person repeats nothing that is registered.
    duplicate[repeated[~(shared & rejected[persons.of_line[repeated]])]] = True
    repeating = ~rejected
    repeating &= np.logical_and.reduceat(grouping.line_up(duplicate), grouping.starts)
    return Judgement(pl.concat(parts), duplicate, rejected, repeating, persons)


def _fallen_together(
    lines: Lines, persons: Persons, rejected: Mask, repeated: Ints, originals: Ints
) -> Mask:
    """Persons under several レコード識別番号 that repeat each other's lines: all fall with one.

    Else the second would be registered without the lines that only the first one gave.
    """
    fallen = np.zeros(len(rejected), np.bool_)
    rows = np.concatenate((repeated, originals))
    if len(rows):
        involved = pl.DataFrame(
            {
                "person": persons.of_line[rows],
                "reception": lines.reception[rows],
                "insurer": lines.insurer[rows],
                "who": lines.who(rows),
                "rejected": rejected[persons.of_line[rows]],
            }
        )
        together = pl.col("rejected").any().over("reception", "insurer", "who")
        fallen[involved.filter(together)["person"].to_numpy()] = True
    return fallen


def _findings(rows: Ints, field: str, code: str) -> pl.DataFrame:
    return pl.DataFrame({"row": rows.astype(np.int64)}).with_columns(
        field=pl.lit(field), code=pl.lit(code)
    )


def companions(
    judgement: Judgement, findings: pl.DataFrame, rejected: Mask, pending: Mask | None = None
) -> pl.DataFrame:
    """All findings, with code R302 for lines that fall only because another line of the person did.

    Args:
        findings: everything found so far.
        rejected: by person, final.
        pending: lines whose own findings are still being worked out.
    """
    fallen = rejected[judgement.persons.of_line] & ~judgement.duplicate
    rejecting = findings.filter(pl.col("code").str.starts_with("R"))["row"].unique().to_numpy()
    fallen[rejecting] = False
    if pending is not None:
        fallen &= ~pending
    extra = _findings(np.flatnonzero(fallen), "record_number", "R302")
    return pl.concat([findings, extra]).select(FINDINGS.names()).sort("row", "field", "code")
