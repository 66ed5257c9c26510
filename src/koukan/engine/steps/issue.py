"""issue: each person whom PMH asks for gets a PMH-ID, and PMH its numbers back with them.

Flow 4, step 5-2. Persons are found by the vault; who has no PMH-ID yet gets one from the range that
the request's reception has set aside, so a rerun issues the same. Order: data files of
`pmh_issues` and the answers, sealed; then the ledger names them (group `written`); then the table's
commit; then the received numbers are destroyed, key first. Killed before `written`, the group
starts again from its originals; killed after it, the rest is done.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import polars as pl

from koukan.codecs import render
from koukan.codecs.gate import NOBODY
from koukan.engine import answering
from koukan.engine.answering import Answered
from koukan.engine.centre import Centre
from koukan.engine.groups import Chunk, receptions_of, stage_of
from koukan.engine.issued import pmh_ids_of
from koukan.engine.lookup import links_of, side_by_side
from koukan.engine.people import people_of
from koukan.engine.rewriting import row_of
from koukan.engine.steps import commit
from koukan.engine.steps.gate import close
from koukan.engine.steps.validate import ROW
from koukan.errors import EnvironmentRefused
from koukan.flows import pmh, served
from koukan.flows.pmh import ANSWER_SECTION, ISSUES, NOT_ASCII, REQUEST_SECTION
from koukan.flows.registration import ascending
from koukan.ledger import Counts, Group, Ledger, Reception
from koukan.rules.issuing import GIVEN, numbers_of, once_each, reasons_of
from koukan.rules.line_keys import NONE
from koukan.rules.register import Ints
from koukan.tables.definition import bucket_label, bucket_of_link
from koukan.tables.table import DataFile


class Asked(NamedTuple):
    """What a group's requests ask, line by line, reception after reception.

    Args:
        texts: the numbers as they came; null where the field is empty.
        numbers: as whole numbers; `NONE` where it is none, or its check digit is wrong.
        bounds: where each reception's lines begin, and the end.
    """

    receptions: tuple[Reception, ...]
    texts: pl.Series
    numbers: Ints
    bounds: tuple[int, ...]


class Found(NamedTuple):
    """By line: who was meant, what is given, and the reason where it is nothing."""

    persons: Ints
    pmh_ids: Ints  # `NONE` where there is none to give
    reasons: pl.Series  # `GIVEN` or a code
    fresh: pl.DataFrame  # link_number, pmh_id: issued here
    fresh_lines: Ints  # the line of each


def run(centre: Centre, group: Group, chunks: list[Chunk], pending: Iterator[pl.DataFrame]) -> None:
    """Answer a group of requests, or refuse those that cannot be given back as they came."""
    centre.observe("entered", step="issue")
    for _ in pending:
        pass  # what is wrong with a number is judged here: its line is answered all the same
    require_form(centre)
    with centre.log.operation("issue", group=group.number) as operation:
        whole, refused = read(centre, group, chunks)
        found = find(centre, group, whole)
        with ThreadPoolExecutor(1) as beside:
            writing = beside.submit(write, centre, group, found.fresh)
            answered = [seal(centre, whole, found, place) for place in range(len(whole.receptions))]
            files = writing.result()
        centre.observe("answers sealed", step="issue")
        note(centre, group, files, answered, refused)
        operation.note(asked=len(whole.numbers), issued=found.fresh.height)
    centre.observe("written", step="issue")
    commit.finish(centre, centre.ledger.group(group.number))
    answering.destroy_requests(centre, served.PMH)


def require_form(centre: Centre) -> None:
    """An answer has two items and never a third, nor a record beside its lines.

    Raises:
        EnvironmentRefused: the site's definition says otherwise; nothing is answered then.
    """
    answering.require_items(centre, pmh.ANSWER, "pmh.items", pmh.ITEMS)
    form = centre.catalogue.formats[pmh.ANSWER]
    if form.control or form.common or form.end:
        raise EnvironmentRefused("pmh.items", format=form.name)


def read(centre: Centre, group: Group, chunks: list[Chunk]) -> tuple[Asked, tuple[Reception, ...]]:
    """All lines of the group, and the receptions that hold what is no ASCII.

    What cannot be told byte for byte by its characters cannot be promised to go back as it came.
    """
    stage = stage_of(centre, group.number, group.attempt)
    receptions = receptions_of(centre, group)
    parts: dict[int, list[pl.Series]] = {item.number: [] for item in receptions}
    for chunk in chunks:
        frame = stage.get(f"{chunk.number:05d}.{REQUEST_SECTION}").sort(ROW)
        texts = frame["my_number"] if "my_number" in frame.columns else _nothing(frame.height)
        stop = 0
        for piece in chunk.pieces:
            start, stop = stop, stop + piece.rows
            parts[piece.reception].append(texts[start:stop])
    kept, refused, columns = [], [], [_nothing(0)]
    for item in receptions:
        lines = pl.concat([_nothing(0), *parts[item.number]])
        if (lines.str.len_bytes() != lines.str.len_chars()).any():
            refused.append(item)
        else:
            kept.append(item)
            columns.append(lines)
    texts = pl.concat(columns)
    bounds = np.cumsum([len(column) for column in columns]).tolist()
    return Asked(tuple(kept), texts, numbers_of(texts), tuple(bounds)), tuple(refused)


def _nothing(rows: int) -> pl.Series:
    return pl.Series("my_number", [None], dtype=pl.String).new_from_index(0, rows)


def find(centre: Centre, group: Group, whole: Asked) -> Found:
    """Who is meant by each line, what each has, and what is issued."""
    people = people_of(centre)
    persons = people.canonical(links_of(centre, whole.numbers))
    gone = answering.absent(centre, people, persons)
    absent = np.isin(persons, gone) if len(gone) else np.zeros(len(persons), np.bool_)
    reasons = reasons_of(whole.numbers, persons, absent)
    takes = (reasons == GIVEN).to_numpy()
    wanted = np.where(takes, persons, NONE)
    known = pmh_ids_of(centre, people, wanted)
    ids = held_by(wanted, known)
    lacking = np.flatnonzero(takes & (ids == NONE))
    first, again = once_each(persons[lacking])
    lines = lacking[first]
    issued = centre.pmh_issuer.issue(counters_of(group, whole, lines))
    fresh = pl.DataFrame({"link_number": persons[lines], "pmh_id": issued})
    ids[lacking] = issued[again]
    return Found(persons, ids, reasons, fresh, lines)


def held_by(persons: Ints, known: pl.DataFrame) -> Ints:
    """By line the PMH-ID that its person has; `NONE` where there is none, or nobody."""
    if known.is_empty():
        return np.full(len(persons), NONE, np.int64)
    asked = pl.DataFrame({"link_number": persons})
    found = asked.join(known, on="link_number", how="left", maintain_order="left", validate="m:1")
    return found["pmh_id"].fill_null(NONE).to_numpy(writable=True)


def counters_of(group: Group, whole: Asked, lines: Ints) -> Ints:
    """Of each line the counter in its reception's range, which is as long as its lines."""
    starts = dict(group.members)
    begins = np.array([starts[item.number] for item in whole.receptions], np.int64)
    bounds = np.array(whole.bounds, np.int64)
    place = np.searchsorted(bounds, lines, side="right") - 1
    return np.asarray(begins[place] + lines - bounds[place], np.int64) if len(lines) else lines


