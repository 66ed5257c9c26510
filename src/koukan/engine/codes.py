"""機関別符号: events by group, whose they are, and of whom insurers are told.

What a group brought is found by the names of the data files, so a day's work opens few of them.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import pairwise

import numpy as np
import polars as pl

from koukan.engine.centre import Centre
from koukan.engine.datafiles import may_hold
from koukan.engine.issued import codes_of
from koukan.engine.people import people_of
from koukan.engine.steps import commit
from koukan.flows import codes
from koukan.flows.codes import CODES, COLUMNS
from koukan.flows.registration import ascending
from koukan.rules.linkage import expired
from koukan.rules.register import Ints
from koukan.sites.schedule import day_of, years_before
from koukan.tables import encrypted
from koukan.tables.definition import BUCKET, bucket_label, bucket_of_link
from koukan.tables.table import DataFile

COUNTED = ("group_number", "event", "request")


def rows_of(frame: pl.DataFrame, group: int, **values: object) -> pl.DataFrame:
    """Events as the table has them; what is not given is empty, numbers of nothing are 0."""
    zero = {"request": 0, "reception": 0, "line_number": 0, "reissue": False}
    given = {**zero, **values, "group_number": group}
    own = set(frame.columns) - set(values)
    columns = [
        (pl.col(name) if name in own else pl.lit(given.get(name))).cast(kind).alias(name)
        for name, kind in COLUMNS.items()
    ]
    return frame.select(columns)


def write(centre: Centre, group: int, attempt: int, rows: pl.DataFrame) -> list[DataFile]:
    """Events by bucket; nothing sees them before the ledger says so."""
    buckets = centre.site.buckets
    rows = rows[ascending(rows["link_number"].to_numpy())]
    places = bucket_of_link(rows["link_number"].to_numpy(), buckets)
    bounds = np.searchsorted(places, np.arange(buckets + 1)).tolist()
    name, table = commit.file_name(group, attempt, 0), centre.tables[CODES]
    return [
        table.write({BUCKET: bucket_label(bucket, buckets)}, rows[start:stop], name)
        for bucket, (start, stop) in enumerate(pairwise(bounds))
        if stop > start
    ]


def counted(rows: pl.DataFrame) -> list[dict[str, object]]:
    """Events in numbers, as the ledger takes them."""
    detail = pl.col("result_detail_code").fill_null("")
    found = rows.group_by(*COUNTED, detail.alias("detail")).agg(rows=pl.len())
    return list(found.sort(*COUNTED, "detail").to_dicts())


def brought(centre: Centre, groups: Collection[int], *columns: str) -> pl.DataFrame:
    """What these groups brought, in no order; all columns by default."""
    table, wanted = centre.tables[CODES], sorted(groups)
    chosen = columns or tuple(COLUMNS)
    inside = pl.col("group_number").is_in(wanted)
    files = [file for file in centre.snapshot(CODES).files() if may_hold(file, wanted)]
    rows = [table.open_file(file).filter(inside).select(chosen) for file in files]
    empty = pl.DataFrame(schema={name: COLUMNS[name] for name in chosen})
    return pl.concat([empty, *encrypted.collect_all(rows, path=table.folder)])


def holders(centre: Centre, codes: pl.Series) -> pl.Series:
    """Raw links under which any of these codes was ever set.

    Codes are as sensitive as numbers: they are compared here, and leave no process.
    """
    table = centre.tables[CODES]
    asked = pl.col("linkage_code").is_in(codes.implode())
    files = centre.snapshot(CODES).files() if len(codes) else []
    rows = [table.open_file(file).filter(asked).select("link_number") for file in files]
    empty = pl.DataFrame(schema={"link_number": pl.Int64})
    return pl.concat([empty, *encrypted.collect_all(rows, path=table.folder)])["link_number"]


def states_of(centre: Centre, persons: Ints) -> pl.DataFrame:
    """What became of asking for these persons' codes; see `issued.codes_of`, without codes."""
    return codes_of(centre, people_of(centre), persons).drop("linkage_code")


def over(centre: Centre, found: pl.DataFrame) -> Ints:
    """The persons of these spells for whom no code is kept any more, nor asked for; ascending."""
    site, today = centre.site, day_of(centre.clock())
    preparing = [one.code for one in site.insurers if one.kind in codes.PREPARING]
    kept = years_before(today, site.codes.kept_years)
    needed = years_before(today, site.online.needed_years)
    return expired(found, preparing, kept=kept, needed=needed)


def answered(events: Sequence[dict[str, object]]) -> dict[int, int]:
    """Request -> how many of its questions were answered."""
    found: dict[int, int] = {}
    for item in events:
        if item["event"] in ("set", "failed"):
            number = int(str(item["request"]))
            found[number] = found.get(number, 0) + int(str(item["rows"]))
    return found


def active(centre: Centre) -> bool:
    """Whether the site has both partners; without them nothing is asked for."""
    from_nws = centre.site.partner(codes.SYSTEM)
    return from_nws is not None and centre.site.partner("juki_net") is not None
