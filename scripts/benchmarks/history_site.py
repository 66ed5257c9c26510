"""Make what `history.py` measures on: a site whose 資格履歴 holds the spells of many persons.

  history_site.py FOLDER --persons N --spells K --nights G --seed S [--compact once]

The rows are drawn here and written by the tables' own code under the site's own keys: G groups, a
K-th of which bring everybody's first spell, the next ones everybody's second, and so on; rosters
and vault with them. With --compact the tables' job runs once at the end, or as if it had after
every night (nightly). Started as a process of its own, so that nothing of it is in anybody's time
or memory. Prints one JSON document.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import measuring
import numpy as np
import numpy.typing as npt
import polars as pl
from sqlalchemy import func, select

from koukan.engine.centre import Centre, held_version, open_centre, version_of
from koukan.engine.initialise import initialise
from koukan.engine.rewriting import row_of
from koukan.engine.steps.commit import file_name
from koukan.flows.registration import (
    FORMAT,
    HISTORY,
    PARTITION,
    ROSTER,
    VAULT,
    vault_frames,
)
from koukan.ledger import Ledger, schema
from koukan.rules.checkdigits import complete
from koukan.rules.tiers import FAN_IN
from koukan.samples.draws import Draws, day_number
from koukan.samples.population import text, wide
from koukan.samples.vocabulary import GIVEN_HEADS, SURNAME_HEADS
from koukan.tables.definition import bucket_label, bucket_of_link
from koukan.tables.table import DataFile

Ints = npt.NDArray[np.int64]
INSURERS, BUCKETS = 20, 64
SPELLS = 15  # at most: spells of one person are with as many insurers
FIRST = day_number(date(2006, 4, 1))
NIGHT = datetime(2026, 4, 1, 12, 0, tzinfo=UTC)  # of the first group; each has a night of its own
NAMES = [f"{family}　{given}子" for family, _ in SURNAME_HEADS for given, _ in GIVEN_HEADS]
SITE = """\
buckets = {buckets}

[limits]
settle_seconds = 0.0

