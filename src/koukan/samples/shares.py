"""Each insurer's share of a night: who is in it, which lines are bad, and the frames of both."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl

from koukan.errors import UsageError
from koukan.formats.model import Format
from koukan.samples.draws import Ints
from koukan.samples.expected import Counts
from koukan.samples.faults import ROW_FAULTS, History, inject_all
from koukan.samples.population import PERSON, Population
from koukan.samples.registration import (
    CHANGE,
    LOSS,
    NEW,
    RE_ENTRY,
    Frames,
    SampleInsurer,
    registration_frames,
)


def shared_out(
    total: int, weights: Sequence[float], room: Sequence[int] | None = None
) -> list[int] | None:
    """`total` in whole parts as near to the weights as room allows; None if that is too small."""
    weight = np.asarray(weights, float)
    limit = np.full(len(weight), total) if room is None else np.asarray(room)
    wish = total * weight / weight.sum() if weight.sum() else weight
    parts = np.minimum(np.floor(wish).astype(int), limit)
    while (left := total - int(parts.sum())) > 0:
        open_ = np.flatnonzero((parts < limit) & (weight > 0))
        if not open_.size:
            return None
        nearest = open_[np.argsort(parts[open_] - wish[open_], kind="stable")][:left]
        parts[nearest] += 1
    return [int(part) for part in parts]


@dataclass(frozen=True)
class Share:
    """One insurer's part of one good file.

    Args:
        new: persons of whom nobody has heard; faults are put into their lines.
        known: persons new here, whom another insurer registers tonight or has registered.
        changes, losses, re_entries: person, member_id of persons registered here.
        renumbered: persons whose numbers become the new ones of the first changes.
    """

    insurer: SampleInsurer
    new: Ints
    known: Ints
    changes: pl.DataFrame
    losses: pl.DataFrame
    re_entries: pl.DataFrame
    renumbered: Ints
    history: History

    def room(self, needs: str) -> int:
        """How many persons can carry faults with this need."""
        if needs == "change":
            return self.changes.height - len(self.renumbered)
        if needs == "loss":
            return self.losses.height
        if needs in ("welfare", "insured") and self.insurer.welfare != (needs == "welfare"):
            return 0
        return len(self.new) // 2  # the other half keeps the file's share of rejects low


def _pool(needs: str) -> str:
    return needs if needs in ("change", "loss") else "new"


def plan_faults(shares: Sequence[Share], persons: int, more: str, extra: int) -> list[Counter[str]]:
    """How many persons of each share carry each fault.

    Args:
        persons: how many carry each fault in all shares together; pairs of R303 count as two.
        more: the code that `extra` further persons carry.

    Raises:
        UsageError: the shares have too few persons of the kind that a fault needs.
    """
    plans: list[Counter[str]] = [Counter() for _ in shares]
    used: list[Counter[str]] = [Counter() for _ in shares]
    carry = np.zeros(len(shares))
    sizes = np.array([float(len(share.new)) for share in shares])
    for code, fault in ROW_FAULTS.items():
        unit = 2 if code == "R303" else 1
        count = max(1, persons // unit) + (extra if code == more else 0)
        pool = _pool(fault.needs)
        taken = [use[pool] for use in used]
        room = np.array([share.room(fault.needs) for share in shares]) - taken
        if code == "R106":  # beyond its limit, the share of undecodable lines refuses the file
            room[np.arange(len(shares)) != sizes.argmax()] = 0
        room = room.clip(min=0) // unit
        wish = np.where(room > 0, (sizes / sizes.sum() * count + carry).clip(min=1e-9), 0)
        parts = shared_out(count, list(wish), list(room))
        if parts is None:
            raise UsageError("samples.too_small", code=code)
        carry += sizes / sizes.sum() * count - parts  # who got too few comes first next time
        for plan, use, part in zip(plans, used, parts, strict=True):
            if part:
                plan[code] += part * unit
                use[pool] += part * unit
    return plans


def share_frames(
    share: Share,
    plan: Mapping[str, int],
    *,
    form: Format,
    population: Population,
    seed: Sequence[int],
    as_of: date,
    first_record_number: int,
) -> tuple[Frames, Counts, int]:
    """The frames of a share with its faults in, what they must come to, and how many persons."""
    generator = np.random.default_rng(list(seed))
    everybody = _everybody(share, population)
    everybody = everybody[generator.permutation(everybody.height)]
    frames: Frames = registration_frames(
        form,
        population.select(everybody[PERSON].to_numpy()),
        insurer=share.insurer,
        as_of=as_of,
        process_type=everybody["process_type"],
        member_ids=everybody["member_id"],
        new_my_numbers=everybody["new_my_number"],
        first_record_number=first_record_number,
    )
    pools = {
        name: iter(generator.permutation((everybody["pool"] == name).arg_true().to_numpy()))
        for name in ("new", "change", "loss")
    }
    chosen = {
        code: np.fromiter(pools[_pool(ROW_FAULTS[code].needs)], np.int64, count)
        for code, count in plan.items()
    }
    frames, expected = inject_all(frames, chosen, history=share.history)
    received = 3 * everybody.height + sum(item.added for item in expected)
    rejected = sum(item.rejected for item in expected)
    duplicate = sum(item.duplicate for item in expected)
    accepted = received - rejected - duplicate
    return frames, Counts(received, accepted, rejected, duplicate), everybody.height


def _everybody(share: Share, population: Population) -> pl.DataFrame:
    """All persons of a share.

    Returns:
        person, pool (whose faults the person can have; null: none), process_type, member_id,
        new_my_number.
    """
    renumbered = len(share.renumbered)
    groups = [
        (pl.DataFrame({PERSON: share.new}), "new", NEW),
        (pl.DataFrame({PERSON: share.known}), None, NEW),
        (
            share.changes[:renumbered].with_columns(
                new_my_number=population.numbers(share.renumbered)
            ),
            None,
            CHANGE,
        ),
        (share.changes[renumbered:], "change", CHANGE),
        (share.losses, "loss", LOSS),
        (share.re_entries, None, RE_ENTRY),
    ]
    return pl.concat(
        [
            persons.with_columns(pool=pl.lit(pool, pl.String), process_type=pl.lit(process_type))
            for persons, pool, process_type in groups
        ],
        how="diagonal",
    )
