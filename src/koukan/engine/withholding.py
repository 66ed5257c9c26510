"""Withholding: bulk answers below a site's level wait for a person; immediate ones never wait.

Flow 3, between steps 6 and 7. What is withheld lies sealed beside its file's open questions, under
the same generation's key, and goes with it. Somebody asks for a decision on some of its lines
(`propose`), a person with the right *release* signs it, and the next package has the answer: as it
was, or as 照合不足 without anybody's items. Nobody here sees whose answer it is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from typing import NamedTuple

import polars as pl
from sqlalchemy import Connection

from koukan.engine import approvals, entrusted
from koukan.engine.approvals import Grant, Subject
from koukan.engine.centre import Centre
from koukan.engine.leases import lease
from koukan.errors import UsageError
from koukan.flows import identity
from koukan.keys.secret import canonical
from koukan.ledger import identity as asked
from koukan.ledger import withholding as ledger
from koukan.ledger.withholding import Decision, Verdict
from koukan.rules import levels
from koukan.rules.compare import LADDERS
from koukan.sites import Operation

OPERATION: Operation = "release"


class Decided(NamedTuple):
    """What persons decided of one file's withheld lines."""

    numbers: tuple[int, ...] = ()
    released: tuple[int, ...] = ()  # lines
    refused: tuple[int, ...] = ()
    grants: tuple[Grant, ...] = ()


def decided(centre: Centre) -> dict[int, Decided]:
    """By reception, the decisions that enough persons have signed; the others are asked for."""
    found: dict[int, Decided] = {}
    for item in ledger.open_decisions(centre.ledger):
        subject, hashes, parameters = _asked(centre, item)
        approvals.ask(centre, OPERATION, subject, hashes, parameters)
        grant = approvals.granted(centre, OPERATION, subject, hashes)
        if grant is None:
            continue
        before = found.get(item.reception, Decided())
        release = item.verdict == "release"
        found[item.reception] = Decided(
            (*before.numbers, item.number),
            (*before.released, *(item.lines if release else ())),
            (*before.refused, *(() if release else item.lines)),
            (*before.grants, grant),
        )
    return found


def _asked(centre: Centre, item: Decision) -> tuple[Subject, dict[str, str], dict[str, int | str]]:
    """What is signed: over verdict and lines, and what a person is shown of them."""
    text = {"reception": item.reception, "verdict": item.verdict, "lines": list(item.lines)}
    questions = asked.questions_of(centre.ledger, item.reception)
    parameters: dict[str, int | str] = {
        "verdict": item.verdict,
        "reception": item.reception,
        "insurer": "" if questions is None else questions.insurer,
        "rows": len(item.lines),
    }
    digest = hashlib.sha256(canonical(text)).hexdigest()
    return Subject("withheld", item.number), {"decision": digest}, parameters


class Sorted(NamedTuple):
    """Answers of one file as they go on."""

    going: pl.DataFrame  # into the package
    staying: pl.DataFrame  # withheld
    new: int  # of them, for the first time


def sorted_out(
    fresh: pl.DataFrame, before: pl.DataFrame, said: Decided, *, mode: str, below: str | None
) -> Sorted:
    """Which answers go now.

    Args:
        fresh: answered since the last package.
        before: withheld until now.
        below: the worst level that goes by itself; None for all.
    """
    if below is None and not before.height:
        return Sorted(fresh, before, 0)
    weak = levels.worse_than(below)
    if mode == identity.IMMEDIATE:
        going, new = levels.weakened(fresh, levels.too_weak_at_once(below)), fresh.clear()
    else:
        going, new = fresh.filter(~weak), fresh.filter(weak)
    line = pl.col("line_number")
    released = before.filter(line.is_in(said.released))
    refused = levels.weakened(before.filter(line.is_in(said.refused)), pl.lit(value=True))
    waiting = before.filter(~line.is_in([*said.released, *said.refused]))
    return Sorted(
        pl.concat([going, released, refused]).sort("line_number"),
        pl.concat([waiting, new]).sort("line_number"),
        new.height,
    )


# --- what an operator sees and asks for


def listed(centre: Centre, reception: int | None = None) -> pl.DataFrame:
    """Withheld answers without their items.

    Returns:
        reception, line_number, match_level, a `<item>_match` column for each item (null where the
        question does not give it), decision (the number of an open one, else null).

    Raises:
        UsageError: nothing is withheld of the reception.
    """
    counts = ledger.rows_of(centre.ledger)
    if reception is not None and reception not in counts:
        raise UsageError("withholding.nothing", reception=reception)
    wanted = sorted(counts) if reception is None else [reception]
    marks = [f"{item}_match" for item in dict.fromkeys(_items())]
    frames = []
    for number in wanted:
        frame = lines_of(centre, number)
        given = set(frame.columns)
        columns = [
            pl.col(name) if name in given else pl.lit(None, pl.String).alias(name) for name in marks
        ]
        by_line = {
            line: item.number
            for item in ledger.open_decisions(centre.ledger, number)
            for line in item.lines
        }
        line = pl.col("line_number")
        decision = line.replace_strict(by_line, default=None, return_dtype=pl.Int64)
        place = pl.lit(number).alias("reception")
        frames.append(frame.select(place, line, levels.LEVEL, *columns, decision.alias("decision")))
    return pl.concat(frames) if frames else pl.DataFrame()


def _items() -> Sequence[str]:
    return [item for ladders in LADDERS.values() for item in ladders]


def lines_of(centre: Centre, reception: int) -> pl.DataFrame:
    """What is withheld of a file, opened."""
    found = asked.questions_of(centre.ledger, reception)
    if found is None:
        raise UsageError("withholding.nothing", reception=reception)
    return entrusted.open_withheld(centre, reception, found.generation)


def propose(
    centre: Centre, reception: int, verdict: Verdict, lines: Collection[int] = ()
) -> tuple[int, int]:
    """Ask for a decision on withheld lines, all of the file's where none are named.

    An open decision that has any of these lines is dropped: this one takes its place.

    Returns:
        the decision's number, and the approval's that a person is to give.

    Raises:
        UsageError: nothing, or not such a line, is withheld of the file.
        LeaseHeld: a job is running.
    """
    with lease(centre.folder("locks"), centre.ledger, "jobs", centre.clock()):
        if reception not in ledger.rows_of(centre.ledger):
            raise UsageError("withholding.nothing", reception=reception)
        known = lines_of(centre, reception)["line_number"].to_list()
        strange = sorted(set(lines) - set(known))
        if strange:
            raise UsageError("withholding.no_line", reception=reception, line_number=strange[0])
        chosen = sorted(set(lines)) or known
        replaced = [
            item
            for item in ledger.open_decisions(centre.ledger, reception)
            if set(item.lines) & set(chosen)
        ]
        log = {"command": verdict, "reception": reception, "rows": len(chosen)}
        with centre.log.operation("decide_withheld", **log):
            with centre.ledger.begin() as transaction:
                drop(centre, transaction, replaced)
                number = ledger.decide(transaction, reception, verdict, chosen, centre.now())
            (made,) = (
                item
                for item in ledger.open_decisions(centre.ledger, reception)
                if item.number == number
            )
            subject, hashes, parameters = _asked(centre, made)
            asked_for = approvals.ask(centre, OPERATION, subject, hashes, parameters)
    return number, asked_for.number


def drop(centre: Centre, transaction: Connection, found: Sequence[Decision]) -> None:
    """These are not asked for any more."""
    ledger.close(transaction, [item.number for item in found], "dropped")
    for item in found:
        approvals.withdraw(centre, transaction, OPERATION, Subject("withheld", item.number))
