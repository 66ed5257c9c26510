"""want: insurers ask by 被保険者枝番 that 機関別符号 be acquired for their members (符号取得要求).

Flow 2-(1): each accepted line makes its person wanted, unless it has a code or is being asked for.
Order: data files of `linkage_codes` and the results, sealed; then the ledger names them (group
`written`); then the table's commit.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from koukan.engine import codes as events
from koukan.engine import singly
from koukan.engine.centre import Centre
from koukan.engine.groups import Chunk, receptions_of
from koukan.engine.lookup import roster_rows
from koukan.engine.people import people_of
from koukan.engine.rendering import render, renderings
from koukan.engine.rewriting import row_of
from koukan.engine.steps import commit
from koukan.engine.steps.link import Outcome
from koukan.flows.codes import CODES, QUERY_SECTION
from koukan.ledger import Group, Ledger
from koukan.ledger import codes as asked
from koukan.rules.acquiring import wishes
from koukan.rules.line_keys import NONE
from koukan.rules.linkage import WANTED
from koukan.rules.roster import Roster

ITEMS = {"member_id": pl.String()}
WISHED = {"link_number": pl.Int64, "reception": pl.Int64, "line_number": pl.Int64}


def run(centre: Centre, group: Group, chunks: list[Chunk], pending: Iterator[pl.DataFrame]) -> None:
    """Take in a group of requests of insurers."""
    centre.observe("entered", step="want")
    receptions = receptions_of(centre, group)
    with centre.log.operation("want", group=group.number) as operation:
        wished = [pl.DataFrame(schema=WISHED)]

        def decide(found: Outcome) -> Outcome:
            judged = judged_lines(centre, chunks, found)
            wished.append(judged.filter(pl.col("code").is_null()).select(list(WISHED)))
            coded = judged.filter(pl.col("code").is_not_null()).select("row", "code")
            return singly.with_codes(found, coded, "member_id")

        outcome = singly.concluded(centre, group, chunks, pending, decide)
        answered = [item for item in receptions if item.number not in outcome.refused]
        parts = centre.workers.map(render, renderings(answered, chunks))
        rendered = [item for part in parts for item in part]
        rows = events.rows_of(pl.concat(wished), group.number, event=WANTED)
        files = events.write(centre, group.number, group.attempt, rows)
        with centre.ledger.begin() as transaction:
            named = [row_of(CODES, file) for file in files]
            Ledger.put_group_files(transaction, group.number, named)
            asked.put_events(transaction, events.counted(rows))
            for _ in singly.conclude(centre, transaction, group, outcome, rendered, written=True):
                pass
        operation.note(asked=rows.height)
    centre.observe("written", step="want")
    commit.finish(centre, centre.ledger.group(group.number))


def judged_lines(centre: Centre, chunks: list[Chunk], found: Outcome) -> pl.DataFrame:
    """The accepted lines with their places, the person of each and what it comes to: `code`."""
    lines = singly.taken_lines(centre, chunks, found, QUERY_SECTION, ITEMS)
    people = people_of(centre)
    insurers = lines["insurer"].cast(pl.Int32).to_numpy()
    given = lines["member_id"].cast(pl.Int64).to_numpy()
    current = people.current(insurers, given)
    members = pl.DataFrame(
        {"insurer": np.concatenate([insurers, insurers]), "member_id": [*given, *current]},
        schema={"insurer": pl.Int32, "member_id": pl.Int64},
    )
    nobody = pl.DataFrame(schema={"insurer": pl.Int32, "link_number": pl.Int64})
    roster = Roster.of(roster_rows(centre, nobody, members.unique()), people)
    exists, owner = roster.owners(insurers, current)
    persons = lines.select("row").with_columns(
        exists=pl.Series(exists, dtype=pl.Boolean),
        link_number=pl.Series(people.canonical(owner), dtype=pl.Int64).replace(NONE, None),
    )
    links = persons["link_number"].drop_nulls().unique().to_numpy()
    judged = wishes(events.states_of(centre, links), persons)
    return judged.join(lines.drop("member_id"), on="row", how="left", maintain_order="left")
