"""Persons: which 紐付番号 are one person, and who is meant by a 被保険者枝番, as insurers told it.

Every 個人番号 has a 紐付番号 of its own, its *raw link*, and events lie under the raw link of the
number that their line named. What joins, parts, renumbers and withdraws are statements of insurers
about their own members, kept as rows of `person_links`; nothing that was stored before is changed.
A person is a connected component of raw links, shown by the one that was issued first.

- joined: two raw links are one person, unless that member was parted later.
- parted: whatever an insurer told of the member, under whichever raw link, is the survivor's; the
  last such statement counts.
- renumbered: the member goes on as another one. What is said of that one later holds for both.
- withdrawn: nothing of the member is anybody's any more.
- moved: the member went on at another insurer while it waited for its number, so no event under a
  紐付番号 tells it. It joins and parts nobody; what its insurer said of it before is over.

Pure: columns of numbers, no loop over rows.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import polars as pl

from koukan.rules.line_keys import NONE
from koukan.rules.register import Ints, Mask, Small

JOINED, PARTED, RENUMBERED, WITHDRAWN = "joined", "parted", "renumbered", "withdrawn"
MOVED = "moved"
MEMBERS = 10**10  # 被保険者枝番 have ten digits: with the eight of the insurer they fit 64 bits


@dataclass(frozen=True, eq=False)
class People:
    """What the statements come to."""

    groups: tuple[int, ...]  # whose statements these are, ascending
    links: Ints  # raw links that statements join to others, ascending
    shown: Ints  # the person of each: its raw link that was issued first
    members: Ints  # of whom any other statement tells: insurer and 被保険者枝番, ascending
    successor: Ints  # the member that each goes on as; itself if it was not renumbered
    withdrawn: Mask
    survivor: Ints  # raw link whose person each was parted to, else NONE
    cluster: tuple[Ints, Ints]  # person, and every raw link to look under; ascending by person

    @classmethod
    def of(cls, rows: pl.DataFrame, groups: Collection[int] | None = None) -> People:
        """What these statements come to.

        Args:
            rows: of `person_links`, in any order.
            groups: whose statements count. None: all.
        """
        if groups is not None:
            rows = rows.filter(pl.col("group_number").is_in(list(groups)))
        statement = pl.struct("group_number", "reception").rank("dense")
        rows = rows.with_columns(place=statement.cast(pl.Int64)).sort("place", "successor")
        joined, parted, renumbered, withdrawn = (
            rows.filter(pl.col("act") == act) for act in (JOINED, PARTED, RENUMBERED, WITHDRAWN)
        )
        told = _keys(renumbered), _keys(renumbered, "successor"), _keys(parted), _keys(withdrawn)
        members = np.unique(np.concatenate(told))
        chains = _Chains.of(members, renumbered, parted, np.isin(members, told[-1])).followed()
        links, shown = _components(_active(joined, members, chains.place))
        return cls(
            groups=tuple(rows["group_number"].unique().sort()),
            links=links,
            shown=shown,
            members=members,
            successor=members[chains.end],
            withdrawn=chains.gone,
            survivor=chains.survivor,
            cluster=_cluster(
                links, shown, parted, chains.survivor[np.searchsorted(members, told[2])]
            ),
        )

    @property
    def trivial(self) -> bool:
        """Whether there is nothing to do: every raw link is a person, every member itself."""
        return not (len(self.links) or len(self.members))

    def canonical(self, links: Ints) -> Ints:
        """The shown 紐付番号 of each raw link; `NONE` stays."""
        return _looked_up(self.links, self.shown, links, links)

    def raw_links(self, links: Ints) -> tuple[Ints, Ints]:
        """Every raw link under which events of these persons may lie.

        Others' events may lie there, too: `attribute` tells whose they are.

        Args:
            links: shown or raw ones, in any order, with repetitions; nobody is `NONE`.

        Returns:
            (index of the asked, raw link), each pair once, ascending.
        """
        asked = np.flatnonzero(links != NONE)
        person = self.canonical(links[asked])
        owner, raw = self.cluster
        start = np.searchsorted(owner, person, side="left")
        size = np.searchsorted(owner, person, side="right") - start
        alone = asked[size == 0], person[size == 0]
        many = np.repeat(start - (np.cumsum(size) - size), size) + np.arange(size.sum())
        index = np.concatenate([alone[0], np.repeat(asked, size)])
        found = np.concatenate([alone[1], raw[many]])
        order = np.lexsort((found, index))
        return index[order], found[order]

    def owners(self, links: Ints) -> Ints:
        """Everybody to whom events under these raw links may belong, by shown link, ascending.

        Not their own person alone: a member that was parted from a number keeps going to the other
        one, under whichever of the two its insurer tells of it.
        """
        owner, raw = self.cluster
        return np.union1d(self.canonical(links), owner[np.isin(raw, links)])

    def scattered(self, links: Ints) -> Mask:
        """Raw links whose person's events may lie under others, too, or came there from others."""
        if not len(self.cluster[0]):
            return np.zeros(len(links), np.bool_)
        both = np.concatenate(self.cluster)
        return np.asarray(np.isin(links, both), np.bool_)

    def spoken_of(self, insurers: Small, members: Ints) -> Mask:
        """Members that were parted, renumbered or withdrawn, or that others go on as."""
        return self._at(insurers, members)[1]

    def attribute(self, events: pl.DataFrame) -> pl.DataFrame:
        """Events with the shown 紐付番号 of whose they are; those of withdrawn members are gone.

        Args:
            events: `link_number`, `insurer_code`, `member_id`; any others. Rows of a time in which
                the member waited have no link, and stay without one.
        """
        if self.trivial or events.is_empty():
            return events
        links = np.array(events["link_number"].fill_null(NONE).to_numpy(), np.int64)
        waiting = links == NONE
        keep = np.ones(len(links), np.bool_)
        told = pl.Series(self.members % MEMBERS).implode()
        candidates = events["member_id"].is_in(told).arg_true().to_numpy()
        if len(candidates):
            chosen = events[candidates]
            insurers = chosen["insurer_code"].cast(pl.Int64).to_numpy()
            at, known = self._at(insurers, chosen["member_id"].to_numpy())
            moved = known & (self.survivor[at] != NONE)
            links[candidates[moved]] = self.survivor[at[moved]]
            keep[candidates[known & self.withdrawn[at]]] = False
        links[waiting] = NONE
        shown = pl.Series(self.canonical(links))
        found = events.with_columns(link_number=shown.set(shown == NONE, None))
        return found if keep.all() else found.filter(pl.Series(keep))

    def current(self, insurers: Small, members: Ints) -> Ints:
        """The 被保険者枝番 that each goes on as; `NONE` stays."""
        at, known = self._at(insurers, members)
        found = np.array(members, np.int64)
        found[known] = self.successor[at[known]] % MEMBERS
        return found

    def survivors(self, insurers: Small, members: Ints) -> Ints:
        """The raw link that each was parted to last; `NONE` where nothing parted it."""
        at, known = self._at(insurers, members)
        found = np.full(len(members), NONE, np.int64)
        found[known] = self.survivor[at[known]]
        return found

    def names(self, insurers: Small, members: Ints) -> Ints:
        """These members, and all that go on as them: insurer and 被保険者枝番 as one number."""
        keys = insurers.astype(np.int64) * MEMBERS + members
        return np.union1d(keys, self.members[np.isin(self.successor, keys)])

    def left(self, insurers: Small, members: Ints, links: Ints) -> Mask:
        """Roster rows that do not hold any more: withdrawn, or parted to another person.

        A row of a time in which the member waited (`NONE`) holds until it is withdrawn.
        """
        at, known = self._at(insurers, members)
        gone = np.zeros(len(members), np.bool_)
        at, asked = at[known], links[known]
        survivor = self.survivor[at]
        parted = (survivor != NONE) & (asked != NONE)
        parted &= self.canonical(survivor) != self.canonical(asked)
        gone[known] = self.withdrawn[at] | parted
        return gone

    def _at(self, insurers: Small, members: Ints) -> tuple[Ints, Mask]:
        """Where members stand in `members`, and who does."""
        if not len(self.members):
            return np.zeros(len(members), np.int64), np.zeros(len(members), np.bool_)
        keys = insurers.astype(np.int64) * MEMBERS + members
        at = np.minimum(np.searchsorted(self.members, keys), len(self.members) - 1)
        return at, (self.members[at] == keys) & (members != NONE)


