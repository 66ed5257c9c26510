"""Link: who a person is, and by which 被保険者枝番 the insurer knows it (flow 1-(1)).

Pure: what the vault and the rosters know comes in as columns, what they must learn goes out. All
persons of a group are in ascending order of reception; the first accepted one in that order issues
for a number that several bring, so that a rerun and other machines issue the same. The outcome is
that of one file after another; only where a number that changes in one file is named in another
(`entangled`) must they really be taken one after another.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import polars as pl

from koukan.rules.register import CHANGE, LOSS, NEW, NONE, REENTRY, Ints, Mask, Persons, Small


@dataclass(frozen=True)
class Known:
    """What stands in the tables, by person of the group; `NONE` where there is nothing."""

    link: Ints  # 紐付番号 of the number
    link_of_new_number: Ints  # 紐付番号 of 更新後個人番号
    member: Ints  # 被保険者枝番 of (insurer, link)
    member_owner: Ints  # 紐付番号 that the insurer's given 被保険者枝番 belongs to


@dataclass(frozen=True)
class Linked:
    """The outcome, by person of the group; numbers are `NONE` for rejected persons."""

    link: Ints
    member: Ints
    rejects: pl.DataFrame  # person, field, code
    rejected: Mask
    reused: Mask  # a new registration of someone who has a 被保険者枝番 already
    new_link: Mask  # this person issued the 紐付番号
    new_member: Mask  # this person issued the 被保険者枝番
    new_number: Mask  # 更新後個人番号 becomes a further number of the link


def first_of(considered: Mask, asking: Mask, *values: Small) -> tuple[Ints, Mask]:
    """For each considered or asking entry the first considered one with the same values.

    Returns:
        its index (`NONE` where there is none, or nobody asked), and who is first.
    """
    first = np.full(len(considered), NONE, np.int64)
    chosen = np.flatnonzero(considered)
    others = np.flatnonzero(asking & ~considered)
    if not len(others) and any(_all_different(value[chosen]) for value in values):
        first[chosen] = chosen
    elif len(chosen):
        keys = [value[chosen] for value in values]
        order = np.lexsort(keys[::-1])  # stable: the first of equals comes first
        ordered = [key[order] for key in keys]
        begins = np.ones(len(chosen), np.bool_)
        begins[1:] = np.any([key[1:] != key[:-1] for key in ordered], axis=0)
        run = np.cumsum(begins) - 1
        first[chosen[order]] = chosen[order][begins][run]
        if len(others):
            heads = pl.DataFrame(dict(enumerate_names(key[begins] for key in ordered)))
            heads = heads.with_columns(first=pl.Series(chosen[order][begins]))
            asked = pl.DataFrame(dict(enumerate_names(value[others] for value in values)))
            names = asked.columns
            found = asked.join(heads, on=names, how="left", maintain_order="left")["first"]
            first[others] = found.fill_null(NONE).to_numpy()
    return first, considered & (first == np.arange(len(considered)))


def _number_changes(
    persons: Persons, here: Mask, joins: Mask, link: Ints, known: Known
) -> tuple[Mask, Mask]:
    """Whose 更新後個人番号 the vault must learn, and whose belongs to somebody else."""
    changes = here & (persons.process == CHANGE) & (persons.new_my_number != NONE)
    changes &= known.link_of_new_number != link  # told before: nothing to learn
    taken = changes & (known.link_of_new_number != NONE)
    if changes.any():
        taken |= changes & np.isin(persons.new_my_number, persons.my_number[joins])
    claim, first = first_of(changes & ~taken, taken, persons.new_my_number)
    # The same person's, told by another insurer as well: nothing to learn a second time.
    told = changes & ~taken & ~first & (link[np.maximum(claim, 0)] == link)
    taken |= changes & ~first & ~told
    return changes & first, taken


def entangled(persons: Persons, rejected: Mask) -> bool:
    """Whether a number that a file gives as 更新後個人番号 is named in the group once more."""
    claims = ~rejected & (persons.process == CHANGE) & (persons.new_my_number != NONE)
    if not claims.any() or persons.reception[0] == persons.reception[-1]:
        return False
    wanted = persons.new_my_number[claims]
    return bool(np.isin(wanted, persons.my_number[~rejected]).any()) or not _all_different(wanted)


def joined(parts: Sequence[Linked]) -> Linked:
    """Outcomes of consecutive persons as one."""
    starts = np.cumsum([0, *(len(part.link) for part in parts)])

    def column(name: str) -> Any:
        return np.concatenate([getattr(part, name) for part in parts])

    rejects = [
        part.rejects.with_columns(pl.col("person") + int(start))
        for part, start in zip(parts, starts, strict=False)
    ]
    names = [field.name for field in fields(Linked) if field.name != "rejects"]
    return Linked(rejects=pl.concat(rejects), **{name: column(name) for name in names})


def _all_different(values: Small) -> bool:
    """Cheaper than to find who comes first; a night's new persons are mostly strangers."""
    ordered = np.sort(values)
    return not bool((ordered[1:] == ordered[:-1]).any())