def write(centre: Centre, group: Group, fresh: pl.DataFrame) -> list[DataFile]:
    """What was issued, by bucket; nothing sees it before the ledger says so."""
    buckets = centre.site.buckets
    rows = fresh.with_columns(group_number=pl.lit(group.number, pl.Int64))
    rows = rows[ascending(rows["link_number"].to_numpy())]
    places = bucket_of_link(rows["link_number"].to_numpy(), buckets)
    bounds = np.searchsorted(places, np.arange(buckets + 1)).tolist()
    name = commit.file_name(group.number, group.attempt, 0)
    table = centre.tables[ISSUES]
    shares = [item for item in enumerate(pairwise(bounds)) if item[1][1] > item[1][0]]

    def write_one(item: tuple[int, tuple[int, int]]) -> DataFile:
        bucket, (start, stop) = item
        return table.write({"bucket": bucket_label(bucket, buckets)}, rows[start:stop], name)

    return list(side_by_side(centre, write_one, shares))


def seal(centre: Centre, whole: Asked, found: Found, place: int) -> Answered:
    """One request's answer, under a key of its own: the numbers as they came, each with its PMH-ID.

    A longer number than the layout has goes back as it came, too.
    """
    reception = whole.receptions[place]
    start, stop = whole.bounds[place : place + 2]
    ids = pl.Series("pmh_id", found.pmh_ids[start:stop])
    text = pl.when(ids != NONE).then(ids.cast(pl.String).str.zfill(pmh.PMH_DIGITS))
    frame = pl.DataFrame([whole.texts[start:stop]]).with_columns(text.alias("pmh_id"))
    form = centre.catalogue.formats[pmh.ANSWER]
    content = render.as_given(form, ANSWER_SECTION, frame)
    counted = found.reasons[start:stop].value_counts()
    reasons = dict(counted.iter_rows())
    lines = found.fresh_lines
    fresh = int(np.count_nonzero((lines >= start) & (lines < stop)))
    given = int(reasons.pop(GIVEN, 0))
    return answering.seal(centre, reception, content, given=given, fresh=fresh, reasons=reasons)


def note(
    centre: Centre,
    group: Group,
    files: list[DataFile],
    answered: list[Answered],
    refused: tuple[Reception, ...],
) -> None:
    """One transaction: files that the commit will add, counts, answers, who is refused."""
    with centre.ledger.begin() as transaction:
        Ledger.put_group_files(transaction, group.number, [row_of(ISSUES, file) for file in files])
        for reception in refused:
            Ledger.put_counts(transaction, reception.number, [])
            close(centre, transaction, reception, "refused", NOT_ASCII)
        for item in answered:
            reception, rows = item.reception, item.reception.rows
            counts = [Counts(NOBODY, first_line=2, received=rows, accepted=rows)] if rows else []
            Ledger.put_counts(transaction, reception.number, counts)
            Ledger.set(transaction, reception.number, judged_at=centre.now())
            answering.put(centre, transaction, served.PMH, group.number, item)
        Ledger.set_group(transaction, group.number, "written")
