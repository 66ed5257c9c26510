"""情報提供等記録 as they are looked at: of one person, or of a period. Never a 機関別符号 (2-R).

A person's are those under any code that the person ever had, and those of any 被保険者枝番 that an
insurer has known the person by; so nothing is missed when codes are erased before the records, or
numbers were joined and parted. No row that is shown has the code, and none is altered by a look.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import NamedTuple

import numpy as np
import polars as pl

from koukan.engine.asof import events_under
from koukan.engine.centre import Centre
from koukan.engine.history import Member, link_of
from koukan.engine.issued import code_events_under
from koukan.engine.people import people_of
from koukan.engine.reading import steady
from koukan.errors import UsageError
from koukan.flows.disclosure import MONTH, RECORDS
from koukan.flows.registration import MEMBER_DIGITS, QUALIFICATION
from koukan.oplog import OperationLog
from koukan.rules.issuing import raw_links_of
from koukan.rules.linkage import SET
from koukan.sites import Person
from koukan.tables import encrypted
from koukan.tables.table import DataFile

TOLD = (  # when, who, which information; and by what NWS knows it
    "provided_at",
    "requested_at",
    "inquirer_department_name",
    "task_name",
    "procedure_name",
    "provider_department_name",
    "provided_information_name",
    "insurer_code",
    "member_id",
    "processing_sequence",
    "processing_branch",
    "nondisclosure_code",
    "error_reason_code",
)
MEMBER = ("link_number", "insurer_code", "member_id")


class Found(NamedTuple):
    """What is told of a person.

    Args:
        rows: TOLD, the oldest first.
        withheld: how many more there are whose 不開示コード keeps them from the person.
        members: all that insurers know the person by.
    """

    rows: pl.DataFrame
    withheld: int
    members: tuple[Member, ...]


@steady
def of_person(centre: Centre, who: Member) -> Found:
    """The records of whom an insurer knows by a 被保険者枝番; none where there is nobody."""
    members, codes = _known(centre, who)
    own = pl.struct("insurer_code", "member_id").is_in(
        pl.Series([{"insurer_code": one[0], "member_id": int(one[1])} for one in members]).implode()
    )
    files = centre.snapshot(RECORDS).files()
    every = _read(centre, files, own | pl.col("linkage_code").is_in(codes.implode()))
    shut = pl.col("nondisclosure_code").is_in(list(centre.site.records.withheld))
    rows = every.filter(shut.not_() | pl.col("nondisclosure_code").is_null())
    return Found(rows, every.height - rows.height, members)


@steady
def of_period(centre: Centre, since: date, until: date) -> pl.DataFrame:
    """TOLD of what was provided from one day to another, both inclusive, JST."""
    if until < since:
        raise UsageError("records.order")
    first, last = since.strftime("%Y-%m"), until.strftime("%Y-%m")
    months = [
        file for file in centre.snapshot(RECORDS).files() if first <= file.partition[MONTH] <= last
    ]
    day = pl.col("provided_at").str.head(8)
    inside = day.is_between(pl.lit(since.strftime("%Y%m%d")), pl.lit(until.strftime("%Y%m%d")))
    return _read(centre, months, inside)


@contextmanager
def exporting(centre: Centre, person: Person, rows: int) -> Iterator[None]:
    """What was found leaves as a file in the block: logged under the name of who looked."""
    log = OperationLog(centre.folder("log"), person.name, centre.clock)
    with log.operation("record_export") as operation:
        operation.note(rows=rows)
        yield


def _read(centre: Centre, files: list[DataFile], mine: pl.Expr) -> pl.DataFrame:
    """TOLD of some rows; their codes stay in the query."""
    table = centre.tables[RECORDS]
    rows = [table.open_file(file).filter(mine).select(TOLD) for file in files]
    types = table.definition.sections[""]
    empty = pl.DataFrame(schema={name: types[name] for name in TOLD})
    found = pl.concat([empty, *encrypted.collect_all(rows, path=table.folder)])
    return found.sort(TOLD)


def _known(centre: Centre, who: Member) -> tuple[tuple[Member, ...], pl.Series]:
    """All that insurers know the person by, and every code that the person ever had.

    Records outlive members: whom the insurer knows no more is looked for by what was asked alone.
    """
    people = people_of(centre)
    nobody = pl.Series(dtype=pl.String)
    try:
        link = link_of(centre, people, who.insurer, int(who.member_id), None)
    except UsageError:
        return (who,), nobody
    person = np.array([link])
    links = raw_links_of(people, person)
    told = people.attribute(events_under(centre, QUALIFICATION, links, MEMBER).unique())
    mine = told.filter(pl.col("link_number") == link)
    insurers, members = (mine[name].cast(pl.Int64).to_numpy() for name in MEMBER[1:])
    pairs = {*zip(insurers, members, strict=True)}
    pairs |= {*zip(insurers, people.current(insurers, members), strict=True)}
    pairs.add((int(who.insurer), int(who.member_id)))
    events = code_events_under(centre, links)
    codes = events.filter(pl.col("event") == SET)["linkage_code"].unique()
    names = (Member(f"{one:08d}", f"{member:0{MEMBER_DIGITS}d}") for one, member in sorted(pairs))
    return tuple(names), codes
