"""take_in: the 処理結果電文 of オンライン資格確認等システム, held against the push that it answers.

Flow 1-(2). Of a push nothing else comes back. Number and hash name the push, レコード識別番号 the
person in it; what is said first of a person holds. What was answered is sealed beside the push's
roll under the reception's number; the ledger then names that number, so that a run that was killed
takes the file in again from the same beginning.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

import numpy as np
import polars as pl

from koukan.codecs.gate import NOBODY
from koukan.engine import originals, rolls
from koukan.engine.centre import Centre
from koukan.engine.groups import Chunk, receptions_of, stage_of
from koukan.engine.steps.gate import close
from koukan.engine.steps.link import gather
from koukan.engine.steps.validate import ROW
from koukan.flows import online
from koukan.ledger import Counts, Group, Ledger, Reception
from koukan.ledger import online as pushes
from koukan.ledger.online import Answer, Push
from koukan.reports.online import allowed_until
from koukan.rules.checks import FINDINGS
from koukan.rules.register import Ints
from koukan.rules.responses import (
    ACCEPTED,
    DUPLICATE,
    HELD,
    UNANSWERED,
    Judged,
    Results,
    counted,
    judge,
    state_of,
)
from koukan.rules.shares import beyond


class Came(NamedTuple):
    """A file's lines: which persons, what of each, and which rows break a rule of the format."""

    numbers: Ints
    said: Results
    bad: int
    codes: Counter[str]
    refusal: str | None


class Taken(NamedTuple):
    """What an answer comes to, for the ledger."""

    push: Push
    judged: Judged
    came: Came
    refusal: str  # code by which all of the push was refused
    open_refused: int


def run(centre: Centre, group: Group, chunks: list[Chunk], pending: Iterator[pl.DataFrame]) -> None:
    """Take in one answer, or refuse it whole."""
    centre.observe("entered", step="take_in")
    (reception,) = receptions_of(centre, group)
    with centre.log.operation("take_in", group=group.number, reception=reception.number) as told:
        control = originals.control_of(centre, reception)
        came = read(centre, group, reception, chunks, pending)
        push = pushes.push_of(centre.ledger, int(control["push_sequence"]))
        code = came.refusal or unfit(reception, control, push)
        if code or push is None:
            with centre.ledger.begin() as transaction:
                Ledger.put_findings(transaction, reception.number, found_in(came.codes))
                Ledger.put_counts(transaction, reception.number, [])
                close(centre, transaction, reception, "refused", code)
                Ledger.set_group(transaction, group.number, "committed")
        else:
            taken = take(centre, reception, push, came, control)
            centre.observe("answers sealed", step="take_in")
            note(centre, group, reception, taken)
            told.note(answered=taken.judged.accepted + taken.judged.refused)
    centre.observe("answers taken", step="take_in")
    rolls.tidy(centre)


def read(
    centre: Centre,
    group: Group,
    reception: Reception,
    chunks: list[Chunk],
    pending: Iterator[pl.DataFrame],
) -> Came:
    """All good lines, and the code that refuses the file for its bad ones, if any does."""
    if not chunks:
        nothing = np.zeros(0, np.int64), np.zeros(0, np.int16)
        return Came(*nothing, 0, Counter(), None)
    content = gather(centre, group, [reception], chunks)
    lines = content.lines
    said = np.full(len(lines), UNANSWERED, np.int16)
    for chunk in chunks:
        results_of(centre, chunk, said)
    good, bad = ~lines.bad, int(lines.bad.sum())
    found = pl.concat([FINDINGS.to_frame(), *pending])
    by_code = dict(found.group_by("code").agg(rows=pl.col("row").n_unique()).iter_rows())
    form = centre.bundle_of(reception).form
    refusal = beyond(form, len(lines), int(content.undecodable.sum()), bad)
    return Came(lines.record_number[good], said[good], bad, Counter(by_code), refusal)


