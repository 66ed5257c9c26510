"""Statements of insurers about persons: rows of `person_links` by hand, and their slow meaning."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import polars as pl
from centres import vouch

from koukan.engine.centre import Centre, held_version, version_of
from koukan.flows.registration import LINKS, PARTITION, PERSON_LINKS, ROSTER, ROSTER_COLUMNS
from koukan.ledger import Ledger
from koukan.rules.line_keys import NONE
from koukan.rules.persons import JOINED, PARTED, RENUMBERED, WITHDRAWN

X, Y = 6_139_999, 1_010_016
Row = dict[str, Any]


def frame(rows: Iterable[Row]) -> pl.DataFrame:
    return pl.DataFrame(
        [{"insurer_code": f"{X:08d}", **row} for row in rows], schema=LINKS, orient="row"
    )


def joined(member: int, link: int, survivor: int, at: int, *, insurer: int = X) -> Row:
    return {
        "act": JOINED,
        "insurer_code": f"{insurer:08d}",
        "member_id": member,
        "link_number": link,
        "survivor": survivor,
        "rank": rank_of(link),
        "survivor_rank": rank_of(survivor),
        "reception": 100 - at,  # the group comes first
        "group_number": at,
    }


def parted(member: int, link: int, survivor: int, at: int, *, insurer: int = X) -> Row:
    row = joined(member, link, survivor, at, insurer=insurer)
    return {**row, "act": PARTED, "rank": None, "survivor_rank": None}


def renumbered(member: int, successor: int, at: int, *, insurer: int = X) -> Row:
    row = parted(member, 0, 0, at, insurer=insurer)
    return {**row, "act": RENUMBERED, "link_number": None, "survivor": None, "successor": successor}


def withdrawn(member: int, at: int, *, insurer: int = X) -> Row:
    row = renumbered(member, 0, at, insurer=insurer)
    return {**row, "act": WITHDRAWN, "successor": None}


def rank_of(link: int) -> int:
    """Links are issued in another order than their numbers have."""
    return link * 982_451_653 % 1_000_000_007


class Twin:
    """What the statements come to, statement by statement."""

    def __init__(self, rows: Iterable[Row], groups: Collection[int] | None = None) -> None:
        self.rows = sorted(
            (row for row in rows if groups is None or row["group_number"] in groups), key=place
        )
        self.edges: dict[int, set[int]] = {}
        self.asked: dict[tuple[str, int], tuple[tuple[int, int], int | None]] = {}
        for row in self.of(JOINED):
            if self.word(who(row))[0] <= place(row):
                for one, other in ((0, 1), (1, 0)):
                    ends = (row["link_number"], row["survivor"])
                    self.edges.setdefault(ends[one], set()).add(ends[other])

    def of(self, act: str) -> list[Row]:
        return [row for row in self.rows if row["act"] == act]

    def next_of(self, member: tuple[str, int]) -> Row | None:
        found = [row for row in self.of(RENUMBERED) if who(row) == member]
        return found[-1] if found else None

    def word(self, member: tuple[str, int]) -> tuple[tuple[int, int], int | None]:
        """The last parting that counts for a member: place and survivor."""
        if member not in self.asked:
            found: tuple[tuple[int, int], int | None] = (0, 0), None
            for row in self.of(PARTED):
                if who(row) == member:
                    found = place(row), row["survivor"]
            following = self.next_of(member)
            if following is not None:
                later = self.word((member[0], following["successor"]))
                if later[0] > max(place(following), found[0]):
                    found = later
            self.asked[member] = found
        return self.asked[member]

    def current(self, member: tuple[str, int]) -> int:
        following = self.next_of(member)
        if following is None:
            return member[1]
        return self.current((member[0], following["successor"]))

    def gone(self, member: tuple[str, int]) -> bool:
        if any(who(row) == member for row in self.of(WITHDRAWN)):
            return True
        following = self.next_of(member)
        return following is not None and self.gone((member[0], following["successor"]))

    def together(self, link: int) -> set[int]:
        found, ahead = {link}, [link]
        while ahead:
            for other in self.edges.get(ahead.pop(), ()):
                if other not in found:
                    found.add(other)
                    ahead.append(other)
        return found

    def asked_members(self) -> set[tuple[str, int]]:
        return {who(row) for row in self.rows}

    def person(self, link: int) -> int:
        return min(self.together(link), key=rank_of)

    def owner(self, member: tuple[str, int], link: int) -> int | None:
        """Whose an event is."""
        if self.gone(member):
            return None
        return self.person(self.word(member)[1] or link)

    def raw_links(self, link: int) -> set[int]:
        person = self.person(link)
        found = self.together(link)
        for row in self.of(PARTED):
            if self.person(self.word(who(row))[1] or NONE) == person:
                found.add(row["link_number"])
        return found


def who(row: Row) -> tuple[str, int]:
    return row["insurer_code"], row["member_id"]


def place(row: Row) -> tuple[int, int]:
    return row["group_number"], row["reception"]


def say(centre: Centre, rows: Iterable[Row], *, group: int) -> None:
    """Commit statements to a centre's table as that group would have."""
    said = frame({**row, "group_number": group} for row in rows)
    put(centre, PERSON_LINKS, [({}, said)], group=group)


def put(
    centre: Centre, name: str, parts: Iterable[tuple[dict[str, str], pl.DataFrame]], *, group: int
) -> None:
    """Commit rows to partitions of any table in the name of a group."""
    table, held = centre.tables[name], centre.ledger.table_versions()[name]
    files = [table.write(where, rows, f"g{group:08d}-001-00099") for where, rows in parts]
    vouch(centre, name, files, group)
    version = table.commit(files, [], transaction=group, expected=version_of(held))
    with centre.ledger.begin() as transaction:
        Ledger.put_table_version(transaction, held_version(name, version))


def tell(
    centre: Centre,
    insurer: str,
    group: int,
    classes: dict[int, str],
    links: dict[int, int | None],
) -> None:
    """Lines that name members with their 加入者区分コード, and the roster's rows."""
    partition = centre.snapshot(PARTITION)
    sections = partition.table.definition.sections
    section = next(name for name, types in sections.items() if "member_class_code" in types)
    (line,) = (
        partition.read(partition.files(insurer=insurer, section=section)[:1]).head(1).to_dicts()
    )
    lines = [
        {**line, "member_id": member, "member_class_code": code, "line_number": place}
        | {"reception": 1, "group_number": group}
        for place, (member, code) in enumerate(classes.items(), 10 * group)
    ]
    rows = [{"link_number": link, "member_id": m, "reception": 1} for m, link in links.items()]
    roster = pl.DataFrame(rows, schema=ROSTER_COLUMNS).with_columns(group_number=pl.lit(group))
    where = {"insurer": insurer}
    parts = [
        (where | {"section": section}, pl.DataFrame(lines, schema=dict(sections[section]))),
        (where | {"section": ROSTER}, roster.cast(dict(ROSTER_COLUMNS))),  # type: ignore[arg-type]
    ]
    put(centre, PARTITION, [part for part in parts if part[1].height], group=group)
