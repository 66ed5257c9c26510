"""Flow 1-(1) registration: what is written where when an insurer's lines are accepted.

Step 1-1: the insurer's 委託区画 (`entrusted_partition`) gets what it registered, keyed by
被保険者枝番, with the 紐付番号 in place of the 個人番号. Step 1-2: the 資格履歴ファイル
(`qualification_history`) gets the same events by 紐付番号, across all insurers; the `vault` learns
which token belongs to which 紐付番号. Events are appended; the current view is computed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl

from koukan.formats.model import Field, Format
from koukan.rules.line_keys import NONE
from koukan.rules.register import Ints
from koukan.tables.definition import TableDefinition, bucket_label, bucket_of_link, bucket_of_token

VAULT, PARTITION, HISTORY = "vault", "entrusted_partition", "qualification_history"
PERSON_LINKS = "person_links"
Number = TypeVar("Number", bound=np.generic)
ROSTER = "roster"  # section of a partition: 紐付番号 <-> 被保険者枝番, one to one
QUALIFICATION = "qualification"  # section of 加入者資格情報
BASIC, CLASS = "basic", "member_class_code"  # section of 加入者基本情報, its 加入者区分コード
FORMAT, FIXED = FORMATS = "member_registration", "member_registration_fixed"
LINK_DIGITS, MEMBER_DIGITS = 16, 10

FORMER = "former_insurer_code"  # whose the person was before 保険者コード（変更後）

EVENT: dict[str, pl.DataType] = {
    "link_number": pl.Int64(),
    "member_id": pl.Int64(),
    "process_type_code": pl.String(),
    "access_group_code": pl.String(),
    "reception": pl.Int64(),
    "line_number": pl.Int64(),
    "group_number": pl.Int64(),
    FORMER: pl.String(),
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
LINKS: dict[str, pl.DataType] = {  # what insurers said of persons; see `rules.persons`
    "act": pl.String(),  # joined, parted, renumbered, withdrawn or moved
    "insurer_code": pl.String(),
    "member_id": pl.Int64(),
    "link_number": pl.Int64(),
    "survivor": pl.Int64(),
    "rank": pl.Int64(),  # of a joined link and its survivor: in which order they were issued
    "survivor_rank": pl.Int64(),
    "successor": pl.Int64(),  # 被保険者枝番 that a renumbered one goes on as
    "reception": pl.Int64(),
    "group_number": pl.Int64(),
}
# Which run wrote a row, not what it says: left out of the state digest.
INCIDENTAL = ("group_number",)


def stored_type(item: Field) -> pl.DataType:
    """A field's type at rest: certain dates are days, everything else stays as it was given."""
    return pl.Date() if item.type == "date" and not item.uncertain else pl.String()


def definitions(form: Format, buckets: int) -> dict[str, TableDefinition]:
    """The tables of this flow, for the sections of the registration format."""
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
            frozenset({ROSTER}),
        ),
        HISTORY: TableDefinition(
            HISTORY,
            ("bucket", "section"),
            {name: EVENT | insurer | own[name] for name in own},
            buckets,
            spread=True,
        ),
        PERSON_LINKS: TableDefinition(PERSON_LINKS, (), {"": LINKS}, None),
    }


def gathered(events: pl.DataFrame, places: Ints) -> pl.DataFrame:
    """Lines at these places by 保険者コード, in the order given: neighbours have much in common.

    Both tables get their rows out of this one copy.

    Args:
        events: EVENT columns, `insurer`, and those of the section's own that have a value; any.

    Returns:
        the same columns; who waits has no 紐付番号.
    """
    return waiting(events[places[np.argsort(events["insurer"].to_numpy()[places], kind="stable")]])


def partition_frames(rows: pl.DataFrame) -> Iterator[tuple[str, pl.DataFrame]]:
    """Rows of `gathered` by insurer, as a section of its 委託区画 has them."""
    different, starts = np.unique(rows["insurer"].to_numpy(), return_index=True)
    held = without_insurer(rows)
    bounds = pairwise([*starts.tolist(), rows.height])
    for code, (start, stop) in zip(different.tolist(), bounds, strict=True):
        yield f"{code:08d}", held[start:stop]


