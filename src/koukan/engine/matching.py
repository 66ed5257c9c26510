"""Whether replaying every push gives what the 資格履歴 says now: `koukan online reconcile`.

What the receiver must hold is replayed from the rolls since the last push of everybody, without
who was refused; what it is to hold is worked out anew from the history. Both are digests by
紐付番号, so that no item is read and nothing of a push has to be kept. Who is in the next push
anyway, and whom the receiver refused, is counted apart. Some buckets at a time: memory holds 16
bytes for each person of them, and the columns that decide.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from koukan.engine import online as pushing
from koukan.engine import rolls
from koukan.engine.asof import files_of
from koukan.engine.centre import Centre
from koukan.engine.issued import pmh_ids_of
from koukan.engine.online import Share
from koukan.engine.people import people_of
from koukan.engine.reading import undisturbed
from koukan.engine.rolls import Digests
from koukan.errors import UsageError
from koukan.flows import online
from koukan.ledger import online as pushes
from koukan.ledger.online import Push
from koukan.rules.register import Ints
from koukan.rules.responses import refused
from koukan.rules.restating import MAIN, NOTHING, digests
from koukan.tables.definition import bucket_label, bucket_of_link

PARTS = 4  # by worker: a roll's piece of a night is read once for each
NOBODY = np.zeros(0, np.int64)


class Piece(NamedTuple):
    """A piece of a roll, and where its first person stands in the push."""

    push: Push
    name: str
    first: int


class Part(NamedTuple):
    """Buckets to be compared, from and to; or, with `links`, persons of several 紐付番号."""

    low: int
    high: int
    pieces: tuple[Piece, ...]
    apart: Ints  # raw links of persons of several, ascending
    links: Ints | None = None


class Compared(NamedTuple):
    """What a part came to: how many are held, and 紐付番号 by what is wrong with them."""

    held: int
    missing: Ints
    surplus: Ints
    different: Ints


class Matched(NamedTuple):
    """The whole of it, in persons."""

    since: int  # number of the push from which on it was replayed
    held: int
    missing: int
    surplus: int
    different: int
    pending: int  # in the next push anyway
    refused: int
    unanswered: int  # taken as held
    links: Ints  # of all that is wrong


def match(centre: Centre) -> Matched:
    """Compare; the caller has the jobs' lease.

    Raises:
        UsageError: nothing was pushed, or a roll that would be needed is not kept.
    """
    since, replayed = rolled(centre)
    with undisturbed(centre):
        pending = waiting(centre)
        open_ones = [
            rolls.open_refusals(centre, push, rolls.answers(centre, push))[0] for push in replayed
        ]
        shut = np.unique(np.concatenate([NOBODY, *open_ones]))
        aside = np.union1d(pending, shut)
        parts = list(centre.workers.map(compare, planned(centre, replayed)))
    wrong = {
        name: np.setdiff1d(np.concatenate([NOBODY, *(getattr(one, name) for one in parts)]), aside)
        for name in ("missing", "surplus", "different")
    }
    return Matched(
        since,
        sum(one.held for one in parts),
        **{name: len(links) for name, links in wrong.items()},
        pending=len(pending),
        refused=len(shut),
        unanswered=sum(push.unanswered for push in replayed if push.told_again_by is None),
        links=np.unique(np.concatenate(list(wrong.values()))),
    )


def rolled(centre: Centre) -> tuple[int, list[Push]]:
    """The pushes since the last one of everybody, whose rolls are all there."""
    laid = [one for one in pushes.all_pushes(centre.ledger) if one.state != pushes.UNDER_WAY]
    if not laid:
        raise UsageError("online.nothing")
    since = max((one.sequence for one in laid if one.kind == "full"), default=laid[0].sequence)
    replayed = [one for one in laid if one.sequence >= since]
    if not all(rolls.holds(centre, one.sequence) for one in replayed):
        raise UsageError("online.no_roll")
    return since, replayed


def waiting(centre: Centre) -> Ints:
    """Who is in the next push, whatever is found here."""
    until = pushes.committed_until(centre.ledger)
    span = pushes.told_until(centre.ledger), until
    coming = Push(0, "delta", *span, "", "", pushes.UNDER_WAY)
    return np.unique(np.concatenate(pushing.touched(centre, coming)))


def planned(centre: Centre, replayed: list[Push]) -> Iterator[Part]:
    """Buckets in a few parts, each with the pieces of rolls that may tell of them."""
    buckets = centre.site.buckets
    pieces = [
        Piece(push, name, first)
        for push in replayed
        for name, first in rolls.places(centre, push.sequence)
    ]
    people = people_of(centre)
    apart = np.unique(np.concatenate(people.cluster)) if len(people.cluster[0]) else NOBODY
    count = min(buckets, PARTS * centre.site.workers.count)
    bounds = np.linspace(0, buckets, count + 1).astype(np.int64).tolist()
    for low, high in pairwise(bounds):
        mine = tuple(piece for piece in pieces if rolls.tells(piece.name, low, high))
        yield Part(low, high, mine, apart)
    if len(apart):
        yield Part(0, buckets, tuple(pieces), apart, apart)


def compare(centre: Centre, part: Part) -> Compared:
    """Task: what is held of some persons, against what is to be."""
    held_links, held = replay(centre, part)
    found = [(NOBODY, np.zeros(0, np.uint64)), *told(centre, part)]
    links, now = (np.concatenate([one[at] for one in found]) for at in (0, 1))
    links, now = links[now != NOTHING], now[now != NOTHING]
    both, at_held, at_now = np.intersect1d(
        held_links, links, assume_unique=True, return_indices=True
    )
    return Compared(
        len(held_links),
        np.setdiff1d(links, both, assume_unique=True),
        np.setdiff1d(held_links, both, assume_unique=True),
        both[held[at_held] != now[at_now]],
    )


def replay(centre: Centre, part: Part) -> tuple[Ints, Digests]:
    """What the receiver must hold, by 紐付番号, ascending: of each what was told last and taken."""
    links, told = NOBODY, np.zeros(0, np.uint64)
    for push, name, first in part.pieces:
        found, said = rolls.piece(centre, push.sequence, name)
        results = rolls.answers(centre, push, first, first + len(found))
        mine = ~refused(results)
        if part.links is None:
            places = bucket_of_link(found, centre.site.buckets)
            mine &= (places >= part.low) & (places < part.high) & ~np.isin(found, part.apart)
        else:
            mine &= np.isin(found, part.links)
        links, told = laid_over(links, told, found[mine], said[mine])
    kept = told != NOTHING
    return links[kept], told[kept]


def laid_over(links: Ints, told: Digests, later: Ints, said: Digests) -> tuple[Ints, Digests]:
    """Both, ascending; of whom both tell, the later."""
    if not len(later):
        return links, told
    every, every_told = np.concatenate([later, links]), np.concatenate([said, told])
    found, place = np.unique(every, return_index=True)  # the first of equal ones
    return found, every_told[place]


def told(centre: Centre, part: Part) -> Iterator[tuple[Ints, Digests]]:
    """What the receiver is to hold, bucket by bucket."""
    form = centre.catalogue.formats[online.EXPORT]
    names = online.sections(form)
    files = {section: files_of(centre, section) for section in names}
    buckets, people = centre.site.buckets, people_of(centre)
    if part.links is not None:
        places = np.unique(bucket_of_link(part.links, buckets)).tolist()
        every = {
            name: tuple(file for at in places for file in found.get(bucket_label(at, buckets), ()))
            for name, found in files.items()
        }
        persons = people.owners(part.links)
        yield persons, digest(centre, every, part.links, persons)
        return
    for at in range(part.low, part.high):
        label = bucket_label(at, buckets)
        here = {name: tuple(found.get(label, ())) for name, found in files.items()}
        if here[MAIN]:
            links = pushing.links_of(centre, pushing.Touch(here[MAIN], None))
            alone = links[~np.isin(links, part.apart)]
            yield alone, digest(centre, here, alone, alone)


def digest(centre: Centre, files: pushing.Files, links: Ints, persons: Ints) -> Digests:
    """Of some persons what a push would tell now."""
    people = people_of(centre)
    share = Share(0, 0, files, links, persons, NOBODY, rolls.ANY, 1, whole=people.trivial)
    found = pushing.said(centre, share, None)
    issued = pmh_ids_of(centre, people, persons)
    layout = online.layout(centre.catalogue.formats[online.EXPORT])
    return digests(found, persons, issued, layout)
