"""split: an answer file's rows go to the files of questions that they answer, and it vanishes.

Flow 3, steps 5 and 6. What is in a bulk answer is stored only after the approval *store* over its
SHA-256 (`koukan.engine.groups` lets no other in). Rows go by 要求レコード番号, are compared with
what was asked, and sealed under each file's own key; then the ledger knows; then the answer file
and the request that it answers are destroyed, in this very step.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import polars as pl

from koukan.codecs.gate import NOBODY
from koukan.engine import approvals, entrusted, originals, storing, vanishing
from koukan.engine.approvals import Grant
from koukan.engine.centre import Centre
from koukan.engine.groups import Chunk, receptions_of, stage_of
from koukan.engine.steps.gate import close
from koukan.engine.steps.link import gather
from koukan.engine.steps.validate import ROW
from koukan.flows import identity
from koukan.ledger import Counts, Group, Ledger, Reception
from koukan.ledger import identity as asked
from koukan.rules import reconcile
from koukan.rules.checks import FINDINGS
from koukan.rules.register import Ints
from koukan.rules.shares import beyond

LOT = 50_000  # questions that are looked at together, by worker
SECTION = "answer"
STRANGER, CLOSED, CONTRADICTING, OTHER_NUMBER = HELD = ("H201", "H202", "H203", "H204")
REPEATED, NOT_ANSWERABLE = "D301", "R503"
REJECTED_ROWS = "rows"  # rows that break a rule, each counted once; the codes count them by rule
UNANSWERABLE = "9"  # 照会応答区分


class File(NamedTuple):
    """A file of questions, as far as a task needs it."""

    reception: int
    kind: str
    generation: int
    open: int
    start: int
    rows: int
    answers: tuple[int, ...]  # earlier answer files whose shares no package has
    parts: tuple[asked.Part, ...]  # in requests that are not destroyed yet
    unsent: tuple[tuple[int, int], ...]  # first and number of questions that nobody was asked


class Span(NamedTuple):
    """Counters `start` to `stop` - 1 of 要求レコード番号 belong to a lot."""

    start: int
    stop: int
    lot: int


class Dealing(NamedTuple):
    """Rows of a chunk to be dealt out to lots of questions; `spans` ascend."""

    chunk: Chunk
    spans: tuple[Span, ...]


class Lot(NamedTuple):
    """Files of questions that are reconciled together."""

    number: int
    answer: int
    kind: str
    group: int
    attempt: int
    chunks: tuple[int, ...]
    files: tuple[File, ...]


class Taken(NamedTuple):
    """What a lot came to.

    Args:
        codes: code -> rows that were not taken.
        shares: reception, answered, ambiguous of each file of questions that got an answer.
        requests: those in which a question stands that was answered.
    """

    rows: int
    codes: dict[str, int]
    shares: tuple[tuple[int, int, int], ...]
    requests: frozenset[int] = frozenset()


class Came(NamedTuple):
    """What an answer file came to; `codes` counts rows."""

    reception: Reception
    refusal: str | None
    codes: Counter[str]
    taken: tuple[Taken, ...]
    grant: Grant | None


def run(centre: Centre, group: Group, chunks: list[Chunk], pending: Iterator[pl.DataFrame]) -> None:
    """Take in one answer file, if it still may be stored."""
    centre.observe("entered", step="split")
    (reception,) = receptions_of(centre, group)
    permission = storing.permission(centre, reception)
    if not permission.given:
        return  # the approval has gone since the group was formed: it waits for another one
    with centre.log.operation("split", group=group.number, reception=reception.number) as operation:
        codes, refusal = rejected(centre, group, reception, chunks, pending)
        taken: list[Taken] = []
        if refusal is None and chunks:
            lots = planned(centre, group, reception, chunks)
            taken = dealt_and_taken(centre, chunks, lots, codes)
        note(centre, group, Came(reception, refusal, codes, tuple(taken), permission.grant))
        operation.note(answered=sum(item.rows for item in taken))
    centre.observe("answers taken", step="split")
    vanishing.finish(centre)


def rejected(
    centre: Centre,
    group: Group,
    reception: Reception,
    chunks: list[Chunk],
    pending: Iterator[pl.DataFrame],
) -> tuple[Counter[str], str | None]:
    """Rows that break a rule, by code, and the code that refuses the whole file, if any does.

    The rows that are left are named in a stage of each chunk.
    """
    if not chunks:
        return Counter(), None
    content = gather(centre, group, [reception], chunks)
    stage = stage_of(centre, group.number, group.attempt)
    for chunk in chunks:
        good = np.flatnonzero(~content.lines.bad[chunk.row : chunk.row + chunk.rows])
        stage.put(f"{chunk.number:05d}.good", pl.DataFrame({ROW: good + chunk.row}))
    bad = int(content.lines.bad.sum())
    found = pl.concat([FINDINGS.to_frame(), *pending])
    by_code = found.group_by("code").agg(rows=pl.col("row").n_unique()).iter_rows()
    form = centre.bundle_of(reception).form
    refusal = beyond(form, len(content.lines), int(content.undecodable.sum()), bad)
    return Counter({REJECTED_ROWS: bad, **dict(by_code)}), refusal


def planned(
    centre: Centre, group: Group, reception: Reception, chunks: Sequence[Chunk]
) -> list[Lot]:
    """All files of the answer's kind and mode, ascending, in lots of some 50,000 questions."""
    control = originals.control_of(centre, reception)
    kinds = {code: kind for kind, code in identity.TYPES.items()}
    kind, mode = kinds.get(control["query_type"]), control["query_mode"]
    earlier: dict[int, list[int]] = {}
    for share in asked.shares(centre.ledger, packaged=False):
        earlier.setdefault(share.reception, []).append(share.answer)
    parts: dict[int, list[asked.Part]] = {}
    for part in asked.parts_under_way(centre.ledger):
        parts.setdefault(part.reception, []).append(part)
    unsent: dict[int, list[tuple[int, int]]] = {}
    for item, first, rows in asked.unsent(centre.ledger):
        unsent.setdefault(item.reception, []).append((first, rows))
    lots: list[list[File]] = []
    room = 0
    for item in sorted(asked.questions(centre.ledger), key=lambda item: item.start):
        if (item.kind, item.mode) != (kind, mode):
            continue
        if room < item.rows or not lots:
            lots.append([])
            room = LOT
        room -= item.rows
        number = item.reception
        file = File(
            *(number, item.kind, item.generation, item.open, item.start, item.rows),
            answers=tuple(earlier.get(number, ())),
            parts=tuple(parts.get(number, ())),
            unsent=tuple(unsent.get(number, ())),
        )
        lots[-1].append(file)
    numbers = tuple(chunk.number for chunk in chunks)
    where = (group.number, group.attempt, numbers)
    return [
        Lot(number, reception.number, str(kind), *where, tuple(files))
        for number, files in enumerate(lots)
    ]


