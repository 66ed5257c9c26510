"""Corrections: files whose control record names the reception in which their lines were rejected.

Of such a file only persons count who were rejected there and were mended by no earlier correction;
a person is 保険者コード and レコード識別番号. Both are read from sealed originals and results, so a
correction can be taken as long as all that it goes back to is kept, and nothing is kept for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import polars as pl

from koukan.codecs.extract import whose
from koukan.codecs.gate import layout_of
from koukan.codecs.records import line_offsets
from koukan.engine import artefacts, originals
from koukan.engine.centre import Centre
from koukan.engine.problems import Problem, differing, problem
from koukan.engine.results import told_of
from koukan.engine.steps.erase import due
from koukan.errors import IntegrityError, SecretError
from koukan.ledger import Reception
from koukan.ledger.corrections import (
    Correction,
    accepted_of,
    correction,
    corrections,
    corrections_among,
    rejected_lines,
)
from koukan.rules.acknowledge import ACCEPTED, REJECTED
from koukan.rules.causes import results_in
from koukan.rules.register import NOBODY, UNCALLED, Ints, Lines

ORIGINAL = "original_reception_number"
NO_ORIGINAL = "F122"
PERSON = ("insurer", "record_number")
PEOPLE = pl.Schema({"insurer": pl.Int32, "record_number": pl.Int64, "lines": pl.UInt32})


class Called(NamedTuple):
    """Who is to be corrected by the files of a group."""

    uncalled: Ints  # lines of corrections, of all other persons
    people: Mapping[int, pl.DataFrame]  # reception -> PEOPLE, counted in lines of the root
    lost: tuple[int, ...]  # receptions whose original went while they waited


def correction_of(
    centre: Centre, reception: Reception, control: Mapping[str, str]
) -> Correction | None:
    """What a file that names an original mends; None where there is no such one.

    It must be an accepted file of the same sender and format, with rejected lines; and all that it
    goes back to must be kept.
    """
    number = int(control[ORIGINAL])
    before = correction(centre.ledger, number)
    found = Correction(reception.number, number, before.root if before else number, 0)
    kept = centre.ledger.receptions_of([found.original, found.root])
    good = bool(kept) and all(
        (item.sender, item.format, item.outcome, item.original_erased)
        == (reception.sender, reception.format, "accepted", False)
        for item in kept
    )
    return found if good and rejected_lines(centre.ledger, number) else None


def called(centre: Centre, receptions: Sequence[Reception], lines: Lines) -> Called:
    """Who is to be corrected by the files of a group, and which lines are of others."""
    known = corrections_among(centre.ledger, [reception.number for reception in receptions])
    uncalled, people, lost = [NOBODY], {}, []
    for position, reception in enumerate(receptions):
        if reception.number not in known:
            continue
        wanted = people_wanted(centre, known[reception.number])
        if wanted is None:
            lost.append(reception.number)
            continue
        people[reception.number] = wanted
        rows = np.flatnonzero(lines.reception == position)
        given = pl.DataFrame(
            {
                "row": rows,
                "insurer": lines.insurer[rows],
                "record_number": lines.record_number[rows],
            }
        )
        uncalled.append(given.join(wanted, on=PERSON, how="anti")["row"].to_numpy())
    return Called(np.sort(np.concatenate(uncalled)), people, tuple(lost))


def mended(called: Called, accepted: pl.DataFrame) -> dict[int, int]:
    """Rejected lines of the root that each correction mends, by reception.

    Args:
        accepted: reception, insurer, record_number of accepted lines.
    """
    return {
        number: int(
            people.join(accepted.filter(reception=number), on=PERSON, how="semi")["lines"].sum()
        )
        for number, people in called.people.items()
    }


def problems(centre: Centre) -> Iterator[Problem]:
    """Corrections that mended another number of lines than the ledger says.

    It is counted anew from sealed originals and results, as long as all that it takes are kept.
    """
    known = {item.reception: item for item in corrections(centre.ledger)}
    receptions = centre.ledger.receptions_of(list(known))
    for reception in receptions:
        found = known[reception.number]
        counted = 0
        if (reception.state, reception.outcome) == ("closed", "accepted"):
            try:
                again = mended_by(centre, reception, found)
            except (IntegrityError, SecretError) as error:
                artefacts.require_damage(error)
                continue  # told of the original or result itself
            if again is None:
                continue
            counted = again
        if counted != found.mended:
            where = {"reception": reception.number, "file": reception.file_name}
            yield problem("verify.mended", **where, known=differing(found.mended, counted))


def mended_by(centre: Centre, reception: Reception, found: Correction) -> int | None:
    """Lines of the root that an accepted correction mended; None when what tells it is gone."""
    before = (reception.group_number or 0) - 1
    wanted = people_wanted(centre, found, until=before)
    if wanted is None or gone(centre, reception):
        return None
    done = people_of(centre, reception, ACCEPTED)
    return int(wanted.join(done, on=PERSON, how="semi")["lines"].sum())


def people_wanted(
    centre: Centre, found: Correction, until: int | None = None
) -> pl.DataFrame | None:
    """PEOPLE whom a correction is to mend, counted in lines of the root; None when that is gone.

    Args:
        until: the last group whose corrections count; all do when absent.
    """
    earlier = [item.reception for item in accepted_of(centre.ledger, found.root, until)]
    numbers = sorted({found.root, found.original, *earlier})
    receptions = {item.number: item for item in centre.ledger.receptions_of(numbers)}
    if any(gone(centre, item) for item in receptions.values()):
        return None
    wanted = people_of(centre, receptions[found.root], REJECTED)
    if found.original != found.root:
        again = people_of(centre, receptions[found.original], REJECTED)
        wanted = wanted.join(again, on=PERSON, how="semi")
    for number in earlier:
        done = people_of(centre, receptions[number], ACCEPTED)
        wanted = wanted.join(done, on=PERSON, how="anti")
    return wanted


def gone(centre: Centre, reception: Reception) -> bool:
    """Whether an original is erased, or an erasure that was killed has destroyed its key."""
    if reception.original_erased:
        return True
    try:
        originals.open_original(centre, reception.original).close()
    except SecretError as error:
        if error.key != "keys.key_absent" or not due(centre, reception):
            raise
        return True
    return False


def people_of(centre: Centre, reception: Reception, fate: int) -> pl.DataFrame:
    """PEOPLE with lines of a 処理結果区分; without those who were not to be corrected."""
    is_line, is_other = pl.col("processing_result_class") == str(fate), pl.lit(UNCALLED)
    numbers = []
    for piece in told_of(centre, reception, results_in):
        told = piece.filter(is_line)
        others = told.filter(pl.col("processing_result_code").eq_missing(is_other))
        numbers.append(told.join(others, on="line_number", how="anti")["line_number"].to_numpy())
    rows = np.unique(np.concatenate([NOBODY, *numbers])) - 2
    layout = layout_of(centre.bundle_of(reception).form)
    parts = [pl.DataFrame(schema=PEOPLE).drop("lines")]
    with originals.open_original(centre, reception.original) as original:
        for (start, before), (stop, after) in pairwise(reception.cuts):
            first, last = np.searchsorted(rows, (before, after))
            if first == last:
                continue
            content = original.read(start, stop)
            starts = line_offsets(content)[rows[first:last] - before]
            insurers, records = whose(layout, content, starts)
            parts.append(
                pl.DataFrame({"insurer": insurers.astype(np.int32), "record_number": records})
            )
    return pl.concat(parts).group_by(PERSON).agg(lines=pl.len()).cast(PEOPLE)
