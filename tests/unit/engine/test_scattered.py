"""Persons of several numbers: a real history of three nights under drawn statements of insurers.

What is told of them by day, by look-up and by night, against the slow twin, event by event.
"""

from __future__ import annotations

import random
import shutil
from collections import Counter
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from centres import Place
from histories import KENPO, KYOKAI, NIGHTS, telling_days, three_nights
from lives import Event, Spell, insurers_of, spells_of
from lives import told as told_of
from statements import Row, Twin, joined, parted, renumbered, say, withdrawn

from koukan.engine import history
from koukan.engine.asof import insurers_on
from koukan.engine.centre import Centre
from koukan.engine.changes import changed_events, changes
from koukan.engine.history import Link, Member
from koukan.engine.people import people_of
from koukan.engine.workers import Workers
from koukan.errors import UsageError
from koukan.flows.registration import HISTORY
from koukan.rules.spells import CHANGES

BEFORE = "2026-03-31"
Line = tuple[Event, int]  # and the member


@pytest.fixture(scope="module")
def laid(tmp_path_factory: pytest.TempPathFactory) -> Place:
    folder = tmp_path_factory.mktemp("nights")
    return three_nights(Place(folder / "site", folder / "keys" / "batch.key").initialised())


@pytest.fixture
def nights(laid: Place, tmp_path: Path) -> Place:
    """A copy of its own for each test."""
    shutil.copytree(laid.root, tmp_path / "site")
    return Place(tmp_path / "site", laid.key, laid.now)


def lines_of(centre: Centre) -> list[Line]:
    snapshot = centre.snapshot(HISTORY)
    rows = snapshot.read(snapshot.files(section="qualification"), section="qualification")
    return [(Event(*row[:-1]), row[-1]) for row in rows.select(*Event._fields, "member_id").rows()]


def drawn(draw: random.Random, lines: list[Line]) -> list[Row]:
    """Each group's statements are of members of whom it has lines, as real ones are."""
    links = sorted({event.link_number for event, _ in lines})
    rows: list[Row] = []
    gone: set[tuple[str, int]] = set()
    for group in (1, 2, 3):
        members = sorted(
            {(event.insurer_code, m, event.link_number) for event, m in lines if event[4] == group}
        )
        for code, member, link in draw.sample(members, 9):
            others = [
                (m, its)
                for c, m, its in members
                if c == code and m != member and (c, m) not in gone
            ]
            if (code, member) in gone or not others:
                continue
            act = draw.choice(("joined", "joined", "parted", "renumbered", "withdrawn"))
            at = {"insurer": int(code)}
            if act == "joined":
                made = [joined(member, draw.choice(links), link, group, **at)]
            elif act == "parted":
                # Events of those who go on as this one lie under their own numbers.
                so_far = Twin(rows)
                mine = [
                    e[0] for e, m in lines if e[1] == code and so_far.current((code, m)) == member
                ]
                under = sorted(set().union(*map(so_far.together, {link, *mine})))
                right = draw.choice(links)
                made = [parted(member, one, right, group, **at) for one in under]
            else:
                gone.add((code, member))
                following, its = draw.choice(others)
                made = [renumbered(member, following, group, **at)]
                made.append(joined(member, link, its, group, **at))  # as every line says both
                if act == "withdrawn":
                    made = [withdrawn(member, group, **at)]
            rows += [{**row, "reception": len(rows) + 1} for row in made]
    return [
        row for row in rows if row["link_number"] is None or row["link_number"] != row["survivor"]
    ]


def owned(lines: list[Line], twin: Twin, until: int) -> dict[int, list[Event]]:
    """Every person's events as known after a group."""
    found: dict[int, list[Event]] = {}
    for event, member in lines:
        owner = twin.owner((event.insurer_code, member), event.link_number)
        if event.group_number <= until and owner is not None:
            found.setdefault(owner, []).append(event)
    return found


def state(lines: list[Line], twin: Twin, until: int, latest: Twin) -> dict[tuple, date | None]:
    """Spells by insurer, member as it is known at last, and 資格取得年月日."""
    member = dict(lines)
    found = {}
    for events in owned(lines, twin, until).values():
        for event in sorted(told_of(events).values(), key=lambda one: one[4:7]):
            current = latest.current((event.insurer_code, member[event]))
            found[event.insurer_code, current, event[2]] = event.disqualification_date
    return found


@pytest.fixture(params=range(2))
def said(request: pytest.FixtureRequest, nights: Place) -> Iterator[tuple[Centre, list[Row]]]:
    with nights.opened() as centre:
        rows = drawn(random.Random(request.param), lines_of(centre))
        assert {row["act"] for row in rows} == {"joined", "parted", "renumbered", "withdrawn"}
        for group in (1, 2, 3):
            say(centre, [row for row in rows if row["group_number"] == group], group=group)
        yield centre, rows