def dealt_and_taken(
    centre: Centre, chunks: Sequence[Chunk], lots: Sequence[Lot], codes: Counter[str]
) -> list[Taken]:
    """Deal the rows of all chunks out to the lots, then reconcile lot by lot."""
    spans = [
        Span(file.start, file.start + file.rows, lot.number) for lot in lots for file in lot.files
    ]
    dealing = [Dealing(chunk, tuple(spans)) for chunk in chunks]
    for found in centre.workers.map(deal, dealing):
        codes.update(found)
    taken = []
    for done, item in enumerate(centre.workers.map(take, lots), 1):
        codes.update(item.codes)
        taken.append(item)
        centre.observe("reconciled", step="split", done=done, total=len(lots))
    return taken


def deal(centre: Centre, item: Dealing) -> dict[str, int]:
    """Task: leave a chunk's good rows as a stage for each lot; code -> rows for no lot."""
    chunk = item.chunk
    stage = stage_of(centre, chunk.group, chunk.attempt)
    name = f"{chunk.number:05d}.{SECTION}"
    if not stage.holds(name):
        return {}
    good = stage.get(f"{chunk.number:05d}.good")[ROW]
    rows = stage.get(name).sort(ROW)[good - chunk.row]
    given = set(rows.columns)
    if reconcile.NUMBER not in given:
        return {}  # no row of the chunk has a number, so none is good
    rows = rows.select(
        pl.col(reconcile.NUMBER).cast(pl.Int64),
        *(
            pl.col(column) if column in given else pl.lit(None, pl.String).alias(column)
            for column in reconcile.ANSWER
        ),
    )
    unanswerable = rows["answer_class"] == UNANSWERABLE
    rows = rows.filter(~unanswerable)
    place = place_of(centre, rows, item.spans)
    lots = np.array([span.lot for span in item.spans] + [-1], np.int64)[place]
    for lot in np.unique(lots[lots >= 0]).tolist():
        own = rows.filter(pl.Series(lots == lot))
        stage.put(f"{chunk.number:05d}.lot{lot:05d}", own)
    return {NOT_ANSWERABLE: int(unanswerable.sum()), STRANGER: int((lots < 0).sum())}


def place_of(centre: Centre, rows: pl.DataFrame, spans: Sequence[Span]) -> Ints:
    """By row, which span its 要求レコード番号 lies in; -1 where in none."""
    counters = centre.request_issuer.counters(rows[reconcile.NUMBER].to_numpy())
    starts = np.array([span.start for span in spans], np.int64)
    stops = np.array([0, *(span.stop for span in spans)], np.int64)
    place = np.searchsorted(starts, counters, side="right") - 1
    return np.where(counters < stops[place + 1], place, -1)


