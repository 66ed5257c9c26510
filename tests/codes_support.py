"""機関別符号 by hand: events of `linkage_codes`, as they come to lie in the table."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl

from koukan.engine.centre import Centre, held_version, version_of
from koukan.engine.codes import counted
from koukan.engine.rewriting import row_of
from koukan.engine.steps.commit import file_name
from koukan.flows.codes import CODES, COLUMNS
from koukan.flows.registration import FORMAT
from koukan.ledger import Ledger
from koukan.ledger.codes import put_events
from koukan.rules.linkage import ASKED, FAILED, SET, WANTED
from koukan.tables.definition import bucket_label, bucket_of_link

Row = dict[str, Any]


def wanted(link: int, at: int = 0, *, reissue: bool = False) -> Row:
    """`at`: the group."""
    return {"link_number": link, "event": WANTED, "reissue": reissue, "group_number": at}


def asked(link: int, at: int = 0) -> Row:
    return {**wanted(link, at), "event": ASKED}


def made(link: int, code: str, at: int = 0) -> Row:
    return {**wanted(link, at), "event": SET, "linkage_code": code}


def failed(link: int, at: int = 0) -> Row:
    return {**wanted(link, at), "event": FAILED, "result_detail_code": "0001"}


def frame(rows: Iterable[Row]) -> pl.DataFrame:
    common = {"request": 0, "reception": 1, "line_number": 2}
    common["request_record_number"] = 0
    return pl.DataFrame([common | row for row in rows], schema=COLUMNS)


def put(centre: Centre, *rows: Row) -> None:
    """Commit events, in a group of their own."""
    table, buckets = centre.tables[CODES], centre.site.buckets
    group = centre.ledger.form_group(FORMAT, [], centre.now())
    events = frame({**row, "group_number": group} for row in rows).sort("link_number")
    places = bucket_of_link(events["link_number"].to_numpy(), buckets)
    bounds = np.searchsorted(places, np.arange(buckets + 1)).tolist()
    files = [
        table.write(
            {"bucket": bucket_label(bucket, buckets)},
            events[start:stop],
            file_name(group, 1, 0),
        )
        for bucket, (start, stop) in enumerate(pairwise(bounds))
        if stop > start
    ]
    held = version_of(centre.ledger.table_versions()[CODES])
    version = table.commit(files, [], transaction=group, expected=held)
    with centre.ledger.begin() as transaction:
        Ledger.put_group_files(transaction, group, [row_of(CODES, file) for file in files])
        Ledger.put_table_version(transaction, held_version(CODES, version))
        put_events(transaction, counted(events))
        Ledger.set_group(transaction, group, "committed")