def history_frame(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows of `gathered` for the 資格履歴: only of persons whose 個人番号 the insurer has."""
    if rows["link_number"].null_count():
        rows = rows.filter(pl.col("link_number").is_not_null())
    return without_insurer(rows).hstack([enumerated(insurer_texts(rows["insurer"]))])


def without_insurer(rows: pl.DataFrame) -> pl.DataFrame:
    return rows[[name for name in rows.columns if name != "insurer"]]


def bucket_frames(rows: pl.DataFrame, buckets: int) -> Iterator[tuple[str, pl.DataFrame]]:
    """Rows of the 資格履歴 by bucket of their 紐付番号, in the order given."""
    found = bucket_of_link(rows["link_number"].to_numpy(), buckets).astype(np.uint16)
    order = np.argsort(found, kind="stable")
    bounds = np.searchsorted(found[order], np.arange(buckets + 1))
    for bucket, (start, stop) in enumerate(pairwise(bounds)):
        if stop > start:  # gathered bucket by bucket: no second copy of all rows
            yield bucket_label(bucket, buckets), rows[order[int(start) : int(stop)]]


def ascending(numbers: npt.NDArray[Number], *others: npt.NDArray[Number]) -> npt.NDArray[np.int64]:
    """Indices that sort by the numbers, then by the others, then by place.

    Such numbers hardly ever repeat. Without regard to that polars sorts them in half of numpy's
    time, on two cores in a third.
    """
    order = pl.Series(numbers).arg_sort().to_numpy().astype(np.int64)
    ordered = numbers[order]
    if np.any(ordered[1:] == ordered[:-1]):
        order = np.lexsort((*reversed(others), numbers))
    return order


def vault_frames(rows: pl.DataFrame, buckets: int) -> Iterator[tuple[str, pl.DataFrame]]:
    """New tokens by bucket, sorted by token: a bucket is a range of them."""
    order = ascending(rows["token_hi"].to_numpy(), rows["token_lo"].to_numpy())
    found = bucket_of_token(rows["token_hi"][order], buckets).to_numpy()
    for bucket, (start, stop) in enumerate(
        pairwise(np.searchsorted(found, np.arange(buckets + 1)))
    ):
        if stop > start:  # gathered bucket by bucket: no second copy of all rows
            yield bucket_label(bucket, buckets), rows[order[int(start) : int(stop)]]


def roster_frames(rows: pl.DataFrame) -> Iterator[tuple[str, pl.DataFrame]]:
    """New 被保険者枝番 by insurer, sorted by them, as people ask by them."""
    return partition_frames(gathered(rows, ascending(rows["member_id"].to_numpy())))


def waiting(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows with no 紐付番号 where a person waits for one."""
    waits = rows["link_number"] == NONE
    if not waits.any():
        return rows
    return rows.with_columns(pl.when(~waits).then("link_number").alias("link_number"))


def insurer_texts(codes: pl.Series) -> pl.Series:
    """保険者コード as its eight digits: there are few, so no text is made for every row."""
    different = codes.unique().sort()
    texts = different.cast(pl.String).str.zfill(8)
    if len(different) == 1:
        return texts.new_from_index(0, len(codes)).alias("insurer_code")
    return texts[different.search_sorted(codes)].alias("insurer_code")


def enumerated(texts: pl.Series) -> pl.Series:
    """Texts of which there are few, as places in their list."""
    return texts.cast(pl.Enum(texts.unique().sort()))


def event_columns(columns: Mapping[str, pl.Series]) -> list[pl.Series]:
    """EVENT's columns that are given, in their order and types; codes as they come."""
    return [
        (columns[name] if dtype == pl.String else columns[name].cast(dtype)).alias(name)
        for name, dtype in EVENT.items()
        if name in columns
    ]
