"""Ask the 資格履歴 by date: which insurer had whom on which day, and as it was known when.

Millions of questions are answered bucket by bucket: a task reads the columns that it needs of the
bucket's files, one file after another, and keeps the rows of the persons asked about. So memory
holds one file's columns for each worker, and the questions.

A person of several 紐付番号 has events in several buckets. There are few of them: the tasks bring
theirs along, and they are answered last, together.
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
from koukan.engine.people import people_of
from koukan.engine.reading import undisturbed
from koukan.flows.registration import HISTORY, QUALIFICATION, ascending
from koukan.rules.persons import People
from koukan.rules.register import Ints, Mask
from koukan.rules.spells import WORD, on_days, spells
from koukan.tables import encrypted
from koukan.tables.definition import SECTION, bucket_label, bucket_of_link
from koukan.tables.table import DataFile

QUESTION = pl.Schema({"link_number": pl.Int64, "day": pl.Date})
ASKED = WORD  # columns that decide
BY_PERSON = (*ASKED, "member_id")  # those that decide whose an event is, too


class Share(NamedTuple):
    """The questions that one bucket answers, and its files."""

    files: tuple[DataFile, ...]
    groups: tuple[int, ...] | None  # whose events count; None: all that are there
    said: tuple[int, ...]  # whose statements on persons count
    questions: Ints  # the caller's numbers, in the order of the links
    links: Ints  # ascending
    days: npt.NDArray[np.int32]  # since 1970-01-01
    scattered: Ints  # 紐付番号 of persons who have others elsewhere, ascending


class Answer(NamedTuple):
    """Of one bucket."""

    answers: pl.DataFrame
    scattered: pl.DataFrame  # events: BY_PERSON


def insurers_on(
    centre: Centre, questions: pl.DataFrame, *, known: str | None = None
) -> Iterator[pl.DataFrame]:
    """Which insurers had whom on which day, for any number of questions.

    Args:
        questions: `link_number`, any of the person's, `day`; in any order, with repetitions.
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
        people = people_of(centre, groups)
        links = questions["link_number"].to_numpy()
        apart = people.scattered(links)
        gathered = []
        for found in centre.workers.map(answer, shares(centre, questions, apart, people, groups)):
            yield found.answers
            gathered.append(found.scattered)
        if gathered and apart.any():
            yield _together(pl.concat(gathered), questions, apart, people)


def shares(
    centre: Centre,
    questions: pl.DataFrame,
    apart: Mask,
    people: People,
    groups: Collection[int] | None,
) -> Iterator[Share]:
    """The questions by bucket; buckets without a question or a file have no share.

    Args:
        apart: questions about persons of several 紐付番号.
    """
    every, days = (questions[name].to_numpy() for name in QUESTION)
    order = ascending(every)
    order = order[~apart[order]]
    links, days = every[order], days[order].astype("datetime64[D]").astype(np.int32)
    scattered = np.unique(people.raw_links(np.unique(every[apart]))[1])
    buckets = centre.site.buckets
    bounds, others = (
        np.searchsorted(bucket_of_link(numbers, buckets), np.arange(buckets + 1)).tolist()
        for numbers in (links, scattered)
    )
    files = files_of(centre, QUALIFICATION)
    chosen = None if groups is None else tuple(groups)
    for bucket, (start, stop) in enumerate(pairwise(bounds)):
        here = files.get(bucket_label(bucket, buckets), ())
        more = scattered[others[bucket] : others[bucket + 1]]
        if here and (stop > start or len(more)):
            mine = slice(start, stop)
            asked = order[mine], links[mine], days[mine]
            yield Share(tuple(here), chosen, people.groups, *asked, more)


def answer(centre: Centre, share: Share) -> Answer:
    """Task: one bucket's answers."""
    wanted = np.union1d(share.links, share.scattered)
    if share.said:
        found = events_of(centre, share.files, wanted, BY_PERSON, share.groups)
        mine = pl.col("link_number").is_in(pl.Series(share.scattered).implode())
        scattered = found.filter(mine)
        events = people_of(centre, share.said).attribute(found.filter(~mine))
    else:
        events = events_of(centre, share.files, wanted, ASKED, share.groups)
        scattered = events.head(0)
    questions = pl.DataFrame(
        {
            "question": share.questions,
            "link_number": share.links,
            "day": pl.Series(share.days).cast(pl.Date),
        }
    )
    return Answer(on_days(spells(events), questions), scattered)


def _together(
    events: pl.DataFrame, questions: pl.DataFrame, apart: Mask, people: People
) -> pl.DataFrame:
    """Answers about persons whose events were brought from everywhere."""
    asked = questions.select(
        question=pl.int_range(pl.len(), dtype=pl.Int64),
        link_number=pl.Series(people.canonical(questions["link_number"].to_numpy())),
        day="day",
    )
    return on_days(spells(people.attribute(events)), asked.filter(pl.Series(apart)))


def files_of(centre: Centre, section: str) -> Mapping[str, Sequence[DataFile]]:
    """A section's files by bucket."""
    return dict(centre.snapshot(HISTORY).by_bucket(**{SECTION: section}))


def events_under(centre: Centre, section: str, links: Ints, columns: Sequence[str]) -> pl.DataFrame:
    """A section's events under these raw links; only their buckets are looked into."""
    buckets = centre.site.buckets
    types = centre.tables[HISTORY].definition.sections[section]
    found = [pl.DataFrame(schema={name: types[name] for name in columns})]
    files = files_of(centre, section)
    places = bucket_of_link(links, buckets)
    for bucket in np.unique(places).tolist():
        if here := files.get(bucket_label(bucket, buckets), ()):
            found.append(events_of(centre, here, links[places == bucket], columns, None))
    return pl.concat(found)


def events_of(
    centre: Centre,
    files: Sequence[DataFile],
    links: Ints | None,
    columns: Sequence[str],
    groups: Collection[int] | None,
) -> pl.DataFrame:
    """The events of these persons, or of all, in some files of one section, file by file.

    The files' reader drops other persons' rows before it decodes what else they say.
    """
    table = centre.tables[HISTORY]
    types = table.definition.columns(files[0].partition)
    parts = [pl.DataFrame(schema={name: types[name] for name in columns})]
    wanted = []
    if links is not None:
        wanted.append(pl.col("link_number").is_in(pl.Series(links).implode()))
    if groups is not None:
        wanted.append(pl.col("group_number").is_in(list(groups)))
    for file in files:
        rows = table.open_file(file).select(columns).filter(*wanted)
        parts.append(encrypted.collect(rows, path=table.folder / file.path))
    return pl.concat(parts)
