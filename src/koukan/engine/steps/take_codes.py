"""take_codes: what NWS returns becomes the 機関別符号 of who was asked for, without anybody's hand.

Flow 2-(1), step 1-5; 2-(2), 2-7. Rows are matched by 要求レコード番号 with what was sent, and
`rules.acquiring` tells which are taken in: each once, none for a second person. All files of a
group count as one. Order: data files; then the ledger names them with counts and findings (group
`written`); then the table's commit; then the answer file and the requests that it answers are
destroyed, key first, since codes stand in the table and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import polars as pl

from koukan.engine import codes as events
from koukan.engine import singly, vanishing
from koukan.engine.centre import Centre
from koukan.engine.groups import Chunk
from koukan.engine.issued import code_events_under
from koukan.engine.people import people_of
from koukan.engine.rewriting import row_of
from koukan.engine.steps import commit
from koukan.engine.steps.link import Outcome
from koukan.flows.codes import ANSWER_SECTION, CODES
from koukan.ledger import Group, Ledger
from koukan.ledger import codes as asked
from koukan.rules.acquiring import GIVEN, NUMBER, judge
from koukan.rules.issuing import raw_links_of
from koukan.rules.linkage import ASKED, FAILED, SET, by_link
from koukan.rules.persons import People
from koukan.rules.register import Ints

ITEMS: dict[str, pl.DataType] = {
    name: pl.String()
    for name in (
        NUMBER,
        "code_answer_class",
        "linkage_code",
        "result_detail_code",
        "result_message",
    )
}
QUESTION = ("link_number", "request", NUMBER, "group_number")


class Known(NamedTuple):
    """What is known of the questions that some answers name.

    Args:
        asked: as `rules.acquiring.judge` takes it, with `link_number` (raw) and `request`.
        codes: likewise.
    """

    asked: pl.DataFrame
    codes: pl.DataFrame


def run(centre: Centre, group: Group, chunks: list[Chunk], pending: Iterator[pl.DataFrame]) -> None:
    """Take in a group of answers."""
    centre.observe("entered", step="take_codes")
    with centre.log.operation("take_codes", group=group.number) as operation:
        taken: list[pl.DataFrame] = []

        def decide(found: Outcome) -> Outcome:
            lines = singly.taken_lines(centre, chunks, found, ANSWER_SECTION, ITEMS)
            lines = lines.with_columns(pl.col(NUMBER).cast(pl.Int64))
            whole = known(centre, lines)
            judged = judge(lines, whole.asked, whole.codes)
            good = judged.filter(pl.col("code").is_null()).select("row")
            mine = whole.asked.select("link_number", "request", NUMBER)
            answered = lines.join(good, on="row", how="semi").join(mine, on=NUMBER, how="left")
            taken.append(event_rows(answered, group.number))
            coded = judged.filter(pl.col("code").is_not_null())
            return singly.with_codes(found, coded, NUMBER)

        outcome = singly.concluded(centre, group, chunks, pending, decide)
        rows = pl.concat([events.rows_of(EMPTY, group.number, event=SET), *taken])
        files = events.write(centre, group.number, group.attempt, rows)
        with centre.ledger.begin() as transaction:
            named = [row_of(CODES, file) for file in files]
            Ledger.put_group_files(transaction, group.number, named)
            asked.put_events(transaction, events.counted(rows))
            asked.answered(transaction, rows["request"].unique().to_list(), centre.now())
            for _ in singly.conclude(centre, transaction, group, outcome, (), written=True):
                pass
        operation.note(answered=rows.height)
    centre.observe("written", step="take_codes")
    commit.finish(centre, centre.ledger.group(group.number))
    vanishing.finish(centre, "take_codes")


EMPTY = pl.DataFrame(schema={"link_number": pl.Int64})


def event_rows(answered: pl.DataFrame, group: int) -> pl.DataFrame:
    """What is taken in, as events under the raw links that were asked by."""
    given = pl.col("code_answer_class") == GIVEN
    whole = answered.with_columns(
        event=pl.when(given).then(pl.lit(SET)).otherwise(pl.lit(FAILED)),
        linkage_code=pl.when(given).then("linkage_code"),
    )
    return events.rows_of(whole, group)


def known(centre: Centre, lines: pl.DataFrame) -> Known:
    """The questions behind these answers, of requests that were sent, and the codes that count.

    Only files in which those requests wrote are opened for the questions; whether anybody ever had
    a code is looked for in all, as none may get to a second person.
    """
    people = people_of(centre)
    wanted = lines.select(NUMBER).unique()
    groups = sent_groups(centre, wanted[NUMBER].to_numpy())
    found = events.brought(centre, groups, "event", *QUESTION).filter(pl.col("event") == ASKED)
    found = found.join(wanted, on=NUMBER, how="semi").drop("event")
    persons = people.canonical(found["link_number"].to_numpy())
    found = found.with_columns(person=pl.Series(persons, dtype=pl.Int64))
    told = code_events_under(centre, raw_links_of(people, persons))
    given_up = by_link(told).select("link_number", "given_up")
    refused = told.filter(pl.col("event") == FAILED).sort("group_number")
    refused = refused.group_by(NUMBER).agg(failed=pl.col("result_detail_code").last())
    found = found.join(given_up, on="link_number", how="left").with_columns(
        open=pl.col("group_number") > pl.col("given_up")
    )
    found = found.join(refused, on=NUMBER, how="left").drop("group_number", "given_up")
    holders = events.holders(centre, lines["linkage_code"].drop_nulls().unique())
    others = code_events_under(centre, holders.unique().sort().to_numpy())
    return Known(found, codes(people, pl.concat([told, others]).unique()))


def codes(people: People, told: pl.DataFrame) -> pl.DataFrame:
    """Every code in these events: `linkage_code`, `person`, `holds`."""
    now = by_link(told).select("link_number", own="linkage_code")
    ever = told.filter(pl.col("event") == SET).join(now, on="link_number", how="left")
    persons = people.canonical(ever["link_number"].to_numpy())
    return ever.select(
        "linkage_code",
        person=pl.Series(persons, dtype=pl.Int64),
        holds=pl.col("linkage_code").eq_missing(pl.col("own")),
    )


def sent_groups(centre: Centre, numbers: Ints) -> set[int]:
    """Groups of the requests that were sent and in whose ranges any of these numbers lies."""
    counters = centre.request_issuer.counters(numbers)
    return {
        item.group_number
        for item in asked.all_requests(centre.ledger)  # some a day
        if (item.sent_at is not None or item.state == "sending")
        and bool(np.any((counters >= item.start) & (counters < item.start + item.rows)))
    }
