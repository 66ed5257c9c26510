"""Link a group's persons with what the tables know: all at once, or file by file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl

from koukan.engine.registry import Registry
from koukan.engine.supposing import without_reason
from koukan.rules.hindsight import Spoken
from koukan.rules.joining import bind
from koukan.rules.link import Batch, Identity, Issuable, identify, states, tied
from koukan.rules.persons import People
from koukan.rules.register import Mask, Persons
from koukan.rules.settling import Linked, parted, settle, settled_plainly


def link_group(
    registry: Registry, persons: Persons, out: Mask, issuable: Issuable, spoken: Spoken
) -> Linked:
    """Decide who everybody is, and what is stated of whom."""
    batch, rows = registry.batch(persons, out, issuable)
    if not tied(batch):
        return decide(registry, batch, rows, spoken)
    parts = []
    bounds = np.flatnonzero(np.diff(persons.reception)) + 1
    for start, stop in pairwise([0, *bounds.tolist(), len(out)]):  # as many as files
        own = Issuable(issuable.links[start:stop], issuable.members[start:stop])
        batch, rows = registry.batch(persons.part(start, stop), out[start:stop], own)
        own_words = spoken.part(start, stop)
        linked = decide(registry, batch, rows, own_words)
        registry = registry.learned(batch.persons, linked, own_words)
        parts.append(linked)
    return joined(parts)


def decide(registry: Registry, batch: Batch, rows: pl.DataFrame, spoken: Spoken) -> Linked:
    """Decide who the persons of some files are that are not tied, and what they state.

    Whose lines suppose what was never told is out, and has issued and stated nothing; so the others
    are decided anew without them.

    Args:
        rows: of the rosters, about these persons.
    """
    late: list[pl.DataFrame] = []
    while True:
        identity = identify(batch)
        if states(batch).any():
            linked = _stated(registry, batch, rows, identity)
        else:
            linked = settled_plainly(batch, identity)
        wrong = without_reason(registry, batch.persons, linked, spoken)
        if wrong.is_empty():
            return replace(linked, rejects=pl.concat([linked.rejects, *late]))
        late.append(wrong)
        rejected = batch.rejected.copy()
        rejected[wrong["person"].to_numpy()] = True
        batch = replace(batch, rejected=rejected)


def _stated(registry: Registry, batch: Batch, rows: pl.DataFrame, identity: Identity) -> Linked:
    plan = bind(batch, identity)
    parting = registry.told(batch.persons, parted(plan))
    after = batch.people
    if parting.height:
        after = People.of(pl.concat([registry.statements, parting]))
    return settle(
        plan,
        registry.held(plan),
        after=after,
        occupied=registry.occupied(plan, rows, after),
        witnessed=registry.witnessed(plan),
    )


def joined(parts: Sequence[Linked]) -> Linked:
    """Outcomes of consecutive persons as one."""
    starts = np.cumsum([0, *(len(part.link) for part in parts)]).tolist()

    def column(name: str) -> Any:
        values = [getattr(part, name) for part in parts]
        if not isinstance(values[0], pl.DataFrame):
            return np.concatenate(values)
        shifted = (
            value.with_columns(pl.col("person") + start)
            for value, start in zip(values, starts, strict=False)
        )
        return pl.concat(shifted)

    return Linked(**{field.name: column(field.name) for field in fields(Linked)})
