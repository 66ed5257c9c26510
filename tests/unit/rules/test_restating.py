"""Restating: replayed over many nights, it is what a slow reading of every line says."""

from __future__ import annotations

import os
import random
from collections import defaultdict
from typing import Any

import numpy as np
import polars as pl
import pytest
from lives import INSURERS, day
from statements import Twin, frame, joined, parted, rank_of, withdrawn

from koukan.rules.persons import People
from koukan.rules.restating import MAIN, NOTHING, PLACE, affected, digests, named, restated

LONG = os.environ.get("KOUKAN_TEST_LONG") == "1"
NIGHTS, COURSES = 200, 20 if LONG else 1
LINKS, MEMBERS = tuple(range(101, 113)), 8  # raw links; members of each insurer
KEYS = {"basic": (), MAIN: ("qualification_date",), "certificate": ("card",), "ticket": ("ticket",)}
OWN = {MAIN: "qualification_date", "certificate": "card", "ticket": "ticket"}
SCHEMA: dict[str, Any] = {
    "link_number": pl.Int64,
    "insurer_code": pl.String,
    "member_id": pl.Int64,
    "group_number": pl.Int64,
    "reception": pl.Int64,
    "line_number": pl.Int64,
    "process_type_code": pl.String,
    "former_insurer_code": pl.String,
    "word": pl.Int64,
}
Row = dict[str, Any]
Told = dict[str, list[Row]]


class Life:
    """What some insurers say of some persons, a few lines a night."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)
        self.told: Told = {section: [] for section in KEYS}
        self.statements: list[Row] = []
        self.words = 0
        self.home: dict[tuple[str, int], int] = {}  # raw link under which a member is told

    def night(self, group: int) -> None:
        for reception in range(self.draw.randint(1, 3)):
            for _ in range(self.draw.randint(1, 2)):
                self.event(group, 10 * group + reception)
        if self.draw.random() < 0.5:
            self.state(group)

    def event(self, group: int, reception: int) -> None:
        insurer, member = self.draw.choice(INSURERS), self.draw.randrange(MEMBERS)
        link = self.home.setdefault((insurer, member), self.draw.choice(LINKS))
        process = self.draw.choice("1234567" if self.draw.random() < 0.5 else "34")
        former = self.draw.choice([one for one in INSURERS if one != insurer])
        moved = former if process == "3" and self.draw.random() < 0.3 else None
        for section, rows in self.told.items():
            for _ in range(1 if section in {"basic", MAIN} else self.draw.randint(0, 2)):
                self.words += 1
                row = {
                    "link_number": link,
                    "insurer_code": insurer,
                    "member_id": member,
                    "group_number": group,
                    "reception": reception,
                    "line_number": self.words,
                    "process_type_code": process,
                    "former_insurer_code": moved,
                    "word": self.words,
                }
                if section == MAIN:
                    begin = self.draw.randrange(0, 40, 8)
                    row |= {"qualification_date": day(begin), "disqualification_date": None}
                elif section in OWN:
                    row[OWN[section]] = self.draw.randint(1, 3)
                rows.append(row)

    def state(self, group: int) -> None:
        (insurer, member), link = self.draw.choice(sorted(self.home.items()))
        other = self.draw.choice([one for one in LINKS if one != link])
        act = self.draw.choice((joined, joined, parted, withdrawn))
        where = {"insurer": int(insurer)}
        if act is withdrawn:
            self.statements.append(withdrawn(member, group, **where))
            # What says so is an event, too.
            rows = self.told[MAIN]
            last = [
                row for row in rows if (row["insurer_code"], row["member_id"]) == (insurer, member)
            ]
            rows += [{**last[-1], "group_number": group, "process_type_code": "7"}] if last else []
            return
        older, newer = sorted((link, other), key=rank_of)
        survivor = older if act is joined else other
        named_link = newer if act is joined else link
        self.statements.append(act(member, named_link, survivor, group, **where))

    def frames(self) -> dict[str, pl.DataFrame]:
        found = {}
        for section, rows in self.told.items():
            schema = dict(SCHEMA)
            if section == MAIN:
                schema |= {"qualification_date": pl.Date, "disqualification_date": pl.Date}
            elif section in OWN:
                schema[OWN[section]] = pl.Int64
            found[section] = pl.DataFrame(rows, schema=schema)
        return found

    def people(self, until: int) -> People:
        return People.of(frame(row for row in self.statements if row["group_number"] <= until))


def slow(life: Life) -> dict[int, list[tuple[str, int]]]:
    """Every person's lines by section and word, line after line."""
    twin = Twin(life.statements)
    of_person: dict[int, Told] = defaultdict(lambda: {section: [] for section in KEYS})
    for section, rows in life.told.items():
        for row in rows:
            who = row["insurer_code"], row["member_id"]
            owner = twin.owner(who, row["link_number"])
            if owner is not None:
                of_person[owner][section].append(row)
    found = {}
    for link, told in of_person.items():
        corrected = {
            row["insurer_code"]: max(place(one) for one in told[MAIN] if corrects(one, row))
            for row in told[MAIN]
            if row["process_type_code"] == "5"
        }
        spells = last_of(told[MAIN], MAIN, corrected)
        lines = [(MAIN, row["word"]) for row in spells.values()]
        insurers = {key[0] for key in spells}
        for section in KEYS.keys() - {MAIN}:
            last = last_of(told[section], section, corrected)
            lines += [(section, row["word"]) for key, row in last.items() if key[0] in insurers]
        if spells:
            found[link] = sorted(lines)
    return found


def place(row: Row) -> tuple[int, int]:
    return row["group_number"], row["reception"]


