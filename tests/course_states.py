"""What a site's history says after a course of nights, beside what the slow registry says."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import date, timedelta

import numpy as np
import polars as pl
from course_trial import Trial
from slow_registry import Spell, State, who_had

from koukan.engine import history
from koukan.engine.asof import insurers_on
from koukan.engine.centre import Centre
from koukan.engine.lookup import links_of
from koukan.engine.nights import groups_until
from koukan.engine.people import people_of
from koukan.errors import UsageError
from koukan.flows.registration import HISTORY, PARTITION, QUALIFICATION, ROSTER
from koukan.rules import spells as rule
from koukan.rules.line_keys import NONE
from koukan.rules.persons import People

LOOKED_UP = 15  # persons that are asked for one by one
QUESTIONS = 300  # of a person and a day
Difference = tuple[str, tuple[str, ...], object, object]  # what, numbers, koukan's, slow one's


def differences(trial: Trial, draw: random.Random) -> Iterator[Difference]:
    """As known now, and at the end of every night."""
    with trial.site.opened() as centre:
        yield from _waiting(centre, trial)
        for night, state in trial.states.items():
            yield from _of_night(centre, state, night, draw)
        yield from _of_night(centre, trial.states[trial.nights[-1]], None, draw)
        yield from _members(centre, trial, draw)


def _of_night(
    centre: Centre, state: State, night: str | None, draw: random.Random
) -> Iterator[Difference]:
    numbers = sorted(state.person)
    if not numbers:
        return
    groups = None if night is None else groups_until(centre, night)
    people = people_of(centre, groups)
    raw = links_of(centre, np.array([int(number) for number in numbers], np.int64))
    shown = dict(zip(numbers, people.canonical(raw).tolist(), strict=True))
    when = night or "now"
    yield from _persons(shown, state, when)
    if NONE in shown.values():
        return  # told above: whoever is unknown cannot be asked about
    told = _spells(centre, people, groups)
    for link in told.keys() - set(shown.values()):
        yield f"nobody's {when}", (), told[link], []
    for number in numbers:
        found = told.get(shown[number], [])
        if found != state.spells[number]:
            yield f"spells {when}", (number,), found, state.spells[number]
    yield from _looked_up(
        centre, shown, state, night, draw.sample(numbers, min(LOOKED_UP, len(numbers)))
    )
    yield from _asked(centre, shown, state, night, draw)


def _persons(shown: Mapping[str, int], state: State, when: str) -> Iterator[Difference]:
    """Numbers are one person here if they are there."""
    here: dict[int, set[str]] = defaultdict(set)
    there: dict[int, set[str]] = defaultdict(set)
    for number, link in shown.items():
        here[link].add(number)
        there[state.person[number]].add(number)
    for number, link in shown.items():
        if link == NONE:
            yield f"unknown {when}", (number,), None, number
        elif here[link] != there[state.person[number]]:
            yield f"person {when}", (number,), here[link], there[state.person[number]]


def _spells(
    centre: Centre, people: People, groups: Collection[int] | None
) -> dict[int, list[Spell]]:
    """Everybody's, from all events at once."""
    table = centre.snapshot(HISTORY)
    events = table.read(table.files(section=QUALIFICATION), section=QUALIFICATION)
    if groups is not None:
        events = events.filter(pl.col("group_number").is_in(list(groups)))
    found: dict[int, list[Spell]] = defaultdict(list)
    told = rule.spells(people.attribute(events))
    columns = ("link_number", "insurer_code", *_SPELL)
    for link, *spell in told.select(columns).iter_rows():
        found[link].append(Spell(*spell))
    return {link: sorted(spells) for link, spells in found.items()}


_SPELL = ("qualification_date", "disqualification_date", "loss_reason")


def _looked_up(
    centre: Centre,
    shown: Mapping[str, int],
    state: State,
    night: str | None,
    numbers: Iterable[str],
) -> Iterator[Difference]:
    """The same, one person after another."""
    for number in numbers:
        link = history.Link(f"{shown[number]:016d}")
        told = history.spells(centre, link, known=night)
        rows = told.select("insurer_code", *_SPELL).iter_rows()
        found = sorted(Spell(*row) for row in rows)
        if found != state.spells[number]:
            yield f"looked up {night}", (number,), found, state.spells[number]


def _members(centre: Centre, trial: Trial, draw: random.Random) -> Iterator[Difference]:
    """By the 被保険者枝番 that insurers were answered, also those that go on as others."""
    registry, state = trial.registry, trial.states[trial.nights[-1]]
    by_link = {registry.links[number]: number for number in state.person}
    everybody = sorted(trial.names)
    for member in draw.sample(everybody, min(LOOKED_UP, len(everybody))):
        links = registry.links_of(registry.current(member))
        if not links and registry.living(member):
            continue  # it waits: the history has nothing of it
        wanted = state.spells[by_link[links[0]]] if links else None
        try:
            told = history.spells(centre, history.Member(member[0], trial.names[member]))
            rows = told.select("insurer_code", *_SPELL).iter_rows()
            found = sorted(Spell(*row) for row in rows)
        except UsageError:
            found = None
        if found != wanted:
            numbers = tuple(by_link[link] for link in links)
            yield f"looked up {member[0]} {trial.names[member]}", numbers, found, wanted


def _asked(
    centre: Centre, shown: Mapping[str, int], state: State, night: str | None, draw: random.Random
) -> Iterator[Difference]:
    """Who had whom on drawn days: days on which something begins or ends, and beside them."""
    asked: list[tuple[str, date]] = []
    for number in draw.choices(sorted(shown), k=QUESTIONS):
        days = [one for spell in state.spells[number] for one in (spell.begin, spell.end) if one]
        chosen = draw.choice(days or [date(2022, 2, 2)])
        asked.append((number, chosen + timedelta(days=draw.randint(-1, 1))))
    questions = pl.DataFrame(
        {
            "link_number": pl.Series([shown[number] for number, _ in asked], dtype=pl.Int64),
            "day": [day for _, day in asked],
        }
    )
    found: dict[int, dict[str, tuple[date, date | None]]] = defaultdict(dict)
    for part in insurers_on(centre, questions, known=night):
        for question, insurer, begin, end in part.iter_rows():
            found[question][insurer] = (begin, end)
    for question, (number, day) in enumerate(asked):
        had = who_had(state.spells[number], day)
        wanted = {insurer: (spell.begin, spell.end) for insurer, spell in had.items()}
        if found[question] != wanted:
            yield f"asked {night} {day}", (number,), found[question], wanted


def _waiting(centre: Centre, trial: Trial) -> Iterator[Difference]:
    """Whose 被保険者枝番 has no number yet."""
    people = people_of(centre)
    table = centre.snapshot(PARTITION)
    found = set()
    for insurer in trial.registry.kinds:
        rows = table.read(table.files(insurer=insurer, section=ROSTER), section=ROSTER)
        members = rows["member_id"].to_numpy()
        links = rows["link_number"].fill_null(NONE).to_numpy()
        insurers = np.full(len(members), int(insurer))
        holds = ~people.left(insurers, members, links)
        current = people.current(insurers, members)
        numbered = set(current[holds & (links != NONE)].tolist())
        everybody = set(current[holds].tolist())
        found |= {(insurer, f"{member:010d}") for member in everybody - numbered}
    named = trial.names
    wanted = {(member[0], named.get(member, str(member))) for member in trial.registry.waiting()}
    if found != wanted:
        yield "waiting", (), found - wanted, wanted - found