def test_days_and_look_ups_are_those_of_the_twin(said: tuple[Centre, list[Row]]) -> None:
    centre, rows = said
    lines = lines_of(centre)
    links = sorted({event.link_number for event, _ in lines})
    days = sorted({day for event, _ in lines for day in telling_days([event])})
    asked = [(link, day) for link in links for day in days[::3]]
    random.Random(1).shuffle(asked)
    questions = pl.DataFrame(asked, schema={"link_number": pl.Int64, "day": pl.Date}, orient="row")
    for until, night in ((1, NIGHTS[0]), (2, NIGHTS[1]), (3, NIGHTS[2]), (3, None)):
        twin = Twin(rows, range(1, until + 1))
        persons = owned(lines, twin, until)
        parts = insurers_on(centre, questions, known=night)
        found = sorted(row for part in parts for row in part.rows())
        assert found == [
            (number, *spell)
            for number, (link, day) in enumerate(asked)
            for _, spell in sorted(insurers_of(persons.get(twin.person(link), ()), day).items())
        ]
        for link in links[until::4]:
            events = persons.get(twin.person(link), [])
            spells = history.spells(centre, Link(f"{link:016d}"), known=night)
            assert sorted(as_told(spells)) == spells_of(events)
            sections = history.events(centre, Link(f"{link:016d}"), known=night)
            assert sections["qualification"].height == len(events) == sections["basic"].height


def as_told(frame: pl.DataFrame) -> list[Spell]:
    names = ("insurer_code", "qualification_date", "disqualification_date")
    return [Spell(*row) for row in frame.select(names).iter_rows()]


def test_members_lead_to_whom_they_are_now(said: tuple[Centre, list[Row]]) -> None:
    centre, rows = said
    lines, twin = lines_of(centre), Twin(rows)
    persons = owned(lines, twin, 3)
    link_of = {(event.insurer_code, member): event.link_number for event, member in lines}
    for code, member in link_of:
        who = Member(code, f"{member:010d}")
        if twin.gone((code, member)):
            with pytest.raises(UsageError) as error:
                history.spells(centre, who)
            assert error.value.key == "history.withdrawn"
            continue
        current = code, twin.current((code, member))
        events = persons[twin.owner(current, link_of[current])]
        assert sorted(as_told(history.spells(centre, who))) == spells_of(events)


def test_what_nights_changed_is_what_the_twin_counts(said: tuple[Centre, list[Row]]) -> None:
    centre, rows = said
    lines = lines_of(centre)
    for since, until in ((0, 1), (1, 2), (2, 3), (1, 3), (0, 3)):
        span = [BEFORE, *NIGHTS][since], [BEFORE, *NIGHTS][until]
        latest = Twin(rows, range(1, until + 1))
        before = state(lines, Twin(rows, range(1, since + 1)), since, latest)
        after = state(lines, latest, until, latest)
        wanted: dict[str, Counter[str]] = {KENPO: Counter(), KYOKAI: Counter()}
        for key in before.keys() | after.keys():
            was, now = before.get(key), after.get(key)
            counts = wanted[key[0]]
            counts["begun"] += key not in before
            counts["voided"] += key not in after
            counts["ended"] += now is not None and was is None
            counts["reopened"] += key in after and now is None and was is not None
            counts["moved"] += None not in (now, was) and now != was
        page = {item["insurer"]: item for item in changes(centre, *span)}
        told = {code: item["spells"] for code, item in page.items()}
        assert {code: Counter(counts) for code, counts in told.items() if any(counts.values())} == {
            code: Counter({name: counts[name] for name in CHANGES})
            for code, counts in wanted.items()
            if counts.total()
        }
        for code, item in page.items():
            members = {
                latest.current((code, member))
                for event, member in lines
                if event.insurer_code == code and since < event.group_number <= until
            }
            assert item["persons"] == len(members)
            shown = dict(changed_events(centre, *span, code))
            gone = {m for c, m in latest.asked_members() if c == code and latest.gone((c, m))}
            assert not gone & set(shown["qualification"]["member_id"])


def test_worker_processes_answer_the_same(said: tuple[Centre, list[Row]]) -> None:
    centre, _ = said
    links = sorted({event.link_number for event, _ in lines_of(centre)})
    questions = pl.DataFrame({"link_number": links}).with_columns(day=date(2026, 4, 1))

    def answers() -> tuple[object, object]:
        days = sorted(row for part in insurers_on(centre, questions) for row in part.rows())
        return days, changes(centre, BEFORE, NIGHTS[2])

    before = answers()
    centre.workers.close()
    centre.__dict__["workers"] = Workers(centre, "processes", 1)
    assert answers() == before
    assert not people_of(centre).trivial
