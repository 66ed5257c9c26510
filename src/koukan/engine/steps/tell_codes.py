"""tell_codes: insurers are told how far the acquisition of their members' 機関別符号 is.

Our addition to flow 2-(1). A file for each insurer with any member whose state changed since the
file before: 被保険者枝番, state and moment, never a code. A telling is named, with its span of
groups, before it looks; killed in between, it is done again under the same names. What it says is
nothing that the tables do not hold, so it is not kept beside them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime

import numpy as np
import polars as pl

from koukan.codecs import render
from koukan.engine import codes as events
from koukan.engine.centre import Centre
from koukan.engine.code_states import members_of
from koukan.engine.people import people_of
from koukan.engine.reading import undisturbed
from koukan.engine.steps.review import speaker_for
from koukan.flows import codes
from koukan.ledger import codes as asked
from koukan.ledger import online
from koukan.ledger.codes import Telling, Told
from koukan.rules.linkage import STATUS
from koukan.sites import Job
from koukan.sites.schedule import JST


def run(centre: Centre, job: Job) -> None:
    """Finish what a killed run left, then tell of the groups behind it."""
    if not events.active(centre):
        return
    for telling in asked.all_tellings(centre.ledger, state="open"):
        conclude(centre, job, telling)
    since, until = asked.told_until(centre.ledger), online.committed_until(centre.ledger)
    new = [item for item in asked.committed_events(centre.ledger) if item["group_number"] > since]
    if any(item["group_number"] <= until for item in new):
        day = centre.clock().astimezone(JST).strftime("%Y%m%d")
        telling = asked.begin_telling(centre.ledger, (since, until), day)
        centre.observe("telling named", step="tell_codes")
        conclude(centre, job, telling)


def conclude(centre: Centre, job: Job, telling: Telling) -> None:
    """Look, lay out, let the ledger know."""
    with centre.log.operation("tell_codes", job=job.name) as operation, undisturbed(centre):
        found = changed(centre, telling)
        told = list(lay_out(centre, telling, found))
        with centre.ledger.begin() as transaction:
            asked.finish_telling(transaction, telling.number, told)
        operation.note(files=sum(1 for item in told if item.name), rows=found.height)
    centre.observe("told", step="tell_codes")


def changed(centre: Centre, telling: Telling) -> pl.DataFrame:
    """`insurer_code`, `member_id` and the fields of the file, of whom the groups told."""
    inside = {
        item["group_number"]
        for item in asked.committed_events(centre.ledger)
        if telling.since_group < item["group_number"] <= telling.until_group
    }
    people, links = people_of(centre), events.brought(centre, inside, "link_number")
    persons = np.unique(people.canonical(links["link_number"].to_numpy()))
    states = events.states_of(centre, persons)
    formed = asked.formed_at(centre.ledger, states["since"].unique().to_list())
    moments = pl.DataFrame(
        {"since": [*formed], "code_status_at": [stamp(at) for at in formed.values()]},
        schema={"since": pl.Int64, "code_status_at": pl.String},
    )
    told = members_of(centre, persons).join(states, on="link_number").join(moments, on="since")
    return told.select(
        *("insurer_code", "member_id", "code_status_at", "result_detail_code"),
        code_status=pl.col("state").replace_strict(STATUS, return_dtype=pl.String),
    ).sort("insurer_code", "member_id")


def stamp(at: str) -> str:
    """A moment of the ledger as files have it, JST."""
    return datetime.fromisoformat(at).astimezone(JST).strftime("%Y%m%d%H%M%S")


def lay_out(centre: Centre, telling: Telling, found: pl.DataFrame) -> Iterator[Told]:
    """A file for each insurer: there are some thousands of them at most."""
    form = centre.catalogue.formats[codes.STATES]
    for (insurer,), lines in found.group_by("insurer_code", maintain_order=True):
        code = str(insurer)
        sender = speaker_for(centre, code)
        if sender is None:
            yield Told(telling.number, code, "", "", "", lines.height)
            continue
        shown = lines.with_columns(pl.col("member_id").cast(pl.String).str.zfill(10))
        control = {
            "insurer_code": code,
            "telling_number": f"{telling.number:06d}",
            "creation_date": telling.day,
        }
        content = b"".join(
            [
                render.control(form, control),
                render.records(form, codes.STATE_SECTION, shown),
                render.end(form, {"record_count": f"{lines.height:08d}"}),
            ]
        )
        name, digest = codes.states_name(code, telling.number), hashlib.sha256(content).hexdigest()
        centre.outbox(sender).put(name, content, digest)
        centre.observe("states laid out", step="tell_codes")
        yield Told(telling.number, code, sender, name, digest, lines.height)
