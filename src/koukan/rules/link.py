"""Link: who a person is, and which 被保険者枝番 the insurer knows it by (flow 1-(1), steps 1-1, 1-2).

Pure: what the vault and the rosters know comes in as columns, what they must learn goes out. All
persons of a group are in ascending order of reception; the first accepted one in that order issues
for a number that several bring, so that a rerun and other machines issue the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from koukan.rules.register import CHANGE, LOSS, NEW, NONE, REENTRY, Ints, Mask, Persons


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


def first_of(values: Ints, considered: Mask) -> tuple[Ints, Mask]:
    """Index of the first considered entry with the same value (`NONE` if none), and who is first."""
    frame = pl.DataFrame({"value": values, "at": np.arange(len(values)), "use": considered})
    firsts = frame.filter("use").group_by("value").agg(pl.col("at").min().alias("first"))
    found = frame.join(firsts, on="value", how="left", maintain_order="left")["first"]
    first = found.fill_null(NONE).to_numpy().astype(np.int64)
    return first, considered & (first == np.arange(len(values)))


def link(
    persons: Persons, rejected: Mask, known: Known, link_numbers: Ints, member_ids: Ints
) -> Linked:
    """Decide links and 被保険者枝番 of all persons that are not rejected yet.

    Args:
        rejected: by person; these are left alone.
        link_numbers, member_ids: what each person would issue if it is the first.
    """
    here = ~rejected
    position = np.arange(len(rejected))
    joins = here & (persons.process == NEW)
    first, _ = first_of(persons.my_number, joins & (known.link == NONE))
    from_group = (known.link == NONE) & (first != NONE) & (first <= position)
    link = np.where(from_group, link_numbers[np.maximum(first, 0)], known.link)
    new_link = from_group & (first == position) & joins

    identity = persons.insurer * 10**6 + _dense(link)
    first_member, _ = first_of(identity, joins & (known.member == NONE) & (link != NONE))
    issued = (known.member == NONE) & (first_member != NONE) & (first_member <= position)
    issued &= link != NONE
    member = np.where(issued, member_ids[np.maximum(first_member, 0)], known.member)
    new_member = issued & (first_member == position) & joins

    rejects = []

    def reject(wrong: Mask, field: str, code: str) -> None:
        if wrong.any():
            rows = pl.DataFrame({"person": np.flatnonzero(wrong)})
            rejects.append(rows.with_columns(field=pl.lit(field), code=pl.lit(code)))

    given = persons.member_id != NONE
    needs = here & np.isin(persons.process, (REENTRY, CHANGE, LOSS))
    unregistered = needs & (member == NONE)
    wrong_member = needs & given & (member != NONE) & (member != persons.member_id)
    stranger = unregistered & given & (known.member_owner != NONE)
    reject(unregistered & ~given, "process_type_code", "R403")
    reject(unregistered & given & ~stranger, "member_id", "R401")
    reject(stranger | wrong_member, "member_id", "R402")
    bad = unregistered | wrong_member

    changes = here & ~bad & (persons.process == CHANGE) & (persons.new_my_number != NONE)
    changes &= known.link_of_new_number != link  # told before: nothing to learn
    taken = changes & (known.link_of_new_number != NONE)
    taken |= changes & np.isin(persons.new_my_number, persons.my_number[joins])
    _, first_claim = first_of(persons.new_my_number, changes & ~taken)
    taken |= changes & ~first_claim
    reject(taken, "new_my_number", "R404")
    bad |= taken

    accepted = here & ~bad
    empty = pl.DataFrame(schema={"person": pl.Int64, "field": pl.String, "code": pl.String})
    return Linked(
        link=np.where(accepted, link, NONE),
        member=np.where(accepted, member, NONE),
        rejects=pl.concat([empty, *rejects]),
        rejected=rejected | bad,
        reused=accepted & joins & (known.member != NONE),
        new_link=new_link & accepted,
        new_member=new_member & accepted,
        new_number=changes & accepted,
    )


def _dense(values: Ints) -> Ints:
    """Small integers in place of large ones, equal where they are equal."""
    return np.asarray(np.unique(values, return_inverse=True)[1], np.int64)