def _keys(rows: pl.DataFrame, member: str = "member_id") -> Ints:
    """Insurer and 被保険者枝番 as one number."""
    insurers = rows["insurer_code"].cast(pl.Int64).to_numpy()
    return np.asarray(insurers * MEMBERS + rows[member].to_numpy(), np.int64)


@dataclass(frozen=True)
class _Chains:
    """By member: what is said of it, and where the renumbered ones lead."""

    end: Ints  # the member in whom it goes on, as far as was followed
    since: Ints  # place of the statement that leads there
    place: Ints  # of the last parting that counts, NONE if there is none
    survivor: Ints  # what that parting names
    gone: Mask

    @classmethod
    def of(cls, members: Ints, renumbered: pl.DataFrame, parted: pl.DataFrame, gone: Mask) -> Self:
        """Each member with its own statements, one step ahead."""
        end = np.arange(len(members))
        since, place, survivor = (np.full(len(members), NONE, np.int64) for _ in range(3))
        at = np.searchsorted(members, _keys(renumbered))  # of repeated ones the last is kept
        end[at] = np.searchsorted(members, _keys(renumbered, "successor"))
        since[at] = renumbered["place"].to_numpy()
        at = np.searchsorted(members, _keys(parted))
        place[at], survivor[at] = parted["place"].to_numpy(), parted["survivor"].to_numpy()
        return cls(end, since, place, survivor, gone)

    def followed(self) -> Self:
        """To the ends. What is said of a successor later than it became that, holds for both.

        Every round looks twice as far, so a chain takes as many as its length has binary digits.
        """
        found = self
        for _ in range(len(self.end).bit_length()):
            end = found.end
            later = (found.place[end] > found.since) & (found.place[end] > found.place)
            found = replace(
                found,
                end=end[end],
                since=np.where(end[end] != end, found.since[end], found.since),
                place=np.where(later, found.place[end], found.place),
                survivor=np.where(later, found.survivor[end], found.survivor),
                gone=found.gone | found.gone[end],
            )
        return found