def enumerate_names(columns: Iterable[Small]) -> Iterator[tuple[str, Small]]:
    """Columns under names of their own, for a join over all of them."""
    return ((f"value_{number}", column) for number, column in enumerate(columns))


def link(
    persons: Persons, rejected: Mask, known: Known, link_numbers: Ints, member_ids: Ints
) -> Linked:
    """Decide links and 被保険者枝番 of all persons that are not rejected yet.

    Args:
        rejected: by person; these are left alone.
        link_numbers, member_ids: what each person would issue if it is the first.
    """
    here = ~rejected
    joins = here & (persons.process == NEW)
    link, new_link = _issued(here, joins, known.link, link_numbers, persons.my_number)
    of_link = persons.insurer, link
    member, new_member = _issued(here & (link != NONE), joins, known.member, member_ids, *of_link)

    given = persons.member_id != NONE
    needs = here & np.isin(persons.process, (REENTRY, CHANGE, LOSS))
    unregistered = needs & (member == NONE)
    wrong_member = needs & given & (member != NONE) & (member != persons.member_id)
    stranger = unregistered & given & (known.member_owner != NONE)
    bad = unregistered | wrong_member
    changes, taken = _number_changes(persons, here & ~bad, joins, link, known)
    accepted = here & ~(bad | taken)
    rejects = [
        _rejects(unregistered & ~given, "process_type_code", "R403"),
        _rejects(unregistered & given & ~stranger, "member_id", "R401"),
        _rejects(stranger | wrong_member, "member_id", "R402"),
        _rejects(taken, "new_my_number", "R404"),
    ]
    return Linked(
        link=np.where(accepted, link, NONE),
        member=np.where(accepted, member, NONE),
        rejects=pl.concat(rejects),
        rejected=~accepted,
        reused=accepted & joins & ~new_member,
        new_link=new_link & accepted,
        new_member=new_member & accepted,
        new_number=changes & accepted,
    )


def _issued(
    here: Mask, joins: Mask, known: Ints, numbers: Ints, *identity: Small
) -> tuple[Ints, Mask]:
    """What each person has, by what the tables know or by the first new one of its identity.

    Returns:
        the number, `NONE` where there is none, and who issued it.
    """
    position = np.arange(len(here))
    first, _ = first_of(here & joins & (known == NONE), here, *identity)
    issued = (known == NONE) & (first != NONE) & (first <= position)
    found = np.where(issued, numbers[np.maximum(first, 0)], known)
    return found, issued & joins & (first == position)


def _rejects(wrong: Mask, field: str, code: str) -> pl.DataFrame:
    rows = pl.DataFrame({"person": np.flatnonzero(wrong)})
    return rows.with_columns(field=pl.lit(field), code=pl.lit(code))