def corrects(one: Row, row: Row) -> bool:
    return one["process_type_code"] == "5" and one["insurer_code"] == row["insurer_code"]


def last_of(
    rows: list[Row], section: str, corrected: dict[str, tuple[int, int]]
) -> dict[tuple[str, object], Row]:
    """By insurer and key: the line that counts."""
    found: dict[tuple[str, object], tuple[Row, bool]] = {}
    for row in sorted(rows, key=lambda one: (*place(one), one["line_number"])):
        own = row[OWN[section]] if section in OWN else None
        voids = section in OWN and row["process_type_code"] in "67"
        former = row["former_insurer_code"]
        for insurer, gone in ((row["insurer_code"], voids), (former, section in OWN)):
            if insurer is not None and place(row) >= corrected.get(insurer, (0, 0)):
                found[insurer, own] = row, gone
    return {key: row for key, (row, gone) in found.items() if not gone}


def told_of(found: dict[str, pl.DataFrame]) -> dict[int, list[tuple[str, int]]]:
    lines: dict[int, list[tuple[str, int]]] = defaultdict(list)
    for section, rows in found.items():
        for link, word in rows.select("link_number", "word").iter_rows():
            lines[link].append((section, word))
    return {link: sorted(own) for link, own in lines.items()}


@pytest.mark.requirement("R044")
@pytest.mark.parametrize("seed", range(COURSES))
def test_replaying_every_night_gives_what_every_line_says(seed: int) -> None:
    life, table, before = Life(seed), {}, 0
    deleted = 0
    for group in range(1, NIGHTS + 1):
        life.night(group)
        if life.draw.random() < 0.2 and group < NIGHTS:
            continue  # no push tonight
        told, people, was = life.frames(), life.people(group), life.people(before)
        groups = range(before + 1, group + 1)
        events = told[MAIN].filter(pl.col("group_number").is_in(list(groups)))
        touched = np.concatenate(
            [events["link_number"].to_numpy(), named(frame(life.statements), groups)]
        )
        every = affected(touched, was, people)
        shown = every[people.canonical(every) == every]
        raw = np.unique(np.concatenate([shown, people.raw_links(shown)[1]]))
        under = {
            section: rows.filter(pl.col("link_number").is_in(raw.tolist()))
            for section, rows in told.items()
        }
        new = told_of(restated(under, KEYS, people, shown))
        for link in every.tolist():
            deleted += link in table and link not in new
            table.pop(link, None)
        table |= new
        before = group
        if LONG or group % 10 == 0:
            assert table == slow(life), group
    assert table == slow(life)
    assert deleted > 1  # so that this is shown, too


def test_who_was_parted_is_told_anew_by_what_comes_under_the_old_number() -> None:
    people = People.of(frame([parted(1, 101, 105, 1)]))
    assert affected(np.array([101]), people, people).tolist() == [101, 105]


def test_of_whom_one_line_tells_it_holds_and_without_a_spell_nothing_does() -> None:
    life = Life(3)
    life.event(1, 11)
    nobody = People.of(frame([]))
    persons = np.array(sorted({row["link_number"] for row in life.told[MAIN]}), np.int64)
    told = {section: rows.head(1) for section, rows in life.frames().items()}
    plain = {
        section: rows.with_columns(process_type_code=pl.lit("3"), former_insurer_code=None)
        for section, rows in told.items()
    }
    plain = {section: rows.cast(told[section].schema) for section, rows in plain.items()}
    found = restated(plain, KEYS, nobody, persons)
    assert all(found[name].drop(PLACE).equals(plain[name]) for name in plain)
    # Whoever is not asked about is not told of; of nobody there is nothing to say.
    assert all(one.is_empty() for one in restated(plain, KEYS, nobody, persons + 1).values())
    assert all(one.is_empty() for one in restated(plain, KEYS, nobody, persons[:0]).values())
    without = restated({**plain, MAIN: plain[MAIN].clear()}, KEYS, nobody, persons)
    assert all(rows.is_empty() for rows in without.values())


def test_nobody_is_told_of_without_news() -> None:
    nobody = People.of(frame([]))
    assert affected(np.array([-1], np.int64), nobody, nobody).tolist() == []
    assert affected(np.array([7, 7, 3]), nobody, nobody).tolist() == [3, 7]


def test_a_digest_tells_which_lines_hold_and_which_pmh_id() -> None:
    persons = np.array([101, 102, 103], np.int64)
    nobody = pl.DataFrame(schema={"link_number": pl.Int64, "pmh_id": pl.Int64})

    def told(
        *lines: tuple[int, int, int], issued: pl.DataFrame = nobody, layout: int = 7
    ) -> list[int]:
        names = ("link_number", "reception", "line_number")
        main = pl.DataFrame(lines, schema=dict.fromkeys(names, pl.Int64), orient="row")
        main = main.with_columns((pl.col("link_number") - 101).cast(pl.UInt32).alias(PLACE))
        found = {MAIN: main, "basic": main.clear()}
        return [int(one) for one in digests(found, persons, issued, layout)]

    one, two = (101, 1, 2), (102, 1, 5)
    whole = told(one, two)
    assert whole[2] == NOTHING and NOTHING not in whole[:2] and whole[0] != whole[1]
    assert told(two, one) == whole  # in whatever order lines are found
    assert told((101, 1, 3), two)[0] != whole[0] and told((101, 2, 2), two)[0] != whole[0]
    assert told(one, one, two)[0] != whole[0] and told(one, two, layout=8)[:2] != whole[:2]
    ids = pl.DataFrame({"link_number": [103, 101, 999], "pmh_id": [4, 5, 6]})
    with_ids = told(one, two, issued=ids)
    assert (with_ids[0] != whole[0], with_ids[1:]) == (True, whole[1:])
