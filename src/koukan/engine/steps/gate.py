"""gate: every picked-up file passes the byte gate; who may say this, and by this door, is checked.

A refused file counts as a reception only, not in lines. A file whose bytes were received before
under another name is a duplicate of that reception and takes its counts from it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection

from koukan.codecs.gate import BLOCK, Gate, Verdict
from koukan.engine import mending, originals
from koukan.engine.centre import Centre
from koukan.engine.lots import lots
from koukan.exchange import AT_DOOR
from koukan.flows import identity, served
from koukan.ledger import Counts, Ledger, Reception
from koukan.ledger.corrections import put_correction
from koukan.rules.remarks import LATE, SHARE_HELD, SUMS, SUMS_HELD, is_late, with_remark
from koukan.sites import Job
from koukan.sites.schedule import day_of


class Item(NamedTuple):
    """Files to read: one, or a lot of small ones."""

    receptions: tuple[int, ...]


def read(centre: Centre, item: Item) -> list[Verdict]:
    """Task: the gate's verdict over each sealed original."""
    verdicts = []
    for reception in centre.ledger.receptions_of(item.receptions):
        with originals.open_original(centre, reception.original) as original:
            blocks = original.blocks(BLOCK)
            if original.length > BLOCK:
                blocks = originals.ahead(blocks)
            verdicts.append(Gate(centre.bundle_of(reception).form).read(blocks))
    return verdicts


def run(centre: Centre, job: Job) -> None:
    """Until no reception waits: gate what is not a repetition, then settle the repetitions."""
    while waiting := centre.ledger.receptions(state="picked_up", formats=job.formats):
        fresh = [reception for reception in waiting if first_of(centre, reception) is None]
        with centre.log.operation("gate", job=job.name) as operation:
            done = 0
            for lot in judged(centre, fresh):
                with centre.ledger.together():
                    for reception, verdict in lot:
                        settle(centre, reception, verdict)
                        done += 1
                        centre.observe("gated", step="gate", done=done, total=len(waiting))
            operation.note(files=len(fresh))
        gated = {reception.number for reception in fresh}
        for reception in waiting:
            if reception.number not in gated:
                repeat(centre, reception)


def judged(centre: Centre, fresh: Sequence[Reception]) -> Iterator[list[tuple[Reception, Verdict]]]:
    """Lots with their verdicts: first those that were gated while they were copied."""
    seen, unread = [], []
    for reception in fresh:
        verdict = centre.foreseen.take(reception)
        if verdict is None:
            unread.append(reception)
        else:
            seen.append((reception, verdict))
    yield from lots(seen, lambda _: 0)
    parts = list(lots(unread, lambda reception: reception.length))
    items = [Item(tuple(reception.number for reception in lot)) for lot in parts]
    for lot, verdicts in zip(parts, centre.workers.map(read, items), strict=True):
        yield list(zip(lot, verdicts, strict=True))


def first_of(centre: Centre, reception: Reception) -> Reception | None:
    """The earlier reception with the same bytes, unless it was refused: then this one is read."""
    if reception.outcome == "refused":
        return None
    like = {"sender": reception.sender, "format": reception.format, "sha256": reception.sha256}
    earlier = centre.ledger.earlier(reception, **like)
    return next((found for found in earlier if found.outcome != "refused"), None)


def repeat(centre: Centre, reception: Reception) -> None:
    """Settle a duplicate, once the reception that it repeats has its counts."""
    first = first_of(centre, reception)
    if first is None or first.state == "picked_up":
        return  # the first was refused, or is itself a repetition: the next round settles it
    counts = [
        Counts(item.insurer, item.first_line, item.received, duplicate=item.received)
        for item in centre.ledger.counts(first.number)
    ]
    with centre.ledger.begin() as transaction:
        Ledger.put_counts(transaction, reception.number, counts)
        close(
            centre, transaction, reception, "duplicate", "D101", rows=first.rows, first=first.number
        )
    centre.observe("gated", step="gate")