[[sender]]
name = "kenpo"
title = "架空健康保険組合連合"
doors = ["dedicated_terminal"]
insurers = {codes}
"""
INSURER = """
[[insurer]]
code = "{code}"
kind = "health_society"
title = "架空健康保険組合"
"""


class Shape(NamedTuple):
    """How many spells everybody has, and how many groups bring them: a multiple.

    compact: small files are merged, once at the end or nightly.
    """

    spells: int
    nights: int
    compact: str = ""


class Lives(NamedTuple):
    """Persons of one bucket in the order in which they were registered."""

    draws: Draws
    persons: Ints  # their counters
    links: Ints


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--persons", type=int, required=True)
    parser.add_argument("--spells", type=int, required=True)
    parser.add_argument("--nights", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--compact", choices=("", "once", "nightly"), default="")
    given = parser.parse_args()
    os.umask(0o077)
    shape = Shape(given.spells, given.nights, given.compact)
    measuring.say(make(given.folder, given.persons, shape, given.seed))


def make(folder: Path, persons: int, shape: Shape, seed: int) -> dict[str, object]:
    """The whole site."""
    centre = bare(folder)
    codes = insurer_codes()
    lives = list(everybody(centre, persons, seed))
    runs = []
    for night in range(1, shape.nights + 1):
        commit(centre, night, codes, lives, shape)
        nightly = shape.compact == "nightly" and night % FAN_IN == 0  # else nothing is to merge
        if nightly or (shape.compact == "once" and night == shape.nights):
            runs.append(measuring.run("koukan_compact.py", folder))
    found = {
        "persons": persons,
        "spells": sum(file.rows for file in centre.snapshot(HISTORY).files()),
        "files": len(centre.snapshot(HISTORY).files()),
        "bytes": sum(file.size for file in centre.snapshot(HISTORY).files()),
        "buckets": BUCKETS,
        "numbers": sum(file.rows for file in centre.snapshot(VAULT).files()),
        "compact": {
            "runs": len(runs),
            "nights": shape.nights,
            "seconds": sum(one["seconds"] for one in runs),
            "longest_s": max((one["seconds"] for one in runs), default=0),
            "rss_mib": max((one["rss_mib"] for one in runs), default=0),
            "bytes": sum(one["bytes"] for one in runs),
            "brought_bytes": brought(centre),
        },
    }
    centre.close()
    return found


def insurer_codes() -> pl.Series:
    return text(complete("insurer_number", 699_000 + np.arange(INSURERS, dtype=np.int64)), 8)


def bare(folder: Path) -> Centre:
    """A site with insurers and nothing in its tables."""
    root, key = folder / "site", folder / "keys" / "batch.key"
    root.mkdir(mode=0o700, parents=True)
    codes = insurer_codes()
    head = SITE.format(buckets=BUCKETS, codes=json.dumps(codes.to_list()))
    whole = head + "".join(INSURER.format(code=code) for code in codes)
    (root / "site.toml").write_text(whole, encoding="utf-8")
    initialise(root, key)
    return open_centre(root, key)


def brought(centre: Centre) -> int:
    """Bytes that the nights themselves have written."""
    files, groups = schema.group_files.c, schema.groups.c
    same = files.group_number == groups.number
    query = select(func.sum(files.size)).where(same, groups.format == FORMAT)
    return int(centre.ledger.read(query)[0][0])


def everybody(centre: Centre, persons: int, seed: int) -> Iterator[Lives]:
    """All persons by bucket."""
    links = centre.link_issuer.issue(np.arange(persons, dtype=np.int64))
    places = bucket_of_link(links, BUCKETS).astype(np.uint16)
    order = np.argsort(places, kind="stable")
    bounds = np.searchsorted(places[order], np.arange(BUCKETS + 1))
    for start, stop in pairwise(bounds.tolist()):
        mine = order[start:stop]
        yield Lives(Draws(seed), mine, links[mine])


class Spells(NamedTuple):
    """One spell of each person."""

    insurer: Ints  # by place in the list of codes
    begin: Ints  # days since 1970-01-01
    end: Ints
    goes_on: npt.NDArray[np.bool_]  # there is no end yet


def spell(draws: Draws, persons: Ints, place: int, spells: int) -> Spells:
    """The spells of persons that stand at this place, from 0.

    They follow one another with some days in between, each with another insurer; one in ten
    overlaps the next by a month, and the last one goes on for three in four.
    """
    length = 365 * 20 // spells
    begin = FIRST + draws.below("first", persons, 365) + place * length
    gap = draws.below(f"gap {place}", persons, 60) - 31 * (draws.below("over", persons, 10) == 0)
    last = place == spells - 1
    goes_on = draws.below("goes on", persons, 4) > 0 if last else np.zeros(len(persons), np.bool_)
    insurer = (draws.below("insurer", persons, INSURERS) + 7 * place) % INSURERS
    return Spells(insurer, begin, begin + length - gap, goes_on)


def events(
    centre: Centre, codes: pl.Series, at: tuple[int, int], shape: Shape, lives: Lives
) -> tuple[Ints, pl.DataFrame]:
    """What a night's group brings of one bucket's persons, and each line's insurer's number."""
    night, group = at
    place, part = divmod(night - 1, shape.nights // shape.spells)
    drawn = lives.draws.below("night", lives.persons, shape.nights // shape.spells)
    persons, links = lives.persons[drawn == part], lives.links[drawn == part]
    found = spell(lives.draws, persons, place, shape.spells)
    household = persons // 3
    ends = pl.Series(found.end.astype(np.int32)).set(pl.Series(found.goes_on), None)
    open_ended = found.goes_on.astype(np.int64)
    return found.insurer, pl.DataFrame({"link_number": links}).select(
        "link_number",
        member_id=pl.Series(centre.member_issuer.issue(persons * SPELLS + place)),
        process_type_code=pl.lit("1" if place == 0 else "2"),
        access_group_code=pl.lit("A0000001"),
        reception=pl.lit(night, pl.Int64),
        line_number=pl.Series(persons + 2),
        group_number=pl.lit(group, pl.Int64),
        insurer_code=codes.gather(found.insurer),
        insurer_number=codes.gather(found.insurer),
        insured_symbol="架空" + wide(household // 10**8 + 1),
        insured_number=wide(household // 10_000 % 10_000, 4) + wide(household % 10_000, 4),
        insured_branch_number=text(persons % 3 + 1, 2),
        qualification_date=pl.Series(found.begin.astype(np.int32)).cast(pl.Date),
        disqualification_date=ends.cast(pl.Date),
        personal_family_type=pl.Series(["1", "2"]).gather((persons % 3 > 0).astype(np.int64)),
        insured_name=pl.Series(NAMES).gather(household % len(NAMES)),
        loss_reason=pl.Series(["03", None]).gather(open_ended),
    )


def commit(centre: Centre, night: int, codes: pl.Series, lives: list[Lives], shape: Shape) -> None:
    """One night's group: its reception in the ledger, its data files, its commits."""
    number = centre.ledger.add_reception(reception(centre, night))
    assert number == night
    group = centre.ledger.form_group(FORMAT, [centre.ledger.reception(number)], centre.now())
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        task = partial(write, centre, (night, group), codes, shape)
        found = [one for one in pool.map(task, enumerate(lives)) if one is not None]
    files = [(HISTORY, file) for file, _ in found]
    members = pl.concat([frame for _, frame in found])
    for (insurer,), frame in members.partition_by(
        "insurer", as_dict=True, include_key=False
    ).items():
        where = {"insurer": str(codes[int(insurer)]), "section": ROSTER}
        name = file_name(group, 1, 0)
        rows = frame.sort("member_id")
        files.append((PARTITION, centre.tables[PARTITION].write(where, rows, name)))
    files += [(VAULT, file) for file in vault(centre, night, group, lives, shape)]
    held = centre.ledger.table_versions()
    versions = []
    for name in (VAULT, PARTITION, HISTORY):
        added = [file for table, file in files if table == name]
        if not added:
            continue
        version = centre.tables[name].commit(
            added, [], transaction=group, expected=version_of(held[name])
        )
        versions.append(held_version(name, version))
    with centre.ledger.begin() as transaction:
        Ledger.put_group_files(transaction, group, [row_of(*item) for item in files])
        for version in versions:
            Ledger.put_table_version(transaction, version)
        Ledger.set_group(transaction, group, "committed")


