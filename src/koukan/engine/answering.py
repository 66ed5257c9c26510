"""What surrounds an answer to PMH: who is in the history, what an answer is, what is destroyed.

Flow 4, step 5-2. The numbers received are destroyed once the answer to them is durable; the answer
once PMH has it, at the latest after a limit.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from koukan.engine.asof import events_under
from koukan.engine.centre import Centre
from koukan.engine.lookup import roster_rows
from koukan.engine.registry import HOLDER
from koukan.engine.steps import erase
from koukan.errors import EnvironmentRefused
from koukan.flows import pmh
from koukan.flows.registration import QUALIFICATION
from koukan.ledger import Reception
from koukan.rules.persons import MEMBERS, People
from koukan.rules.register import NONE, Ints

NOBODY: Ints = np.zeros(0, np.int64)


def require_form(centre: Centre) -> None:
    """An answer has two items and never a third.

    Raises:
        EnvironmentRefused: the site's definition says otherwise; nothing is answered then.
    """
    form = centre.catalogue.formats[pmh.ANSWER]
    names = [item.name for item in (*form.control, *form.common, *form.end)]
    names += [item.name for record in form.records for item in record.own]
    if tuple(names) != pmh.ITEMS:
        raise EnvironmentRefused("pmh.items", format=form.name)


def absent(centre: Centre, people: People, persons: Ints) -> Ints:
    """Which of these persons the vault knows although nothing in the history is theirs.

    Only members who were withdrawn or parted can have left anybody so; else nothing is read.
    """
    left = people.members[people.withdrawn | (people.survivor != NONE)]
    if not len(left):
        return NOBODY
    members = pl.DataFrame({"insurer": left // MEMBERS, "member_id": left % MEMBERS})
    nobody = pl.DataFrame(schema={"insurer": pl.Int32, "link_number": pl.Int64})
    rows = roster_rows(centre, nobody, members.cast({"insurer": pl.Int32}))
    links = rows["link_number"].drop_nulls().unique().to_numpy()
    doubtful = np.intersect1d(people.canonical(links), persons)
    _, raw = people.raw_links(doubtful)
    events = people.attribute(events_under(centre, QUALIFICATION, np.unique(raw), HOLDER))
    return np.setdiff1d(doubtful, events["link_number"].drop_nulls().unique().to_numpy())


def over(centre: Centre) -> list[Reception]:
    """Requests whose numbers nobody needs any more: answered, or refused and told so."""
    return [
        item
        for item in centre.ledger.closed_unerased()
        if item.format == pmh.REQUEST and (item.outcome == "accepted" or item.is_told)
    ]


def destroy_numbers(centre: Centre) -> None:
    """Destroy what PMH sent, key first; killed anywhere, the next run does the rest."""
    done = over(centre)
    if done:
        erase.erase(centre, *done)
        centre.observe("numbers destroyed", step="issue")
