"""Joining: what a line states of a person beyond its registration (flow 1-(1), our reading).

A change may give another 個人番号, another 被保険者枝番 of the insurer, or another insurer in whose
name the person goes on; a wrong 個人番号 is put right, which parts what was never one person; and
whoever is not needed any more is withdrawn. What is stated becomes rows of `person_links`.

    plan = bind(batch, identify(batch))   what each line wants, once for every person of a file
    settle(plan, …)                       what the tables allow of it (`rules.settling`)

Inside a file the order of lines means nothing else, so of statements that touch one person the
first counts and the others are rejected as a later file would be (R404). Nobody is joined who
stands at one insurer under two 被保険者枝番: that is told by the insurer, or it is a mistake.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from koukan.rules.line_keys import NONE
from koukan.rules.link import (
    Batch,
    Identity,
    first_of,
    insurer_target,
    member_target,
    number_target,
    rejections,
)
from koukan.rules.persons import MEMBERS
from koukan.rules.register import CHANGE, NEW, PARTING, WITHDRAWAL, Ints, Mask

_UNKNOWN = 10**17  # above every 紐付番号: a number that nobody has
_WAITING = 10**18  # above those: an insurer's 被保険者枝番 without a number


@dataclass(frozen=True)
class Plan:
    """What the lines want of persons, before it is known what the tables hold against it."""

    batch: Batch
    identity: Identity
    changes: Mask  # give another 個人番号
    merges: Mask  # give another 被保険者枝番
    moves: Mask  # give another insurer
    partings: Mask  # put a wrong 個人番号 right
    withdrawals: Mask
    one: Ints  # shown 紐付番号 of the person, for those that join or part
    other: Ints  # of the one that they name; above `_UNKNOWN` where it has none
    target: Ints  # raw link of 更新後個人番号, issued now if nobody has it
    issues: Mask  # this person issues it
    rejects: pl.DataFrame

    @property
    def joins(self) -> Mask:
        """Those that make one person of two that are known."""
        wants = (self.changes | self.merges) & (self.one != self.other)
        return np.asarray(wants & (self.one < _UNKNOWN) & (self.other < _UNKNOWN))


def bind(batch: Batch, identity: Identity) -> Plan:
    """What the lines of accepted persons want, each person of a file touched once."""
    persons, known = batch.persons, batch.known
    here = ~(batch.rejected | identity.rejected)
    change = here & (persons.process == CHANGE)
    changes = change & number_target(persons)
    merges = change & member_target(persons)
    moves = change & insurer_target(persons)
    partings = here & (persons.process == PARTING)
    withdrawals = here & (persons.process == WITHDRAWAL)

    strangers = merges & (known.target_member == NONE)
    strangers |= merges & (known.target_member == identity.member)
    barred = moves & ~known.target_allowed
    merges, moves = merges & ~strangers, moves & ~barred
    one, other = _touched(batch, identity, merges)
    registers = (here & (persons.process == NEW)) | identity.linking
    numbered = changes | partings
    registered = numbered & np.isin(persons.target, persons.my_number[registers])
    registered &= partings | (one != other)
    # Who is one person already is touched only where a parting would take that back.
    touching = (numbered | merges) & ((one != other) | np.isin(one, one[partings]))
    taken = registered | _second(changes, touching, one, other)
    changes, merges, partings = changes & ~taken, merges & ~taken, partings & ~taken
    claim, issues = first_of(
        (changes | partings) & (known.target_link == NONE), changes, persons.target
    )
    fresh = np.where(claim == NONE, NONE, batch.issuable.links[np.maximum(claim, 0)])
    target = np.where(known.target_link == NONE, fresh, known.target_link)
    rejects = [  # of each person one at most
        rejections(strangers, "new_member_id", "R401"),
        rejections(barred, "new_insurer_code", "R407"),
        rejections(taken & member_target(persons), "new_member_id", "R404"),
        rejections(taken & number_target(persons), "new_my_number", "R404"),
    ]
    return Plan(
        batch, identity, changes, merges, moves, partings, withdrawals,
        one, other, target, issues, pl.concat(rejects),
    )  # fmt: skip


def _touched(batch: Batch, identity: Identity, merges: Mask) -> tuple[Ints, Ints]:
    """The person of each line, and the one that its target names."""
    persons, known, people = batch.persons, batch.known, batch.people
    base = _WAITING + persons.insurer.astype(np.int64) * MEMBERS
    one = people.canonical(identity.link)
    one = np.where(one == NONE, base + identity.member, one)
    named = people.canonical(np.where(merges, known.target_owner, known.target_link))
    missing = np.where(merges, base + known.target_member, _UNKNOWN + persons.target)
    return one, np.where(named == NONE, missing, named)


def _second(changes: Mask, touching: Mask, one: Ints, other: Ints) -> Mask:
    """Who touches a person that an earlier line of the file touches in another way.

    To tell one change of number twice, by two insurers, is no other way.
    """
    second = np.zeros(len(one), np.bool_)
    rows = np.flatnonzero(touching)
    if len(rows) < 2:
        return second
    pairs = pl.DataFrame(
        {"row": rows, "one": one[rows], "other": other[rows], "change": changes[rows]}
    )
    both = pl.concat([pairs.with_columns(key="one"), pairs.with_columns(key="other")])
    first = [pl.col(name).first().over("key").alias(f"first_{name}") for name in pairs.columns]
    judged = both.sort("row", maintain_order=True).with_columns(first)
    alike = (pl.col("one") == pl.col("first_one")) & (pl.col("other") == pl.col("first_other"))
    alike &= pl.col("change") & pl.col("first_change")
    again = judged.filter((pl.col("row") != pl.col("first_row")) & ~alike)
    second[again["row"].to_numpy()] = True
    return second
