"""Ask the 資格履歴 by date: which insurer had whom on which day, and as it was known when.

Millions of questions are answered bucket by bucket: a task reads the columns that it needs of the
bucket's files, one file after another, and keeps the rows of the persons asked about. So memory
holds one file's columns for each worker, and the questions.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from koukan.engine.centre import Centre
from koukan.engine.nights import groups_until
from koukan.engine.reading import undisturbed
from koukan.flows.registration import HISTORY, QUALIFICATION, ascending
from koukan.rules.spells import END, KEY, ORDER, on_days, spells
from koukan.tables import encrypted
from koukan.tables.definition import BUCKET, SECTION, bucket_label, bucket_of_link
from koukan.tables.table import DataFile

QUESTION = pl.Schema({"link_number": pl.Int64, "day": pl.Date})
ASKED = (*KEY, END, *ORDER)  # columns that decide

Ints = npt.NDArray[np.int64]


class Share(NamedTuple):
    """The questions that one bucket answers, and its files."""

    files: tuple[DataFile, ...]
    groups: tuple[int, ...] | None  # whose events count; None: all that are there
    questions: Ints  # the caller's numbers, in the order of the links
    links: Ints  # ascending
    days: npt.NDArray[np.int32]  # since 1970-01-01


def insurers_on(
    centre: Centre, questions: pl.DataFrame, *, known: str | None = None
) -> Iterator[pl.DataFrame]:
    """Which insurers had whom on which day, for any number of questions.

    Args:
        questions: `link_number`, `day`; in any order, with repetitions.
        known: a night (YYYY-MM-DD): as it was known at its end. None: as it is known now.

    Returns:
        bucket by bucket, `rules.spells.ANSWER`: `question` is the question's row, and a row of it
        comes for each insurer; none for a person whom nobody had or nobody knows.

    Raises:
        TableRefused: a file that had to be read is not what it should be.
        TransientError: files were written anew meanwhile; ask again.
    """
    groups = None if known is None else groups_until(centre, known)
    with undisturbed(centre):
        yield from centre.workers.map(answer, shares(centre, questions, groups))


def shares(
    centre: Centre, questions: pl.DataFrame, groups: Collection[int] | None
) -> Iterator[Share]:
    """The questions by bucket; buckets without a question or a file have no share."""
    links, days = (questions[name].to_numpy() for name in QUESTION)
    order = ascending(links)
    links, days = links[order], days[order].astype("datetime64[D]").astype(np.int32)
    buckets = centre.site.buckets
    bounds = np.searchsorted(bucket_of_link(links, buckets), np.arange(buckets + 1))
    files = files_of(centre, QUALIFICATION)
    chosen = None if groups is None else tuple(groups)
    for bucket, (start, stop) in enumerate(pairwise(bounds.tolist())):
        here = files.get(bucket_label(bucket, buckets), ())
        if stop > start and here:
            yield Share(tuple(here), chosen, order[start:stop], links[start:stop], days[start:stop])


def answer(centre: Centre, share: Share) -> pl.DataFrame:
    """Task: one bucket's answers."""
    wanted = share.links[np.concatenate([[True], share.links[1:] != share.links[:-1]])]
    events = events_of(centre, share.files, wanted, ASKED, share.groups)
    questions = pl.DataFrame(
        {
            "question": share.questions,
            "link_number": share.links,
            "day": pl.Series(share.days).cast(pl.Date),
        }
    )
    return on_days(spells(events), questions)


def files_of(centre: Centre, section: str) -> Mapping[str, Sequence[DataFile]]:
    """A section's files by bucket."""
    found: dict[str, list[DataFile]] = {}
    for file in centre.snapshot(HISTORY).files(**{SECTION: section}):
        if file.rows:
            found.setdefault(file.partition[BUCKET], []).append(file)
    return found


def events_of(
    centre: Centre,
    files: Sequence[DataFile],
    links: Ints,
    columns: Sequence[str],
    groups: Collection[int] | None,
) -> pl.DataFrame:
    """The events of these persons in some files of one section, file by file.

    The files' reader drops other persons' rows before it decodes what else they say.
    """
    table = centre.tables[HISTORY]
    types = table.definition.columns(files[0].partition)
    parts = [pl.DataFrame(schema={name: types[name] for name in columns})]
    wanted = pl.col("link_number").is_in(pl.Series(links).implode())
    if groups is not None:
        wanted &= pl.col("group_number").is_in(list(groups))
    for file in files:
        rows = table.open_file(file).select(columns).filter(wanted)
        parts.append(encrypted.collect(rows, path=table.folder / file.path))
    return pl.concat(parts)
