"""Who is in which good file: new persons, changes, losses, re-entries, persons known elsewhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from koukan.errors import UsageError
from koukan.samples.faults import History
from koukan.samples.laying import ROOM, Night
from koukan.samples.population import PERSON
from koukan.samples.registration import SampleInsurer
from koukan.samples.scenario import GOOD_FILES, SCENARIO
from koukan.samples.shares import Share, shared_out

RENUMBERED = 20  # of so many changes one brings another 個人番号


@dataclass(frozen=True)
class Place:
    """Where a share goes.

    Args:
        file: position in `GOOD_FILES`.
        part, parts: which part of the insurer's members it may name.
    """

    file: int
    insurer: SampleInsurer
    weight: float
    part: int
    parts: int


@dataclass(frozen=True)
class _Plan:
    """How many persons of each sort a share has; the first three are ends among `members`."""

    members: pl.DataFrame
    changes: int
    losses: int
    re_entries: int
    size: int


def places() -> list[Place]:
    """One for each insurer in each good file, file by file."""
    weight = dict(zip((item.code for item in SCENARIO.insurers), SCENARIO.weights, strict=True))
    files = Counter(name for name, _, _ in GOOD_FILES)
    seen: Counter[str] = Counter()
    found = []
    for number, (name, _, portion) in enumerate(GOOD_FILES):
        for code in SCENARIO.sender(name).insurers:
            insurer = SCENARIO.insurer(code)
            part = (seen[name], files[name])
            found.append(Place(number, insurer, weight[code] * portion, *part))
        seen[name] += 1
    return found


def shares(
    night: Night, where: list[Place], persons: int, registered: Mapping[str, pl.DataFrame]
) -> list[Share]:
    """`persons` persons over the places.

    A share and the one half a round away know persons of each other: some of whom that one reports
    the loss tonight, and some whom both report as new.

    Raises:
        UsageError: too few persons for all places.
    """
    sizes = shared_out(persons, [place.weight for place in where])
    if sizes is None or min(sizes) < ROOM:
        raise UsageError("samples.too_small", code="R101")
    plans = [_plan(place, registered, size) for place, size in zip(where, sizes, strict=True)]
    others = [(number + len(where) // 2) % len(where) for number in range(len(where))]
    there = [plans[other] for other in others]
    moved = [
        min(1 + plan.size // 20, other.losses - other.changes)
        for plan, other in zip(plans, there, strict=True)
    ]
    shared = [
        min(1 + plan.size // 50, other.size // 4) for plan, other in zip(plans, there, strict=True)
    ]
    new = [
        night.take(plan.size - plan.re_entries - moving - both)
        for plan, moving, both in zip(plans, moved, shared, strict=True)
    ]
    found = []
    for number, (place, plan, other) in enumerate(zip(where, plans, others, strict=True)):
        begin = there[number].changes
        leaving = there[number].members[PERSON][begin : begin + moved[number]].to_numpy()
        known = np.concatenate([leaving, new[other][: shared[number]]])
        renumbered = night.take(-(-plan.changes // RENUMBERED) if plan.changes > 2 else 0)
        own = plan.members.select(PERSON, "member_id")
        found.append(
            Share(
                place.insurer,
                new[number],
                known,
                changes=own[: plan.changes],
                losses=own[plan.changes : plan.losses],
                re_entries=own[plan.losses : plan.re_entries],
                renumbered=renumbered,
                history=_history(place, plan, registered),
            )
        )
    return found


def _plan(place: Place, registered: Mapping[str, pl.DataFrame], size: int) -> _Plan:
    members = registered[place.insurer.code][place.part :: place.parts]
    changes = max(1, min(members.height // 4, size // 5))
    losses = changes + max(1, min(members.height // 8, size // 10))
    re_entries = losses + max(1, min(members.height // 16, size // 20))
    return _Plan(members, changes, losses, re_entries, size)


def _history(place: Place, plan: _Plan, registered: Mapping[str, pl.DataFrame]) -> History:
    """Members whom no file of the night names, and the member ids of other insurers."""
    others = [members for code, members in registered.items() if code != place.insurer.code]
    unnamed = plan.members.tail(max(plan.members.height // 4, 1))
    foreign = pl.concat([members["member_id"] for members in others])
    return History(unnamed.select("my_number", "member_id"), foreign)