def results_of(centre: Centre, chunk: Chunk, said: Results) -> None:
    """Fill in what a chunk's lines say; a refused line without a code is a bad one."""
    stage = stage_of(centre, chunk.group, chunk.attempt)
    for section in (online.TAKEN, online.REFUSED):
        name = f"{chunk.number:05d}.{section}"
        if not stage.holds(name):
            continue
        frame = stage.get(name)
        rows = frame[ROW].to_numpy()
        if section == online.TAKEN:
            said[rows] = ACCEPTED
        elif online.CODE in frame.columns:
            codes = frame[online.CODE].cast(pl.Int16, strict=False)
            said[rows] = codes.fill_null(UNANSWERED).to_numpy()


def unfit(reception: Reception, control: dict[str, str], push: Push | None) -> str | None:
    """Why an answer answers no push of ours."""
    there = push is not None and push.state != pushes.UNDER_WAY
    if push is None or not there or push.partner != reception.sender:
        return online.NO_PUSH
    if control["push_sha512"].lower() != push.file_sha512:
        return online.OTHER_BYTES
    if control["push_result_class"] == online.REFUSED_WHOLE:
        contradicts = reception.rows or not control[online.CODE]
        other = push.answer and push.refusal != control[online.CODE]
        return online.CONTRADICTION if contradicts or other else None
    if control["push_result_class"] != online.PROCESSED or control[online.CODE]:
        return online.CONTRADICTION
    if int(control["person_count"] or -1) != push.persons:
        return online.OTHER_COUNT
    return None


def take(
    centre: Centre, reception: Reception, push: Push, came: Came, control: dict[str, str]
) -> Taken:
    """Work out what is new, and seal it."""
    before = rolls.answers(centre, push)
    refusal = ""
    numbers, said = came.numbers, came.said
    if control["push_result_class"] == online.REFUSED_WHOLE:
        refusal = control[online.CODE]
        numbers = np.arange(1, push.persons + 1, dtype=np.int64)
        said = np.full(push.persons, int(refusal), np.int16)
    judged = judge(numbers, said, before)
    if refusal:  # it has no lines, so none repeats any
        judged = judged._replace(codes={})
    rolls.put_answers(centre, push, reception.number, judged.results)
    still_open = len(rolls.open_refusals(centre, push, judged.results)[0])
    return Taken(push, judged, came, refusal, still_open)


def note(centre: Centre, group: Group, reception: Reception, taken: Taken) -> None:
    """One transaction: counts, what is known of the push, and the answer itself."""
    push, judged, came = taken.push, taken.judged, taken.came
    codes = came.codes + Counter(judged.codes)
    duplicate = sum(judged.codes.get(code, 0) for code in DUPLICATE)
    held = sum(judged.codes.get(code, 0) for code in HELD)
    accepted = reception.rows - came.bad - duplicate - held
    counts = Counts(
        NOBODY,
        first_line=2,
        received=reception.rows,
        accepted=accepted,
        rejected=came.bad,
        duplicate=duplicate,
        held=held,
    )
    now = centre.now()
    new = judged.accepted + judged.refused > 0 or push.answered_at is None
    accepted, refused = counted(judged.results)
    values: dict[str, object] = {
        "accepted": accepted,
        "refused": refused,
        "state": state_of(push.persons, accepted, refused),
        "answer": reception.number,
        "refusal": taken.refusal or push.refusal,
        "open_refused": taken.open_refused,
    }
    if new:
        values["answered_at"] = now
    late = datetime.fromisoformat(now) > allowed_until(centre, push)
    answer = Answer(
        *(reception.number, push.sequence, judged.accepted, judged.refused), duplicate, held, late
    )
    with centre.ledger.begin() as transaction:
        Ledger.put_findings(transaction, reception.number, found_in(codes))
        Ledger.put_counts(transaction, reception.number, [counts] if reception.rows else [])
        close(centre, transaction, reception, "accepted", None)
        pushes.change(transaction, push.sequence, **values)
        pushes.put_answer(transaction, answer)
        Ledger.set_group(transaction, group.number, "committed")


def found_in(codes: Counter[str]) -> list[tuple[str, str, int]]:
    return [(NOBODY, code, rows) for code, rows in sorted(codes.items()) if rows]