def take(centre: Centre, lot: Lot) -> Taken:
    """Task: reconcile the answers to a lot of files of questions, and seal each one's share.

    Who answers what nobody was asked yet is a stranger.
    """
    stage = stage_of(centre, lot.group, lot.attempt)
    names = [f"{chunk:05d}.lot{lot.number:05d}" for chunk in lot.chunks]
    parts = [stage.get(name) for name in names if stage.holds(name)]
    if not parts:
        return Taken(0, {}, ())
    answers = pl.concat(parts)
    spans = [Span(file.start, file.start + file.rows, 0) for file in lot.files]
    wanted = np.unique(place_of(centre, answers, spans))
    questions = pl.concat(
        [
            nothing_open(lot.kind),
            *(still_open(centre, lot.files[place]) for place in wanted.tolist()),
        ]
    )
    never = questions.filter(~pl.col("sent"))
    questions = questions.filter("sent").drop("sent")
    numbers = answers.select(reconcile.NUMBER)  # all lie in somebody's span
    numbers = numbers.join(never, on=reconcile.NUMBER, how="anti")
    kind, table = identity.kind_of(lot.kind), centre.catalogue.variants
    found = reconcile.reconcile(kind, questions, numbers, answers, table)
    place = place_of(centre, found.answered, spans)
    order = np.argsort(place, kind="stable")
    answered = found.answered[order]
    bounds = np.flatnonzero(np.diff(place[order], prepend=-1)).tolist()
    positions = (
        answered.select(reconcile.NUMBER)
        .join(questions, on=reconcile.NUMBER, how="left", maintain_order="left")["position"]
        .to_numpy()
    )
    shares, requests = [], set[int]()
    for start, stop in pairwise([*bounds, answered.height]):  # by file
        file, own = lot.files[int(place[order][start])], answered[start:stop]
        entrusted.seal_share(centre, file.reception, file.generation, lot.answer, own)
        counted = reconcile.states(own)
        shares.append((file.reception, counted["answered"], counted["ambiguous"]))
        requests |= requests_of(file, positions[start:stop])
    counts = found.counts
    codes = {
        REPEATED: counts.duplicate,
        STRANGER: counts.stranger,
        CLOSED: counts.closed,
        CONTRADICTING: counts.contradicting,
        OTHER_NUMBER: counts.other_number,
    }
    return Taken(counts.taken, codes, tuple(shares), frozenset(requests))


def requests_of(file: File, positions: Ints) -> set[int]:
    """Requests in which any of these questions of a file stands."""
    return {
        part.request
        for part in file.parts
        if ((positions >= part.first) & (positions < part.first + part.rows)).any()
    }


def still_open(centre: Centre, file: File) -> pl.DataFrame:
    """The questions of a file that no answer file before has answered, and which were `sent`."""
    if not file.open:
        return nothing_open(file.kind)
    frame = entrusted.open_questions(centre, file.reception, file.generation)
    for answer in file.answers:
        share = entrusted.open_share(centre, file.reception, file.generation, answer)
        frame = frame.join(share, on=reconcile.NUMBER, how="anti", maintain_order="left")
    never = pl.lit(value=False)
    for first, rows in file.unsent:
        never |= pl.col("position").is_between(first, first + rows - 1)
    return frame.with_columns(sent=~never)


def nothing_open(kind: str) -> pl.DataFrame:
    return pl.DataFrame(schema=identity.question_schema(kind) | {"sent": pl.Boolean})


def note(centre: Centre, group: Group, came: Came) -> None:
    """One transaction: counts, shares, what is to be destroyed, and the approval that is used."""
    reception, refusal, codes, taken, grant = came
    number = reception.number
    bad = codes.pop(REJECTED_ROWS, 0)
    shares = [
        {"reception": file, "answer": number, "answered": answered, "ambiguous": ambiguous}
        for item in taken
        for file, answered, ambiguous in item.shares
    ]
    held = sum(codes[code] for code in HELD)
    counts = Counts(
        NOBODY,
        first_line=2,
        received=reception.rows,
        accepted=sum(item.rows for item in taken),
        rejected=bad + codes[NOT_ANSWERABLE],
        duplicate=codes[REPEATED],
        held=held,
    )
    findings = [(NOBODY, code, rows) for code, rows in sorted(codes.items()) if rows]
    requests = frozenset[int]().union(*(item.requests for item in taken))
    with centre.ledger.begin() as transaction:
        Ledger.put_findings(transaction, number, findings)
        if refusal:
            Ledger.put_counts(transaction, number, [])
            close(centre, transaction, reception, "refused", refusal)
        else:
            Ledger.put_counts(transaction, number, [counts] if reception.rows else [])
            close(centre, transaction, reception, "accepted", None)
        asked.put_shares(transaction, shares)
        asked.answered(transaction, requests, centre.now())
        if grant is not None:
            approvals.use(transaction, grant)
        Ledger.set_group(transaction, group.number, "committed")