def vault(
    centre: Centre, night: int, group: int, lives: list[Lives], shape: Shape
) -> Iterator[DataFile]:
    """Numbers of those whom a night brings for the first time: of `Population` under the seed."""
    parts = shape.nights // shape.spells
    if night > parts:
        return
    here = [one.draws.below("night", one.persons, parts) == night - 1 for one in lives]
    persons, links = (
        np.concatenate([getattr(one, name)[mine] for one, mine in zip(lives, here, strict=True)])
        for name in ("persons", "links")
    )
    numbers = complete("my_number", lives[0].draws.eleven_digits(persons))
    high, low = centre.tokeniser.tokens(np.asarray(numbers, np.int64))
    rows = pl.DataFrame({"token_hi": high, "token_lo": low, "link_number": links}).with_columns(
        origin=pl.lit("issued"),
        reception=pl.lit(night, pl.Int64),
        group_number=pl.lit(group, pl.Int64),
    )
    for bucket, frame in vault_frames(rows, BUCKETS):
        yield centre.tables[VAULT].write({"bucket": bucket}, frame, file_name(group, 1, 0))


def write(
    centre: Centre, at: tuple[int, int], codes: pl.Series, shape: Shape, item: tuple[int, Lives]
) -> tuple[DataFile, pl.DataFrame] | None:
    """The data file of one bucket, and its persons' members; None where a night brings nobody."""
    number, frame = events(centre, codes, at, shape, item[1])
    if frame.is_empty():
        return None
    where = {"bucket": bucket_label(item[0], BUCKETS), "section": "qualification"}
    file = centre.tables[HISTORY].write(where, frame, file_name(at[1], 1, 1))
    columns = ["link_number", "member_id", "reception", "group_number"]
    return file, frame.select(*columns, insurer=pl.Series(number))


def reception(centre: Centre, night: int) -> dict[str, object]:
    """An accepted reception as the ledger has it; its original was erased long ago."""
    at = (NIGHT + timedelta(days=night)).isoformat(timespec="seconds")
    return {
        "job": "register_members",
        "format": FORMAT,
        "definition": centre.bundle(FORMAT).digest,
        "rights": "",
        "policy": "",
        "sender": "kenpo",
        "door": "dedicated_terminal",
        "file_name": f"MR_kenpo_{night:06d}.csv",
        "sequence": night,
        "sha256": f"{night:064x}",
        "length": 1,
        "original": f"bench-{night}",
        "received_at": at,
        "state": "closed",
        "outcome": "accepted",
        "told": "accepted",
        "closed_at": at,
        "original_erased": True,
    }


if __name__ == "__main__":
    main()