def _active(joined: pl.DataFrame, members: Ints, parted: Ints) -> pl.DataFrame:
    """Joins that hold: no later statement parted the member in whose name they were told."""
    last = _looked_up(members, parted, _keys(joined), np.full(joined.height, NONE, np.int64))
    return joined.filter(pl.Series(last <= joined["place"].to_numpy()))


def _cluster(links: Ints, shown: Ints, parted: pl.DataFrame, survivor: Ints) -> tuple[Ints, Ints]:
    """The raw links of each person, and those under which members parted to it lay."""
    person = _looked_up(links, shown, survivor, survivor)
    pairs = pl.DataFrame(
        {
            "person": np.concatenate([shown, person, person]),
            "link": np.concatenate([links, person, parted["link_number"].to_numpy()]),
        }
    )
    pairs = pairs.unique().sort("person", "link")
    return pairs["person"].to_numpy(), pairs["link"].to_numpy()


def _components(edges: pl.DataFrame) -> tuple[Ints, Ints]:
    """Raw links in any edge, ascending, and of each the one of its component issued first."""
    ends = pl.concat(
        [
            edges.select("link_number", "rank"),
            edges.select(link_number="survivor", rank="survivor_rank"),
        ]
    ).unique("link_number")
    ordered = ends.sort("rank")["link_number"].to_numpy()  # a lower place was issued earlier
    by_link = np.argsort(ordered)
    links = ordered[by_link]
    one, other = (
        by_link[np.searchsorted(links, edges[name].to_numpy())]
        for name in ("link_number", "survivor")
    )
    return links, ordered[_lowest(len(links), one, other)[by_link]]


def _lowest(count: int, one: Ints, other: Ints) -> Ints:
    """The lowest node of each node's component.

    Roots hook on to the lowest root beside them, then every node is led to its root: at each round
    at least half of the roots that still have an edge between them are gone.
    """
    root = np.arange(count)
    while len(one):
        low = np.minimum(root[one], root[other])
        np.minimum.at(root, root[one], low)
        np.minimum.at(root, root[other], low)
        while not np.array_equal(further := root[root], root):
            root = further
        apart = root[one] != root[other]
        one, other = one[apart], other[apart]
    return root


def _looked_up(keys: Ints, values: Ints, asked: Ints, otherwise: Ints) -> Ints:
    """The value of each key that is asked for, else what stands in its place."""
    if not len(keys):
        return otherwise
    at = np.minimum(np.searchsorted(keys, asked), len(keys) - 1)
    return np.where(keys[at] == asked, values[at], otherwise)
