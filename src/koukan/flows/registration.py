"""Flow 1-(1) registration: what is written where when an insurer's lines are accepted.

Step 1-1: the insurer's 委託区画 (`entrusted_partition`) gets what it registered, keyed by
被保険者枝番, with the 紐付番号 in place of the 個人番号. Step 1-2: the 資格履歴ファイル
(`qualification_history`) gets the same events by 紐付番号, across all insurers; the `vault` learns
which token belongs to which 紐付番号. Events are appended; the current view is computed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import polars as pl

from koukan.formats.model import Field, Format
from koukan.tables.definition import TableDefinition, bucket_label, bucket_of_link, bucket_of_token

VAULT, PARTITION, HISTORY = "vault", "entrusted_partition", "qualification_history"
ROSTER = "roster"  # section of a partition: 紐付番号 <-> 被保険者枝番, one to one
FORMAT = "member_registration"
LINK_DIGITS, MEMBER_DIGITS = 16, 10

EVENT: dict[str, pl.DataType] = {
    "link_number": pl.Int64(),
    "member_id": pl.Int64(),
    "process_type_code": pl.String(),
    "access_group_code": pl.String(),
    "reception": pl.Int64(),
    "line_number": pl.Int64(),
    "group_number": pl.Int64(),
}
TOKENS: dict[str, pl.DataType] = {
    "token_hi": pl.UInt64(),
    "token_lo": pl.UInt64(),
    "link_number": pl.Int64(),
    "origin": pl.String(),  # issued, or replaced: 更新後個人番号 of a person known before
    "reception": pl.Int64(),
    "group_number": pl.Int64(),
}
ROSTER_COLUMNS: dict[str, pl.DataType] = {
    "link_number": pl.Int64(),
    "member_id": pl.Int64(),
    "reception": pl.Int64(),
    "group_number": pl.Int64(),
}
# Which run wrote a row, not what it says: left out of the state digest.
INCIDENTAL = ("group_number",)


def stored_type(item: Field) -> pl.DataType:
    """A field's type at rest: certain dates are days, everything else stays as it was given."""
    return pl.Date() if item.type == "date" and not item.uncertain else pl.String()


def definitions(form: Format, buckets: int) -> dict[str, TableDefinition]:
    """The three tables of this flow, for the sections of the registration format."""
    own = {
        record.section: {item.name: stored_type(item) for item in record.own}
        for record in form.records
    }
    insurer: dict[str, pl.DataType] = {"insurer_code": pl.String()}
    return {
        VAULT: TableDefinition(VAULT, ("bucket",), {"": TOKENS}, buckets),
        PARTITION: TableDefinition(
            PARTITION,
            ("insurer", "section"),
            {ROSTER: ROSTER_COLUMNS} | {name: EVENT | own[name] for name in own},
            None,
        ),
        HISTORY: TableDefinition(
            HISTORY,
            ("bucket", "section"),
            {name: EVENT | insurer | own[name] for name in own},
            buckets,
        ),
    }


def partition_frames(events: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Accepted lines of one section by insurer, in line order; columns of the partition's section.

    Args:
        events: EVENT columns, `insurer_code`, and those of the section's own that have a value.
    """
    insurers = events["insurer_code"].unique().sort().to_list()
    plain = events.drop("insurer_code")
    if len(insurers) == 1:
        return {insurers[0]: plain}
    return {code: plain.filter(events["insurer_code"] == code) for code in insurers}


def history_frames(events: pl.DataFrame, buckets: int) -> Iterator[tuple[str, pl.DataFrame]]:
    """The same lines by bucket of the 紐付番号, sorted by it, reception and line."""
    links = events["link_number"].to_numpy()
    order = np.argsort(links, kind="stable")  # they come in (reception, line) order
    bounds = np.searchsorted(bucket_of_link(links[order], buckets), np.arange(buckets + 1))
    for bucket, (start, stop) in enumerate(pairwise(bounds)):
        if stop > start:  # gathered bucket by bucket: no second copy of all rows
            yield bucket_label(bucket, buckets), events[order[int(start) : int(stop)]]


def vault_frames(rows: pl.DataFrame, buckets: int) -> Iterator[tuple[str, pl.DataFrame]]:
    """New tokens by bucket, sorted by token: a bucket is a range of them."""
    ordered = rows.sort("token_hi", "token_lo")
    found = bucket_of_token(ordered["token_hi"], buckets).to_numpy()
    for bucket, (start, stop) in enumerate(
        pairwise(np.searchsorted(found, np.arange(buckets + 1)))
    ):
        if stop > start:
            yield bucket_label(bucket, buckets), ordered[int(start) : int(stop)]


def roster_frames(rows: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """New 被保険者枝番 by insurer, sorted by 紐付番号."""
    parts = rows.sort("link_number").partition_by("insurer_code", as_dict=True)
    return {str(key[0]): frame.drop("insurer_code") for key, frame in sorted(parts.items())}


def insurer_texts(codes: npt.NDArray[np.int64]) -> pl.Series:
    """保険者コード as its eight digits."""
    return pl.Series("insurer_code", codes).cast(pl.String).str.zfill(8)


def event_columns(columns: Mapping[str, pl.Series]) -> list[pl.Series]:
    """EVENT's columns in their order and types."""
    return [columns[name].cast(dtype).alias(name) for name, dtype in EVENT.items()]
