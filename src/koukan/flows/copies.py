"""Flow 2-(4) 情報提供（副本）, as far as copies are the insurers': registered, looked at, erased.

The 副本区画 is the table `replica_partition`: a partition for each insurer under a key of its own.
Rows are events by 被保険者枝番, without 個人番号 and without 紐付番号; the last word of each key
counts (`rules.copies`). An insurer, and nobody else, gets what stands there, in a sealed package.
Benefits and premiums are in its rows alone: no other table has such an item.
"""

from __future__ import annotations

import polars as pl

from koukan.flows.registration import stored_type
from koukan.formats.model import Format
from koukan.rules.copies import KEY, ORDER
from koukan.tables.definition import TableDefinition

REGISTRATION, QUERY, EXTRACT = "copy_registration", "copy_query", "copy_extract"
SECTION, QUERY_SECTION = "copy", "wanted_copy"  # the first also of the extract
REPLICA = "replica_partition"
PREFIX = "CX"
NO_KEY = "R508"
PLACE: dict[str, pl.DataType] = {
    "reception": pl.Int64(),
    "line_number": pl.Int64(),
    "group_number": pl.Int64(),
}
SORTED_BY = (*KEY, *ORDER)


def columns(form: Format) -> dict[str, pl.DataType]:
    """Of a row: the items of the registration's record, and where it was told."""
    (record,) = form.records
    own = {item.name: stored_type(item) for item in record.own}
    return own | {"member_id": pl.Int64()} | PLACE


def definition(form: Format) -> TableDefinition:
    """副本区画: a partition and a key for each insurer, its files looked into by 被保険者枝番."""
    return TableDefinition(REPLICA, ("insurer",), {"": columns(form)}, None, frozenset({""}))
