"""What surrounds an answer to a system that asked: who is there, its form, how it is kept.

Flow 4, step 5-2, and flow 2-(5). What was asked by is destroyed once the answer to it is durable;
the answer once the system has it, at the latest after a limit.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import PurePath
from typing import NamedTuple

import numpy as np
import polars as pl
from sqlalchemy import Connection

from koukan.engine import entrusted
from koukan.engine.asof import events_under
from koukan.engine.centre import Centre
from koukan.engine.lookup import roster_rows
from koukan.engine.packages import PACKAGE
from koukan.engine.registry import HOLDER
from koukan.engine.steps import erase
from koukan.errors import EnvironmentRefused
from koukan.flows import served
from koukan.flows.registration import QUALIFICATION
from koukan.flows.served import Flow
from koukan.ledger import Reception
from koukan.rules.line_keys import NONE
from koukan.rules.persons import MEMBERS, People
from koukan.rules.register import Ints

NOBODY: Ints = np.zeros(0, np.int64)


class Answered(NamedTuple):
    """A sealed answer to one request.

    Args:
        given: rows to which something was given; of the others `reasons` counts why not.
        fresh: rows that it brings into the flow's own table.
        lines: of the file, where they are not one for each row.
    """

    reception: Reception
    given: int
    fresh: int
    reasons: Mapping[str, int]
    sha256: str
    length: int
    lines: int | None = None


def require_items(centre: Centre, name: str, key: str, items: tuple[str, ...]) -> None:
    """An answer's lines have these own items and never another one.

    Raises:
        EnvironmentRefused: the site's definition says otherwise; nothing is answered then.
    """
    form = centre.catalogue.formats[name]
    names = [item.name for record in form.records for item in record.own]
    if tuple(names) != items:
        raise EnvironmentRefused(key, format=name)


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


def seal(
    centre: Centre,
    reception: Reception,
    content: bytes,
    *,
    given: int,
    fresh: int,
    reasons: Mapping[str, int],
    lines: int | None = None,
) -> Answered:
    """One request's answer, under a key of its own."""
    entrusted.seal_result(centre, reception.number, served.ONLY, [content])
    digest = hashlib.sha256(content).hexdigest()
    return Answered(reception, given, fresh, reasons, digest, len(content), lines)


def put(
    centre: Centre, transaction: Connection, flow: Flow, group: int, answered: Answered
) -> None:
    """An answer that is sealed, as the ledger takes it: `hand_out` lays it out."""
    item = answered.reception
    stem = PurePath(item.file_name).stem[:50]
    values = {
        "reception": item.number,
        "group_number": group,
        "sender": item.sender,
        "name": f"PK_{stem}_{item.number:010d}_{served.ONLY:03d}.tar{PACKAGE}",
        "rows": item.rows,
        "given": answered.given,
        "fresh": answered.fresh,
        "file_sha256": answered.sha256,
        "file_length": answered.length,
        "file_lines": answered.lines,
        "state": "built",
        "built_at": centre.now(),
    }
    flow.book.put_answer(transaction, values, answered.reasons)


def over(centre: Centre, *flows: Flow) -> list[Reception]:
    """Requests that nobody needs any more: answered, or refused and told so."""
    formats = {flow.request for flow in flows}
    return [
        item
        for item in centre.ledger.closed_unerased()
        if item.format in formats and (item.outcome == "accepted" or item.is_told)
    ]


def destroy_requests(centre: Centre, flow: Flow) -> None:
    """Destroy what the system sent, key first; killed anywhere, the next run does the rest."""
    done = over(centre, flow)
    if done:
        erase.erase(centre, *done)
        centre.observe("requests destroyed", step="hand_out")
