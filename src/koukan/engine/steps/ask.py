"""ask: accepted questions get their 要求レコード番号 and wait, sealed, for a request.

Flow 3-(1) to 3-(4), step 1: each file of questions is stored under a key of its own, and its sender
is told line by line what was taken. Killed before the ledger knows, the group starts again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import polars as pl

from koukan.engine import entrusted, originals, singly
from koukan.engine.centre import Centre
from koukan.engine.groups import Chunk, receptions_of
from koukan.engine.rendering import Rendered, Rendering, chunks_of, render, renderings
from koukan.engine.steps.link import Outcome
from koukan.flows import identity
from koukan.ledger import Group
from koukan.ledger import identity as asked
from koukan.rules.acknowledge import ACCEPTED

FIRST = 1  # generation


class Storing(NamedTuple):
    """One file of questions to be sealed: its lines stand in these chunks."""

    reception: int
    kind: str
    start: int  # counter of its first data line
    chunks: tuple[Chunk, ...]


class Stored(NamedTuple):
    reception: int
    rows: int


def work(centre: Centre, item: Storing | Rendering) -> Sequence[Stored | Rendered]:
    """Task: seal one file's questions, or results."""
    return render(centre, item) if isinstance(item, Rendering) else [store(centre, item)]


def store(centre: Centre, item: Storing) -> Stored:
    """Seal the accepted questions of one file, in line order."""
    lines = singly.typed_lines(centre, item.reception, item.chunks, ACCEPTED)
    if not lines.height:
        return Stored(item.reception, 0)
    # Line 2 is the first of the data; every line of the file has a counter, taken or not.
    counters = (lines["line_number"] - 2 + item.start).to_numpy()
    numbers = pl.Series("request_record_number", centre.request_issuer.issue(counters))
    given = set(lines.columns)
    items = [
        pl.col(name) if name in given else pl.lit(None, pl.String).alias(name)
        for name in identity.SEARCH_ITEMS[item.kind]
    ]
    position = pl.int_range(pl.len(), dtype=pl.Int64).alias("position")
    frame = lines.select(numbers, "line_number", "record_number", position, *items)
    entrusted.seal_questions(centre, item.reception, FIRST, frame)
    return Stored(item.reception, frame.height)


def run(centre: Centre, group: Group, chunks: list[Chunk], pending: Iterator[pl.DataFrame]) -> None:
    """Store the questions of a group and write their results; one ledger transaction ends it."""
    centre.observe("entered", step="ask")
    receptions = receptions_of(centre, group)
    with centre.log.operation("ask", group=group.number) as operation:
        outcome = singly.concluded(centre, group, chunks, pending)
        answered = [item for item in receptions if item.number not in outcome.refused]
        results = renderings(answered, chunks)
        starts, holding = dict(group.members), chunks_of(chunks)
        kind = identity.QUESTIONS[group.format]
        storing = [
            Storing(item.number, kind, starts[item.number], holding.get(item.number, ()))
            for item in answered
        ]
        made: list[Stored | Rendered] = []
        total = len(results) + len(storing)
        items: list[Storing | Rendering] = [*storing, *results]
        for done, found in enumerate(centre.workers.map(work, items), 1):
            made += found
            centre.observe("stored", step="ask", done=done, total=total)
        note(centre, group, outcome, made)
        operation.note(asked=sum(item.rows for item in made if isinstance(item, Stored)))
    centre.observe("asked", step="ask")


def note(centre: Centre, group: Group, outcome: Outcome, made: list[Stored | Rendered]) -> None:
    """One transaction: counts, results, and under which numbers the questions wait."""
    rows = {item.reception: item.rows for item in made if isinstance(item, Stored)}
    rendered = [item for item in made if isinstance(item, Rendered)]
    starts = dict(group.members)
    modes, insurers = {}, {}
    for reception in receptions_of(centre, group):
        modes[reception.number] = originals.control_of(centre, reception)["query_mode"]
        insurers[reception.number] = [
            item.insurer for item in centre.ledger.counts(reception.number)
        ]
    with centre.ledger.begin() as transaction:
        for reception in singly.conclude(centre, transaction, group, outcome, rendered):
            number, count = reception.number, rows[reception.number]
            if count:
                (insurer,) = insurers[number]  # the gate let no second one through
                values = {
                    "reception": number,
                    "insurer": insurer,
                    "kind": identity.QUESTIONS[group.format],
                    "mode": modes[number],
                    "start": starts[number],
                    "rows": reception.rows,
                    "asked": count,
                    "generation": FIRST,
                    "open": count,
                    "asked_at": centre.now(),
                    "state": "open",
                }
                asked.put_questions(transaction, values)