def settle(centre: Centre, reception: Reception, verdict: Verdict) -> None:
    """Write a verdict and what follows from it into the ledger."""
    policy = centre.policy_of(reception, verdict.insurers)
    holding = verdict.code in SUMS and policy.end_mismatch == "hold"
    if reception.code in AT_DOOR:  # refused for its name or marker: what is in it does not count
        code, line = reception.code, 0
    elif verdict.code is not None and not holding:
        code, line = verdict.code, verdict.line
    else:
        code, line = forbidden(centre, reception, verdict)
    correction = None
    if not code and verdict.control.get(mending.ORIGINAL):
        correction = mending.correction_of(centre, reception, verdict.control)
        if correction is None:
            code, line = mending.NO_ORIGINAL, 1
    with centre.ledger.begin() as transaction:
        if code:
            close(centre, transaction, reception, "refused", code, line=line)
            return
        counts = [
            Counts(insurer, verdict.first_lines[insurer], received=rows)
            for insurer, rows in sorted(verdict.insurers.items())
        ]
        Ledger.put_counts(transaction, reception.number, counts)
        if correction is not None:
            put_correction(transaction, correction)
        cuts = json.dumps([[cut.offset, cut.rows] for cut in verdict.cuts])
        came = day_of(datetime.fromisoformat(reception.received_at))
        late = is_late(verdict.control["creation_date"], came, policy.late_days or 0)
        Ledger.set(
            transaction,
            reception.number,
            state="gated",
            rows=verdict.rows,
            cuts=cuts,
            remarks=with_remark((), LATE if late else None),
        )
        if holding:
            hold(transaction, reception, SUMS_HELD, counts)


def forbidden(centre: Centre, reception: Reception, verdict: Verdict) -> tuple[str, int]:
    """The first thing that the sender may not do, and its line; an empty code when it may."""
    control = verdict.control
    match = centre.bundle_of(reception).form.file.expression.fullmatch(reception.file_name)
    by_name = (match["sender"], int(match["sequence"])) if match else None
    inside = (control["sender"], int(control["file_sequence"]))
    if not by_name == inside == (reception.sender, reception.sequence) or not reception.sequence:
        return "F119", 1
    sender = centre.site.sender(reception.sender)
    if not centre.bundle_of(reception).form.names_insurers:
        allowed = centre.catalogue.allowed
        code = allowed(reception.format, sender.system or "", reception.door, control)
        if code is None and reception.format in served.REQUESTS and not sender.package_key:
            code = served.NO_KEY
        return code or "", 0
    found = sorted((line, code) for code, line in verdict.first_lines.items())
    for line, insurer in found:
        if insurer not in sender.insurers:
            return "F201", line
    for line, insurer in found:
        kind = centre.site.insurer(insurer).kind
        code = centre.catalogue.allowed(reception.format, kind, reception.door, control)
        if code:
            return code, line
    if reception.format in identity.QUESTIONS:
        return unanswerable(centre, verdict)
    return "", 0


def unanswerable(centre: Centre, verdict: Verdict) -> tuple[str, int]:
    """What else stands against a file of questions: its results go to one insurer, sealed."""
    found = sorted((line, code) for code, line in verdict.first_lines.items())
    if len(found) > 1:
        return "F204", found[1][0]
    if found and not centre.site.insurer(found[0][1]).package_key:
        return "F205", 0
    if verdict.control["query_mode"] == identity.IMMEDIATE and verdict.rows > identity.AT_ONCE:
        return "F206", 0
    return "", 0


def hold(
    transaction: Connection, reception: Reception, code: str, counts: Iterable[Counts]
) -> None:
    """Keep a file for an operator, in no group, with all of its lines."""
    kept = [
        Counts(item.insurer, item.first_line, item.received, held=item.received) for item in counts
    ]
    Ledger.put_counts(transaction, reception.number, kept)
    values = {"state": "gated", "outcome": "held", "code": code, "group_number": None}
    Ledger.set(transaction, reception.number, **values)


def turn_away(
    centre: Centre,
    transaction: Connection,
    reception: Reception,
    code: str,
    counts: Iterable[Counts],
) -> None:
    """What a file comes to that has too many bad lines: it is refused, or held."""
    if code == SHARE_HELD:
        hold(transaction, reception, code, counts)
        return
    Ledger.put_counts(transaction, reception.number, [])
    close(centre, transaction, reception, "refused", code)


def close(
    centre: Centre,
    transaction: Connection,
    reception: Reception,
    outcome: str,
    code: str | None,
    **values: object,
) -> None:
    """Give a reception its final outcome; retention counts from now."""
    Ledger.set(
        transaction,
        reception.number,
        state="closed",
        outcome=outcome,
        code=code,
        closed_at=centre.now(),
        **values,
    )
