"""Look persons up in the vault and in the insurers' rosters, file by file: memory stays flat.

A token is as good as the number in law (番号法 2条8項): it is made here, compared here, and leaves
only into the vault.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice, pairwise
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl

from koukan.engine.centre import Centre
from koukan.flows.registration import PARTITION, ROSTER, VAULT
from koukan.rules.line_keys import NONE
from koukan.rules.roster import ROWS
from koukan.rules.tokens import TOKEN, linked
from koukan.tables import encrypted
from koukan.tables.definition import bucket_label, bucket_of_token
from koukan.tables.table import DataFile

MANY = 100_000  # rows with which a query or two takes ten times as long as a thread to start

Ints = npt.NDArray[np.int64]
Item = TypeVar("Item")
Result = TypeVar("Result")


def tokens_of(centre: Centre, numbers: Ints) -> pl.DataFrame:
    """`my_number` with its token: columns my_number, token_hi, token_lo."""
    high, low = centre.tokeniser.tokens(numbers)
    return pl.DataFrame({"my_number": numbers, "token_hi": high, "token_lo": low})


def links_of(centre: Centre, numbers: Ints) -> Ints:
    """紐付番号 of each 個人番号, `NONE` where the vault has none. Any order, with repetitions.

    A file at a time for each worker of the site, in threads of this process wherever its tasks run:
    tokens are nobody's argument.
    """
    result = np.full(len(numbers), NONE, np.int64)
    asked = np.flatnonzero(numbers != NONE)
    vault = centre.snapshot(VAULT)
    if not len(asked) or not vault.files():
        return result
    high, low = centre.tokeniser.tokens(numbers[asked])
    order = pl.Series(high).arg_sort().to_numpy()  # so by bucket, too
    tokens = pl.DataFrame({"row": asked[order], "token_hi": high[order], "token_lo": low[order]})
    buckets = centre.site.buckets
    places = bucket_of_token(tokens["token_hi"], buckets).to_numpy()
    bounds = np.searchsorted(places, np.arange(buckets + 1)).tolist()
    looks = [
        (file, tokens[start:stop])
        for bucket, (start, stop) in enumerate(pairwise(bounds))
        if stop > start
        for file in vault.files(bucket=bucket_label(bucket, buckets))
    ]

    def look(item: tuple[DataFile, pl.DataFrame]) -> pl.DataFrame:
        file, here = item
        rows = vault.scan(file).select(TOKEN)
        held = encrypted.collect(rows, path=centre.tables[VAULT].folder / file.path)
        return linked(here, held)

    for found in side_by_side(centre, look, looks):
        result[found["row"].to_numpy()] = found["link_number"].to_numpy()
    return result


def side_by_side(
    centre: Centre, look: Callable[[Item], Result], items: Iterable[Item]
) -> Iterator[Result]:
    """What a function of this process comes to for each item, some at once, in their order.

    No more of it is in memory than is looked up at once, and one.
    """
    waiting, count = iter(items), centre.site.workers.count
    first = list(islice(waiting, max(count, 2)))
    if len(first) <= 1:
        yield from map(look, first)
        return
    with ThreadPoolExecutor(count) as pool:
        running = deque(pool.submit(look, item) for item in first)
        try:
            while running:
                found = running.popleft().result()
                running.extend(pool.submit(look, item) for item in islice(waiting, 1))
                yield found
        finally:
            for left in running:
                left.cancel()


@contextmanager
def beside(work: Callable[[], Result], rows: int) -> Iterator[Callable[[], Result]]:
    """Have a thread do something while the block goes on; of few rows when the block asks for it.

    Gives what waits for it, and says what it came to. It has ended when the block has.
    """
    if rows < MANY:
        yield work
        return
    with ThreadPoolExecutor(1) as thread:
        yield thread.submit(work).result


def spread(values: Ints, keys: pl.Series, answers: pl.Series) -> Ints:
    """For each value the answer of its key, else `NONE`."""
    result = np.full(len(values), NONE, np.int64)
    if len(keys):
        order = np.argsort(keys.to_numpy(), kind="stable")
        ordered, replies = keys.to_numpy()[order], answers.to_numpy()[order]
        at = np.minimum(np.searchsorted(ordered, values), len(ordered) - 1)
        hit = ordered[at] == values
        result[hit] = replies[at[hit]]
    return result


def roster_rows(centre: Centre, links: pl.DataFrame, members: pl.DataFrame) -> pl.DataFrame:
    """Rows of rosters that name any of these.

    Args:
        links: insurer, link_number; each once.
        members: insurer, member_id; each once.

    Returns:
        `rules.roster.ROWS`, in no order; link_number is null while a member waits for its number.
    """
    partition = centre.snapshot(PARTITION)
    asked = [_by_insurer(links), _by_insurer(members)]
    found = [ROWS.to_frame()]
    for insurer in sorted(asked[0].keys() | asked[1].keys()):  # as many as insurers
        for file in partition.files(insurer=f"{insurer:08d}", section=ROSTER):
            rows = partition.scan(file).select("link_number", "member_id")
            for by in asked:
                if insurer in by:
                    hits = rows.join(by[insurer].lazy(), on=by[insurer].columns, how="semi")
                    own = pl.lit(insurer, pl.Int32).alias("insurer")
                    found.append(hits.with_columns(own).select(ROWS.names()).collect())
    return pl.concat(found)


def _by_insurer(asked: pl.DataFrame) -> dict[int, pl.DataFrame]:
    if asked.is_empty():
        return {}
    parts = asked.partition_by("insurer", as_dict=True, include_key=False)
    return {int(key[0]): frame for key, frame in parts.items()}
