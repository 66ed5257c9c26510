"""What was issued for persons, read by 紐付番号: bucket by bucket, file by file."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import polars as pl

from koukan.engine.centre import Centre
from koukan.engine.lookup import side_by_side
from koukan.flows.codes import CODES, COLUMNS
from koukan.flows.pmh import ISSUES
from koukan.rules.issuing import held, raw_links_of
from koukan.rules.linkage import of_persons
from koukan.rules.persons import People
from koukan.rules.register import Ints
from koukan.tables import encrypted
from koukan.tables.definition import bucket_label, bucket_of_link
from koukan.tables.table import DataFile

ISSUED = pl.Schema({"link_number": pl.Int64, "pmh_id": pl.Int64})


def pmh_ids_of(centre: Centre, people: People, persons: Ints) -> pl.DataFrame:
    """The PMH-IDs that persons have.

    Args:
        persons: 紐付番号 by which they are shown, in any order, with repetitions; `NONE` is nobody.

    Returns:
        ISSUED: `link_number` (as shown) and `pmh_id`, of those who have one, each once.

    Raises:
        TableRefused: a file is not what the ledger says.
    """
    if not centre.snapshot(ISSUES).files():
        return ISSUED.to_frame()
    found = held(
        issues_under(centre, raw_links_of(people, persons)), people, centre.link_issuer.counters
    )
    if people.trivial:  # then nobody but who was asked for was looked under
        return found
    wanted = pl.Series(np.unique(persons)).implode()
    return found.filter(pl.col("link_number").is_in(wanted))


def all_pmh_ids(centre: Centre, people: People) -> pl.DataFrame:
    """The PMH-ID of every person who has one, ISSUED; memory grows with their number."""
    table = centre.snapshot(ISSUES)
    parts = [ISSUED.to_frame()]
    parts += [table.scan(file).select(ISSUED.names()).collect() for file in table.files()]
    return held(pl.concat(parts), people, centre.link_issuer.counters)


def issues_under(centre: Centre, links: Ints) -> pl.DataFrame:
    """ISSUED under these raw links (ascending, each once); only their buckets are looked into."""
    return rows_under(centre, ISSUES, ISSUED, links)


def code_events_under(centre: Centre, links: Ints) -> pl.DataFrame:
    """What `linkage_codes` has under these raw links (ascending, each once)."""
    return rows_under(centre, CODES, pl.Schema(COLUMNS), links)


def rows_under(centre: Centre, name: str, columns: pl.Schema, links: Ints) -> pl.DataFrame:
    """These columns of a table's rows under raw links, in no order."""
    table, buckets = centre.snapshot(name), centre.site.buckets
    places = bucket_of_link(links, buckets)
    bounds = np.searchsorted(places, np.arange(buckets + 1)).tolist()
    looks = [
        (file, links[start:stop])
        for bucket, (start, stop) in enumerate(pairwise(bounds))
        if stop > start
        for file in table.files(bucket=bucket_label(bucket, buckets))
    ]

    def look(item: tuple[DataFile, Ints]) -> pl.DataFrame:
        file, here = item
        asked = pl.DataFrame({"link_number": here}).lazy()
        rows = table.scan(file).select(columns.names()).join(asked, on="link_number", how="semi")
        return encrypted.collect(rows, path=centre.tables[name].folder / file.path)

    return pl.concat([columns.to_frame(), *side_by_side(centre, look, looks)])


def codes_of(centre: Centre, people: People, persons: Ints) -> pl.DataFrame:
    """The 機関別符号 of persons, and where none is set, what became of asking for it.

    Args:
        persons: 紐付番号 by which they are shown, in any order, with repetitions; `NONE` is nobody.

    Returns:
        `link_number` (as shown), `linkage_code`, `state` (`rules.linkage`), of those for whom a
        code was ever wanted, each once. The codes are as sensitive as numbers.

    Raises:
        TableRefused: a file is not what the ledger says.
    """
    events = code_events_under(centre, raw_links_of(people, persons))
    found = of_persons(events, people, centre.link_issuer.counters)
    return found.filter(pl.col("link_number").is_in(pl.Series(np.unique(persons)).implode()))
