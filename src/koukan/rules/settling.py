"""Settle: what becomes of persons, by what their lines want and what the tables allow of it.

Pure. What vault, rosters and `person_links` learn comes out as rows by person.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from koukan.rules.joining import Plan
from koukan.rules.line_keys import AS_INSURER, NONE
from koukan.rules.link import Batch, Identity, first_of, rejections
from koukan.rules.persons import JOINED, MOVED, PARTED, RENUMBERED, WITHDRAWN, People
from koukan.rules.register import NEW, Ints, Mask, Small
from koukan.rules.roster import ROWS, Roster

STATEMENTS = pl.Schema(
    {
        "person": pl.Int64,  # index: whose lines state it
        "act": pl.String,
        "insurer": pl.Int32,
        "member_id": pl.Int64,
        "link_number": pl.Int64,
        "survivor": pl.Int64,
        "successor": pl.Int64,
    }
)


# Who stands where: the person, and the 被保険者枝番 that goes on.
HELD = pl.Schema({"person": pl.Int64, "insurer": pl.Int64, "member_id": pl.Int64})
_AS_ROWS = {"insurer": "insurer", "link_number": "person", "member_id": "member_id"}


@dataclass(frozen=True)
class Linked:
    """The outcome, by person of the group; numbers are `NONE` for rejected persons."""

    link: Ints  # raw link that the lines are stored under; `NONE` while the person waits
    member: Ints
    home: Small  # insurer whose events the lines are
    rejects: pl.DataFrame  # person, field, code
    rejected: Mask
    reused: Mask  # a new registration of someone who has a 被保険者枝番 already
    waiting: Mask  # a new registration without 個人番号
    linking: Mask  # whose 被保険者枝番 waited and has its number now
    numbers: pl.DataFrame  # person, my_number, link_number, origin: what the vault learns
    roster: pl.DataFrame  # person, insurer, link_number, member_id: what rosters learn
    statements: pl.DataFrame  # STATEMENTS


def settle(
    plan: Plan, held: pl.DataFrame, *, after: People, occupied: Mask, witnessed: Mask
) -> Linked:
    """What becomes of the persons, by what the tables hold.

    Args:
        held: HELD of the persons that are to be joined.
        after: who is one person with the statements of `parted`, too.
        occupied: partings whose insurer has the right number under another 被保険者枝番, after it.
        witnessed: changes that the same member has stated already.
    """
    identity = plan.identity
    together = plan.partings & (after.canonical(plan.target) == after.canonical(identity.link))
    moved = _moved(plan)
    arriving = _arriving(plan, moved)
    foreign = plan.partings & ~together & (occupied | _arrived(plan, arriving, after))
    taken = _conflicts(plan, held, arriving) | foreign
    rejects = [
        plan.rejects,
        rejections(together, "new_my_number", "R408"),
        rejections(taken & ~plan.merges, "new_my_number", "R404"),
        rejections(taken & plan.merges, "new_member_id", "R404"),
    ]
    kept = ~(taken | together)
    kept[plan.rejects["person"].to_numpy()] = False
    linked = settled_plainly(plan.batch, identity, kept, pl.concat(rejects))
    goes_on = np.where(plan.merges & kept, plan.batch.known.target_member, moved.member)
    return replace(
        linked,
        link=np.where(plan.partings & kept, plan.target, linked.link),
        member=np.where(linked.rejected, NONE, goes_on),
        home=moved.home,
        numbers=pl.concat([linked.numbers, _target_numbers(plan)]),
        roster=pl.concat([linked.roster, *_roster_rows(plan, kept, moved)]),
        statements=pl.concat(_statements(plan, kept, witnessed)).sort(
            "person", maintain_order=True
        ),
    )


def settled_plainly(
    batch: Batch, identity: Identity, kept: Mask | None = None, rejects: pl.DataFrame | None = None
) -> Linked:
    """What becomes of persons whose lines register, and state nothing else.

    Args:
        kept: who is not rejected for what its lines state. None: nobody is.
        rejects: for what they state.
    """
    persons = batch.persons
    rejected = batch.rejected | identity.rejected
    if kept is not None:
        rejected |= ~kept
    accepted = ~rejected
    registers = accepted & (persons.process == NEW)
    number = persons.my_number != NONE
    issued = identity.new_link & accepted
    if (outside := identity.new_link & ~accepted).any():
        # Who issued for others may itself be rejected for what it states.
        issued |= outside & np.isin(identity.link, identity.link[accepted])
    return Linked(
        link=np.where(accepted, identity.link, NONE),
        member=np.where(accepted, identity.member, NONE),
        home=persons.insurer,
        rejects=identity.rejects if rejects is None else pl.concat([identity.rejects, rejects]),
        rejected=rejected,
        reused=registers & number & ~identity.new_member,
        waiting=registers & ~number,
        linking=accepted & identity.linking,
        numbers=_numbers(issued, persons.my_number, identity.link, "issued"),
        roster=_roster(
            accepted & (identity.new_member | identity.linking),
            persons.insurer,
            identity.link,
            identity.member,
        ),
        statements=STATEMENTS.to_frame(),
    )


def _arriving(plan: Plan, moved: _Moved) -> pl.DataFrame:
    """Who stands somewhere from these files on: raw links in the place of persons, else HELD."""
    identity, insurers = plan.identity, plan.batch.persons.insurer
    parts = [
        (identity.new_member | identity.linking, insurers, identity.member),
        (moved.new, moved.home, moved.member),
    ]
    found = [
        pl.DataFrame(
            {
                "person": identity.link[here],
                "insurer": at[here].astype(np.int64),
                "member_id": members[here],
            }
        )
        for here, at, members in parts
    ]
    return pl.concat(found).filter(pl.col("person") != NONE)


def _arrived(plan: Plan, arriving: pl.DataFrame, after: People) -> Mask:
    """Partings whose right number arrives at the same insurer under another 被保険者枝番."""
    known = Roster(arriving.select(**_AS_ROWS).cast(ROWS), after)
    persons = np.where(plan.partings, after.canonical(plan.target), NONE)
    return known.others(plan.batch.persons.insurer, persons, plan.identity.member)


def _conflicts(plan: Plan, held: pl.DataFrame, arriving: pl.DataFrame) -> Mask:
    """Joins of two whom one insurer has under two 被保険者枝番.

    Of a merge, another insurer than the one that says that its two are one.

    One 被保険者枝番 may have events of both: it was told of under a number that was parted since.
    """
    conflict = np.zeros(len(plan.one), np.bool_)
    rows = np.flatnonzero(plan.joins)
    pairs = pl.DataFrame(
        {
            "row": rows,
            "one": plan.one[rows],
            "other": plan.other[rows],
            "own": np.where(plan.merges, plan.batch.persons.insurer, NONE)[rows],
        }
    )
    person = plan.batch.people.canonical(arriving["person"].to_numpy())
    held = pl.concat([held, arriving.with_columns(person=person)])
    there = held.select(other="person", insurer="insurer", named="member_id")
    both = (
        pairs.join(held, left_on="one", right_on="person")
        .filter(pl.col("insurer") != pl.col("own"))
        .join(there, on=["other", "insurer"])
        .filter(pl.col("member_id") != pl.col("named"))
    )
    conflict[both["row"].to_numpy()] = True
    return conflict


@dataclass(frozen=True)
class _Moved:
    """Whose events the lines are, by which 被保険者枝番."""

    home: Small
    member: Ints
    new: Mask  # that one was issued now


def _moved(plan: Plan) -> _Moved:
    """Who goes on at another insurer: by its 被保険者枝番 there, or by a new one."""
    persons, identity, moves = plan.batch.persons, plan.identity, plan.moves
    known, person = plan.batch.known, plan.batch.people.canonical(plan.identity.link)
    home = np.where(moves, persons.target - AS_INSURER, persons.insurer)
    if not moves.any():
        return _Moved(persons.insurer, identity.member, moves)
    # Whom the other insurer registers in the same file has its 被保険者枝番 from there.
    registers = identity.new_member & (person != NONE) & ~moves
    there, _ = first_of(registers, moves & (person != NONE), home, person)
    member = np.where(
        moves & (known.target_home == NONE) & (there != NONE),
        identity.member[np.maximum(there, 0)],
        known.target_home,
    )
    unknown = moves & (member == NONE)
    first, new = first_of(unknown & (person != NONE), unknown, home, person)
    new |= unknown & (person == NONE)
    own = np.where(person == NONE, np.arange(len(home)), np.maximum(first, 0))
    member = np.where(unknown, plan.batch.issuable.members[own], member)
    return _Moved(home, np.where(moves, member, identity.member), new)


def _numbers(chosen: Mask, numbers: Ints, links: Ints, origin: str) -> pl.DataFrame:
    rows = np.flatnonzero(chosen)
    columns = {"person": rows, "my_number": numbers[rows], "link_number": links[rows]}
    return pl.DataFrame(columns).with_columns(origin=pl.lit(origin))


def _target_numbers(plan: Plan) -> pl.DataFrame:
    """更新後個人番号 that nobody had: who states them is never rejected for it later."""
    return pl.concat(
        [
            _numbers(plan.issues & chosen, plan.batch.persons.target, plan.target, origin)
            for chosen, origin in ((plan.changes, "replaced"), (plan.partings, "issued"))
        ]
    )


def _roster(chosen: Mask, insurers: Small, links: Ints, members: Ints) -> pl.DataFrame:
    rows = np.flatnonzero(chosen)
    return pl.DataFrame(
        {
            "person": rows,
            "insurer": insurers[rows].astype(np.int32),
            "link_number": links[rows],
            "member_id": members[rows],
        }
    )


def _roster_rows(plan: Plan, kept: Mask, moved: _Moved) -> list[pl.DataFrame]:
    """What rosters learn from statements."""
    insurers, identity, known = plan.batch.persons.insurer, plan.identity, plan.batch.known
    found = plan.merges & kept & (identity.link != NONE) & (known.target_owner == NONE)
    return [
        _roster(plan.partings & kept, insurers, plan.target, identity.member),
        _roster(found, insurers, identity.link, known.target_member),
        _roster(moved.new, moved.home, identity.link, moved.member),
    ]


def _statements(plan: Plan, kept: Mask, witnessed: Mask) -> list[pl.DataFrame]:
    links, known = plan.identity.link, plan.batch.known
    told, joins = parted(plan), plan.joins & plan.merges & kept
    return [
        _rows(plan, plan.changes & kept & ~witnessed, JOINED, plan.target, links),
        _rows(plan, joins, JOINED, links, known.target_owner),
        _rows(plan, plan.merges & kept, RENUMBERED, links).with_columns(
            successor=pl.Series(known.target_member[plan.merges & kept])
        ),
        told.filter(pl.Series(kept[told["person"].to_numpy()])),
        _rows(plan, plan.withdrawals, WITHDRAWN, links),
        _rows(plan, plan.moves & kept & (links == NONE), MOVED, links),
    ]


def parted(plan: Plan) -> pl.DataFrame:
    """STATEMENTS of the partings: a row for each raw link under which the member's events lie."""
    rows = np.flatnonzero(plan.partings)
    at, links = plan.batch.people.raw_links(plan.identity.link[rows])
    told = _rows(plan, plan.partings, PARTED, plan.identity.link, plan.target)
    return told[at].with_columns(link_number=pl.Series(links, dtype=pl.Int64))


def _rows(
    plan: Plan, chosen: Mask, act: str, links: Ints, survivors: Ints | None = None
) -> pl.DataFrame:
    """STATEMENTS of some persons."""
    rows = np.flatnonzero(chosen)
    nobody = pl.lit(None, pl.Int64)
    told = {
        "person": rows,
        "insurer": plan.batch.persons.insurer[rows].astype(np.int32),
        "member_id": plan.identity.member[rows],
        "link_number": links[rows],
    }
    found = pl.DataFrame(told).with_columns(
        pl.col("link_number").replace(NONE, None),
        act=pl.lit(act),
        survivor=nobody if survivors is None else pl.Series(survivors[rows]),
        successor=nobody,
    )
    return found.select(STATEMENTS.names())
