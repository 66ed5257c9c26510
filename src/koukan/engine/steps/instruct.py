"""instruct: the codes of whom staff have put on a list are given up, and new ones wanted.

Flow 2-(2), steps 2-2 and 2-3, by itself. From the moment that the group is written no old code
counts any more, nor any answer to what was asked for it. Under every raw link of a person that has
any event the wish is noted, so no code is left over when numbers are parted. Lists that staff have
checked (2-8) are destroyed here, key first, with a signed record.
"""

from __future__ import annotations

import numpy as np
import polars as pl
from sqlalchemy import Connection

from koukan.engine import codes as events
from koukan.engine import entrusted, reissuing, rewriting
from koukan.engine.centre import Centre
from koukan.engine.issued import code_events_under
from koukan.engine.people import people_of
from koukan.engine.rewriting import Replaced
from koukan.engine.steps import erase
from koukan.flows.codes import CODES
from koukan.ledger import code_lists, rewritings
from koukan.ledger import codes as asked
from koukan.ledger.code_lists import CodeList
from koukan.rules.issuing import raw_links_of
from koukan.rules.linkage import ASKED, SET, WANTED
from koukan.sites import Job

WHAT = "code_list"  # among the records of erasures


def run(centre: Centre, job: Job) -> None:
    """Give up the codes of every list that was registered; destroy those that were checked."""
    reissuing.tidy(centre)
    for item in code_lists.all_lists(centre.ledger, states=["checked"]):
        destroy(centre, item)
        centre.observe("list erased", step="instruct")
    for item in code_lists.all_lists(centre.ledger, states=["registered"]):
        with centre.log.operation("instruct", job=job.name) as operation:
            operation.note(rows=instruct(centre, item))


def instruct(centre: Centre, item: CodeList) -> int:
    """Want new codes for the persons of a list; how many."""
    persons = reissuing.persons_of(centre, reissuing.lines_of(centre, item.number))
    links = np.unique(persons["link_number"].drop_nulls().to_numpy())
    states = events.states_of(centre, links)
    mine = states.filter(pl.col("state").is_in([SET, ASKED]))["link_number"].to_numpy()
    raw = raw_links_of(people_of(centre), mine)
    under = code_events_under(centre, raw).select("link_number").unique().sort("link_number")
    group = rewritings.begin(centre.ledger, rewritings.WANT, centre.now())
    centre.observe("grouped", step="instruct")
    rows = events.rows_of(under, group.number, event=WANTED, reissue=True)
    files = tuple(events.write(centre, group.number, 1, rows))

    def note(transaction: Connection) -> None:
        asked.put_events(transaction, events.counted(rows))
        values = {"group_number": group.number, "persons": len(mine)}
        code_lists.set_list(transaction, item.number, state="instructed", **values)

    rewriting.replace(centre, group, [Replaced(CODES, files, ())], note=note)
    return len(mine)


def destroy(centre: Centre, item: CodeList) -> None:
    """Key, then file, then the record."""
    entrusted.destroy_request(centre, reissuing.list_name(item.number))
    with centre.ledger.begin() as transaction:
        erase.put(centre, transaction, WHAT, item.number, recorded(item))
        code_lists.set_list(transaction, item.number, state="erased")


def recorded(item: CodeList) -> dict[str, object]:
    """What the erasure record of a list says, by the ledger; verified against it later."""
    return {
        "what": WHAT,
        "list": item.number,
        "rows": item.rows,
        "sha256": item.sha256,
        "registered_by": item.registered_by,
        "checked_by": item.checked_by or "",
    }
