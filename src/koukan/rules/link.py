"""Link: who a person is, and by which 被保険者枝番 the insurer knows it (flow 1-(1)).

Pure: what the vault and the rosters know comes in as columns, what they must learn goes out. All
persons of a group are in ascending order of reception; the first accepted one in that order issues
for a number that several bring, so that a rerun and other machines issue the same. The outcome is
that of one file after another; where a statement about a person (`rules.joining`) touches what
another file names (`tied`), they must really be taken one after another.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from koukan.rules.line_keys import AS_INSURER, AS_MEMBER, NONE
from koukan.rules.persons import MEMBERS, People
from koukan.rules.register import CHANGE, NEW, PARTING, WITHDRAWAL, Ints, Mask, Persons, Small


@dataclass(frozen=True)
class Known:
    """What stands in the tables, by person of the group; `NONE` where there is nothing."""

    link: Ints  # raw link of the 個人番号
    member: Ints  # 被保険者枝番 of the insurer for that person
    given: Ints  # what the given 被保険者枝番 goes on as; `NONE`: the insurer has no such one
    owner: Ints  # raw link of the given one; `NONE`: it waits for its number, or there is none
    target_link: Ints  # raw link of 更新後個人番号
    target_member: Ints  # as `given`, of 被保険者枝番（変更後）
    target_owner: Ints  # as `owner`, of 被保険者枝番（変更後）
    target_home: Ints  # as `member`, at the insurer of 保険者コード（変更後）
    target_allowed: Mask  # whether a person may go on at that insurer


@dataclass(frozen=True)
class Issuable:
    """What each person would issue if it is the first."""

    links: Ints
    members: Ints


@dataclass(frozen=True)
class Batch:
    """Persons of files that are not tied, and all that decides about them."""

    persons: Persons
    rejected: Mask  # before anything was looked up; these are left alone
    known: Known
    people: People  # who is one person by what was stated until now
    issuable: Issuable


@dataclass(frozen=True)
class Identity:
    """Who the persons are as their lines name them, before what they change."""

    link: Ints  # raw link of the 個人番号; `NONE` while it waits, or is nobody
    member: Ints  # `NONE` for nobody
    new_link: Mask  # this person issued the 紐付番号
    new_member: Mask  # this person issued the 被保険者枝番
    linking: Mask  # this person's 被保険者枝番 waited and has its number now
    rejects: pl.DataFrame  # person, field, code

    @property
    def rejected(self) -> Mask:
        found = np.zeros(len(self.link), np.bool_)
        found[self.rejects["person"].to_numpy()] = True
        return found


def number_target(persons: Persons) -> Mask:
    """Whether 更新後個人番号 is given."""
    return np.asarray((persons.target != NONE) & (persons.target < AS_MEMBER))


def member_target(persons: Persons) -> Mask:
    """Whether 被保険者枝番（変更後） is given."""
    return np.asarray((persons.target >= AS_MEMBER) & (persons.target < AS_INSURER))


def insurer_target(persons: Persons) -> Mask:
    """Whether 保険者コード（変更後） is given."""
    return np.asarray(persons.target >= AS_INSURER)


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


def _all_different(values: Small) -> bool:
    """Cheaper than to find who comes first; a night's new persons are mostly strangers."""
    return pl.Series(values).n_unique() == len(values)


def enumerate_names(columns: Iterable[Small]) -> Iterator[tuple[str, Small]]:
    """Columns under names of their own, for a join over all of them."""
    return ((f"value_{number}", column) for number, column in enumerate(columns))


def identify(batch: Batch) -> Identity:
    """Who the persons are, as their 個人番号 and 被保険者枝番 say."""
    persons, known, issuable = batch.persons, batch.known, batch.issuable
    here = ~batch.rejected
    number, given = persons.my_number != NONE, persons.member_id != NONE
    new = here & (persons.process == NEW)
    asks = here & ~new
    waits = asks & (known.given != NONE) & (known.owner == NONE)
    both = waits & number & number_target(persons) & (persons.process == CHANGE)
    linking = waits & number & ~both & (persons.process != PARTING)
    taken = linking & _taken(batch, new & number, linking)
    linking &= ~taken
    second = _second_number(persons, known, linking)
    linking &= ~second
    joins = (new & number) | linking
    link, new_link = _issued(here & number, joins, known.link, issuable.links, persons.my_number)
    of_person = persons.insurer, batch.people.canonical(link)
    member, new_member = _issued(
        here & (link != NONE), new & number, known.member, issuable.members, *of_person
    )
    unknown = new & ~number  # waits from now on
    member = np.where(unknown, issuable.members, member)
    member = np.where(linking | (waits & ~number), known.given, member)

    numberless = asks & ~number
    numbered = asks & number & ~(linking | taken | second | both)
    unregistered = numbered & (member == NONE)
    wrong_member = numbered & given & (member != NONE) & (member != known.given)
    stranger = unregistered & given & (known.given != NONE)
    rejects = [
        rejections(unregistered & ~given, "process_type_code", "R403"),
        rejections(unregistered & given & ~stranger, "member_id", "R401"),
        rejections(numberless & (known.given == NONE), "member_id", "R401"),
        rejections(stranger | wrong_member | second, "member_id", "R402"),
        rejections(numberless & (known.owner != NONE), "my_number", "R405"),
        rejections(taken, "my_number", "R406"),
        rejections(both, "new_my_number", "R225"),
    ]
    return Identity(link, member, new_link, new_member | unknown, linking, pl.concat(rejects))


