"""disclose: requests of マイナポータル get the qualifications of their persons, through NWS.

Flow 2-(5), steps 5-2 and 5-3, and 2-R. Every line of a request is answered, under the number that
it has there. Order: data files of `provision_records` and the answers, sealed; then the ledger
names them (group `written`); then the table's commit; then the requests, which name persons by
their 機関別符号, are destroyed, key first. Killed before `written`, the group starts again from its
originals, and nothing was provided; killed after it, the rest is done.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import polars as pl

from koukan.codecs import render
from koukan.engine import answering, disclosing, provision, singly
from koukan.engine.answering import Answered
from koukan.engine.centre import Centre
from koukan.engine.groups import Chunk, receptions_of
from koukan.engine.rewriting import row_of
from koukan.engine.steps import commit
from koukan.engine.steps.link import Outcome
from koukan.errors import EnvironmentRefused
from koukan.flows import disclosure, served
from koukan.flows.disclosure import (
    ANSWER_SECTION,
    CLASS,
    GIVEN_BY_REQUEST,
    QUESTION,
    RECORDS,
    REQUEST_SECTION,
)
from koukan.ledger import Group, Ledger, Reception
from koukan.rules.disclosing import CLASSES, GIVEN, WRONG_LINE, Disclosed

ASKED: dict[str, pl.DataType] = {name: pl.String() for name in GIVEN_BY_REQUEST}
FRAME = 2  # lines of an answer beside its records: control and end record


class Answers(NamedTuple):
    """What a group's requests come to.

    Args:
        lines: every line of the files that are answered: `reception`, `record_number`, `reason`.
        records: the lines of the answers, in their order: `reception` and what they say.
    """

    lines: pl.DataFrame
    records: pl.DataFrame


def run(centre: Centre, group: Group, chunks: list[Chunk], pending: Iterator[pl.DataFrame]) -> None:
    """Answer a group of requests."""
    centre.observe("entered", step="disclose")
    require_form(centre)
    with centre.log.operation("disclose", group=group.number) as operation:
        outcome = singly.concluded(centre, group, chunks, pending)
        asked = singly.taken_lines(centre, chunks, outcome, REQUEST_SECTION, ASKED)
        found = disclosing.answered(centre, asked)
        at = centre.clock()
        recorded = provision.recorded(centre)
        rows = provision.rows_of(centre, group, asked, found.given.filter(recorded), at)
        files = provision.write(centre, group, rows, at)
        answers = answers_of(outcome, asked, found)
        kept = [one for one in receptions_of(centre, group) if one.number not in outcome.refused]
        sealed = list(seal(centre, kept, answers, rows))
        centre.observe("answers sealed", step="disclose")
        tell_unrecorded(centre, group, found.given.filter(~recorded))
        with centre.ledger.begin() as transaction:
            named = [row_of(RECORDS, file) for file in files]
            Ledger.put_group_files(transaction, group.number, named)
            for item in sealed:
                answering.put(centre, transaction, served.DISCLOSURE, group.number, item)
            for _ in singly.conclude(centre, transaction, group, outcome, (), written=True):
                pass
        given = sum(item.given for item in sealed)
        counts = {"asked": answers.lines.height, "answered": given, "records": rows.height}
        operation.note(**counts, unanswered=answers.lines.height - given)
    centre.observe("written", step="disclose")
    commit.finish(centre, centre.ledger.group(group.number))
    answering.destroy_requests(centre, served.DISCLOSURE)


def require_form(centre: Centre) -> None:
    """An answer says of a person what flow 2-(5) has, and no item more.

    Raises:
        EnvironmentRefused: the site's definition says otherwise; nothing is answered then.
    """
    items = disclosure.ANSWERS
    answering.require_items(centre, disclosure.ANSWER, "disclosure.items", items)
    form = centre.catalogue.formats[disclosure.ANSWER]
    if [item.name for item in form.common] != ["record_number", "record_type_code"]:
        raise EnvironmentRefused("disclosure.items", format=form.name)


def answers_of(outcome: Outcome, asked: pl.DataFrame, found: Disclosed) -> Answers:
    """The lines of the answers: of a request one for each qualification, or one that has none."""
    refused = pl.col("reception").is_in(list(outcome.refused))
    every = outcome.lines.with_row_index("row").with_columns(pl.col("row").cast(pl.Int64))
    reason = pl.col("reason").fill_null(WRONG_LINE)
    lines = (
        every.filter(~refused)
        .join(found.reasons, on="row", how="left", maintain_order="left")
        .select("row", "reception", "record_number", reason=reason)
    )
    items = found.given.select("row", *disclosure.ITEMS)
    records = (
        lines.join(asked.select("row", *QUESTION), on="row", how="left", maintain_order="left")
        .join(items, on="row", how="left", maintain_order="left_right")
        .with_columns(
            pl.col("record_number").cast(pl.String).str.zfill(10),
            pl.col("reason").replace_strict(CLASSES, return_dtype=pl.String).alias(CLASS),
        )
    )
    return Answers(lines.drop("row"), records.drop("row", "reason"))


def seal(
    centre: Centre, receptions: Sequence[Reception], answers: Answers, rows: pl.DataFrame
) -> Iterator[Answered]:
    """The answer to each file of requests, under a key of its own."""
    form = centre.catalogue.formats[disclosure.ANSWER]
    lines, records, kept = map(by_reception, (answers.lines, answers.records, rows))
    for reception in receptions:
        own = (reception.number,)
        said = records.get(own, answers.records.clear()).drop("reception")
        head = {
            "reception_number": f"{reception.number:010d}",
            "received_file_name": reception.file_name,
        }
        parts = (
            render.control(form, head),
            render.records(form, ANSWER_SECTION, said),
            render.end(form, {"record_count": f"{said.height:08d}"}),
        )
        counts = lines.get(own, answers.lines.clear())["reason"].value_counts()
        reasons = dict(counts.iter_rows())
        yield answering.seal(
            centre,
            reception,
            b"".join(parts),
            given=int(reasons.pop(GIVEN, 0)),
            fresh=kept[own].height if own in kept else 0,
            reasons=reasons,
            lines=said.height + FRAME,
        )


def by_reception(frame: pl.DataFrame) -> dict[tuple[object, ...], pl.DataFrame]:
    return frame.partition_by("reception", as_dict=True)


def tell_unrecorded(centre: Centre, group: Group, given: pl.DataFrame) -> None:
    """What is provided of persons of 市町村国保 and welfare stands in the operation log alone.

    Before the ledger knows of the answers: an attempt that is killed then is told of, and the next
    one as well.
    """
    counts = given.group_by("insurer_code").len().sort("insurer_code")
    for insurer, rows in counts.iter_rows():  # as many as such insurers
        where = {"group": group.number, "insurer": insurer}
        with centre.log.operation("disclose_unrecorded", **where) as operation:
            operation.note(answered=rows)
