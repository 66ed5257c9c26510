"""What lines suppose that their insurer told before (R411 to R413), asked of what it told.

Of who has a 個人番号 the 資格履歴 tells it; of who waits for one the 委託区画 of the insurer, until
that person goes on at another one (statement `moved`). A line that brings the number is asked by
what was told while the person waited. Earlier files of the group are not in the tables yet: whose
words theirs are is decided by all statements known until now, as it is for those of the tables.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from koukan.engine.asof import events_under
from koukan.engine.registry import HOLDER, Registry
from koukan.flows.registration import BASIC, CLASS, PARTITION, QUALIFICATION, insurer_texts
from koukan.rules.hindsight import (
    NAMED,
    SAID,
    WORDS,
    Spoken,
    place_of,
    supposing,
    unfounded,
    unnumbered,
)
from koukan.rules.line_keys import NONE
from koukan.rules.link import rejections
from koukan.rules.persons import MEMBERS, MOVED, People
from koukan.rules.register import Ints, Mask, Persons
from koukan.rules.settling import Linked
from koukan.rules.spells import ORDER, PROCESS, WORD, with_moves
from koukan.tables import encrypted

DAY = "qualification_date"


def without_reason(
    registry: Registry, persons: Persons, linked: Linked, spoken: Spoken
) -> pl.DataFrame:
    """Whose lines suppose what their insurer never told: person, field, code."""
    asks = supposing(persons, linked.rejected)
    rows = np.flatnonzero(asks[spoken.person])
    if not len(rows):
        return rejections(asks & False, "process_type_code", "R411")
    waits = (linked.link == NONE) | linked.linking
    member = registry.people.current(persons.insurer, linked.member)
    whom = np.where(
        waits, unnumbered(persons.insurer, member), registry.people.canonical(linked.link)
    )
    at = spoken.person[rows]
    asked = pl.DataFrame(
        {
            "person": at,
            "whom": whom[at],
            "insurer": persons.insurer[at].astype(np.int64),
            "day": spoken.day[rows],
            "place": registry.places(persons)[at],
            "process": persons.process[at].astype(np.int8),
        }
    )
    said = [
        registry.words,
        registry.said(persons, linked, spoken),
        *_entrusted(registry, persons, member, asks & waits),
    ]
    words = [_history(registry, np.unique(whom[asks & ~waits])), _addressed(registry, said)]
    wrong = unfounded(asked, pl.concat(words))
    return wrong.select("person", field=pl.lit("process_type_code"), code="code")


def _history(registry: Registry, persons: Ints) -> pl.DataFrame:
    """WORDS of the history about these persons."""
    centre, people = registry.centre, registry.people
    raw = np.unique(people.raw_links(persons)[1])
    spells = events_under(centre, QUALIFICATION, raw, (*WORD, "member_id"))
    classes = events_under(centre, BASIC, raw, (*HOLDER, *ORDER, PROCESS, CLASS))
    whom, insurer = pl.col("link_number").alias("whom"), pl.col("insurer_code")
    events = [
        with_moves(people.attribute(spells)).select(whom, *_spell(insurer)),
        people.attribute(classes).select(whom, *_class(insurer)),
    ]
    return pl.concat(events).filter(pl.col("whom").is_in(pl.Series(persons).implode()))


def _entrusted(
    registry: Registry, persons: Persons, members: Ints, waits: Mask
) -> Iterator[pl.DataFrame]:
    """SAID of those who wait, by the 委託区画 of their insurers."""
    if not waits.any():
        return
    centre, partition = registry.centre, registry.centre.snapshot(PARTITION)
    names = registry.people.names(persons.insurer[waits], members[waits])
    by_insurer = names // MEMBERS
    for code in np.unique(by_insurer).tolist():  # each has files of its own
        own = pl.Series(names[by_insurer == code] % MEMBERS).implode()
        wanted = pl.col("member_id").is_in(own) & pl.col("link_number").is_null()
        insurer = pl.lit(code)
        for section, told in ((QUALIFICATION, _spell(insurer)), (BASIC, _class(insurer))):
            for file in partition.files(insurer=f"{code:08d}", section=section):
                rows = partition.scan(file).filter(wanted).select(*NAMED, *told)
                path = centre.tables[PARTITION].folder / file.path
                yield encrypted.collect(rows, path=path).select(SAID.names())


def _addressed(registry: Registry, said: list[pl.DataFrame]) -> pl.DataFrame:
    """SAID as WORDS: whose they are by the statements that are known."""
    whole = pl.concat(said)
    whole = whole.with_columns(insurer_texts(whole["insurer"])) if whole.height else whole
    told = registry.people.attribute(whole)
    links = told["link_number"].fill_null(NONE).to_numpy()
    insurers, members = told["insurer"].to_numpy(), told["member_id"].to_numpy()
    waiting = unnumbered(insurers, registry.people.current(insurers, members))
    whom = pl.Series(np.where(links == NONE, waiting, links), dtype=pl.Int64)
    words = told.with_columns(whom=whom).select(WORDS.names())
    moves = _moves(registry.statements, registry.people)
    return (
        words.join(moves, on="whom", how="left")
        .filter(pl.col("moved").is_null() | (pl.col("moved") < pl.col("place")))
        .select(WORDS.names())
    )


def _moves(statements: pl.DataFrame, people: People) -> pl.DataFrame:
    """whom, moved: when those who wait went on at another insurer the last time."""
    rows = statements.filter(pl.col("act") == MOVED)
    insurers = rows["insurer_code"].cast(pl.Int64).to_numpy()
    members = people.current(insurers, rows["member_id"].to_numpy())
    places = rows.select(moved=place_of(pl.col("group_number"), pl.col("reception")))
    whom = pl.Series("whom", unnumbered(insurers, members))
    return places.with_columns(whom).group_by("whom").agg(pl.col("moved").max())


def _spell(insurer: pl.Expr) -> list[pl.Expr]:
    """An event of 加入者資格情報 as a word."""
    return _word(insurer, pl.col(DAY).to_physical(), pl.lit(0))


def _class(insurer: pl.Expr) -> list[pl.Expr]:
    """An event of 加入者基本情報 as a word."""
    return _word(insurer, pl.lit(NONE), pl.col(CLASS).cast(pl.Int8))


def _word(insurer: pl.Expr, day: pl.Expr, kind: pl.Expr) -> list[pl.Expr]:
    """The rest of WORDS from an event's columns."""
    place = place_of(pl.col("group_number"), pl.col("reception"))
    return [
        insurer.cast(pl.Int64).alias("insurer"),
        day.cast(pl.Int64).alias("day"),
        place.alias("place"),
        pl.col("line_number").alias("line"),
        pl.col(PROCESS).cast(pl.Int8).alias("process"),
        kind.cast(pl.Int8).alias("class"),
    ]