def _taken(batch: Batch, registers: Mask, linking: Mask) -> Mask:
    """Whose number the insurer has under another 被保険者枝番, in the tables or in this file."""
    persons, known = batch.persons, batch.known
    taken: Mask = np.asarray((known.member != NONE) & (known.member != known.given))
    if not linking.any():
        return taken
    rows = np.flatnonzero(registers | linking)
    person = batch.people.canonical(known.link[rows])
    claims = pl.DataFrame(
        {
            "row": rows,
            "insurer": persons.insurer[rows],
            "person": person,
            "number": np.where(person == NONE, persons.my_number[rows], NONE),
            "member": known.given[rows],
            "registers": registers[rows],
        }
    )
    same = "insurer", "person", "number"
    others = claims.with_columns(
        registered=pl.col("registers").any().over(same),
        first=pl.col("member").filter(~pl.col("registers")).first().over(same),
    ).filter(pl.col("registered") | (pl.col("member") != pl.col("first")))
    taken[others["row"].to_numpy()] = True
    return taken


def _second_number(persons: Persons, known: Known, linking: Mask) -> Mask:
    """Whose 被保険者枝番 an earlier line of the file gives another number."""
    first, _ = first_of(linking, linking, persons.insurer, known.given)
    other: Mask = persons.my_number != persons.my_number[np.maximum(first, 0)]
    return np.asarray(linking & other)


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


def rejections(wrong: Mask, field: str, code: str) -> pl.DataFrame:
    """One reject for each person: person, field, code."""
    rows = pl.DataFrame({"person": np.flatnonzero(wrong)})
    return rows.with_columns(field=pl.lit(field), code=pl.lit(code))


def states(batch: Batch) -> Mask:
    """Who tells more than lines: what is known of persons is another after it."""
    persons, known = batch.persons, batch.known
    told: Mask = (persons.process == CHANGE) & (persons.target != NONE)
    told |= np.isin(persons.process, (PARTING, WITHDRAWAL))
    told |= (known.given != NONE) & (known.owner == NONE)
    return np.asarray(~batch.rejected & told)


def tied(batch: Batch) -> bool:
    """Whether what a file states is about somebody whom another file of the group names."""
    reception, stating = batch.persons.reception, states(batch)
    if not stating.any() or reception[0] == reception[-1]:
        return False
    names = list(_names(batch))
    stated = np.unique(np.concatenate([name[stating[rows]] for rows, name in names]))
    parts = [
        pl.DataFrame({"reception": reception[rows], "name": name}).filter(
            pl.Series(np.isin(name, stated))
        )
        for rows, name in names
    ]
    files = pl.concat(parts).group_by("name").agg(pl.col("reception").n_unique())
    return bool((files["reception"] > 1).any())


def _names(batch: Batch) -> Iterator[tuple[Ints, Ints]]:
    """Everything that persons are named by: (rows, a number for each), in ranges of their own."""
    persons, known, people, here = batch.persons, batch.known, batch.people, ~batch.rejected
    numbers = np.where(number_target(persons), persons.target, NONE)
    members = np.where(member_target(persons), persons.target - AS_MEMBER, NONE)
    person, member = 10**17, 10**18
    for values, base in (
        (persons.my_number, 0),
        (numbers, 0),
        (people.canonical(known.link), person),
        (people.canonical(known.target_link), person),
        (people.canonical(known.owner), person),
        (people.canonical(known.target_owner), person),
    ):
        rows = np.flatnonzero(here & (values != NONE))
        yield rows, values[rows] + base
    insurers = persons.insurer.astype(np.int64) * MEMBERS + member
    for values in (persons.member_id, known.given, members, known.target_member):
        rows = np.flatnonzero(here & (values != NONE))
        yield rows, insurers[rows] + values[rows]
