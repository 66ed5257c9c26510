"""How far the acquisition of a person's 機関別符号 is: for staff by right, and for its insurers.

The items of 機関別符号ファイル are put together here: events are the table's, times the ledger's,
and what belongs to members the 資格履歴's. The code itself is never among them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from koukan.engine.asof import events_under
from koukan.engine.centre import Centre
from koukan.engine.history import Member, link_of
from koukan.engine.issued import code_events_under
from koukan.engine.people import people_of
from koukan.engine.reading import steady
from koukan.flows.codes import PREPARING
from koukan.flows.registration import QUALIFICATION
from koukan.ledger import codes as asked
from koukan.reports.source import local
from koukan.rules.issuing import raw_links_of
from koukan.rules.linkage import ASKED, SET, STATUS, WANTED, of_persons, purposes
from koukan.rules.register import Ints

MEMBER = ("link_number", "insurer_code", "member_id")


def members_of(centre: Centre, persons: Ints) -> pl.DataFrame:
    """MEMBER of these persons, each 被保険者枝番 that goes on once; 紐付番号 as shown."""
    people = people_of(centre)
    links = raw_links_of(people, persons)
    told = people.attribute(events_under(centre, QUALIFICATION, links, MEMBER).unique())
    mine = told.filter(pl.col("link_number").is_in(pl.Series(persons).implode()))
    insurers = mine["insurer_code"].cast(pl.Int64).to_numpy()
    current = people.current(insurers, mine["member_id"].to_numpy())
    return mine.with_columns(member_id=pl.Series(current, dtype=pl.Int64)).unique().sort(MEMBER)


@steady
def state_of(centre: Centre, who: Member) -> dict[str, Any]:
    """What became of asking for the code of the person whom an insurer knows by a 被保険者枝番.

    Returns:
        the items of 機関別符号ファイル by their names here, but the code and what NWS wrote beside
        it; `state` is null where nobody ever wanted one, and times are null before they come.

    Raises:
        UsageError: see `history.events`.
    """
    people = people_of(centre)
    link = link_of(centre, people, who.insurer, int(who.member_id), None)
    person = np.array([link])
    members = members_of(centre, person)
    told = code_events_under(centre, raw_links_of(people, person)).sort("group_number")
    states = of_persons(told, people, centre.link_issuer.counters)
    found = states.filter(pl.col("link_number") == link).to_dicts()
    state = found[0] if found else None
    kinds = {one.code: one.kind for one in centre.site.insurers}
    preparing = [code for code, kind in kinds.items() if kind in PREPARING]
    found_for = purposes(members, preparing)["purpose"].to_list()
    page: dict[str, Any] = {
        "insurer": who.insurer,
        "member_id": who.member_id,
        "linked_members": members.height,
        "purpose": found_for[0] if found_for else None,
        "state": state and state["state"],
        "code_status": state and STATUS[state["state"]],
        "result_detail_code": state and state["result_detail_code"],
        "reissue": bool(state and state["given_up"] >= 0),
    }
    return page | times(centre, told, state)


def times(centre: Centre, told: pl.DataFrame, state: dict[str, Any] | None) -> dict[str, Any]:
    """When what came, and which line and number stand behind it.

    Args:
        told: the person's events in order of their groups.
    """
    formed = asked.formed_at(centre.ledger, told["group_number"].unique().to_list())

    def last(event: str, name: str) -> Any:
        found = told.filter(pl.col("event") == event)[name].tail(1).to_list()
        return found[0] if found else None

    def at(group: int | None) -> str | None:
        return None if group is None else local(formed[group])

    groups = told["group_number"].to_list()
    answer = last(SET, "reception")
    received = None if answer is None else centre.ledger.reception(answer).received_at
    return {
        "request_record_number": last(ASKED, "request_record_number"),
        "reception": last(WANTED, "reception") or None,
        "line_number": last(WANTED, "line_number") or None,
        "wanted_at": at(last(WANTED, "group_number")),
        "asked_at": at(last(ASKED, "group_number")),
        "code_received_at": received and local(received),
        "code_set_at": at(last(SET, "group_number")),
        "code_status_at": at(None if state is None else state["since"]),
        "registered_at": at(groups[0] if groups else None),
        "updated_at": at(groups[-1] if groups else None),
    }
