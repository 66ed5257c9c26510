"""管理終了 as `person_links` has it, written by hand, and what is there of members."""

from __future__ import annotations

from typing import NamedTuple

import polars as pl

from koukan.engine.centre import Centre, held_version, version_of
from koukan.engine.rewriting import row_of
from koukan.engine.steps.commit import file_name
from koukan.flows.registration import FORMAT, HISTORY, PARTITION, PERSON_LINKS, ROSTER, VAULT
from koukan.ledger import Ledger

FORGET = "forget_persons"


class Member(NamedTuple):
    insurer: str
    member_id: int
    link: int


def members(centre: Centre, insurer: str) -> list[Member]:
    """An insurer's members, by 紐付番号."""
    snapshot = centre.snapshot(PARTITION)
    rows = snapshot.read(snapshot.files(insurer=insurer, section=ROSTER), section=ROSTER)
    found = rows.sort("link_number").select("member_id", "link_number").rows()
    return [Member(insurer, *row) for row in found]


def state(centre: Centre, *rows: dict[str, object]) -> None:
    """Commit statements as a registration does, in a group of their own."""
    table = centre.tables[PERSON_LINKS]
    group = centre.ledger.form_group(FORMAT, [], centre.now())
    columns = table.definition.sections[""]
    common = {"reception": 1, "group_number": group}
    frame = pl.DataFrame([common | row for row in rows], schema=dict(columns))
    file = table.write({}, frame, file_name(group, 1, 0))
    held = version_of(centre.ledger.table_versions()[PERSON_LINKS])
    version = table.commit([file], [], transaction=group, expected=held)
    with centre.ledger.begin() as transaction:
        Ledger.put_group_files(transaction, group, [row_of(PERSON_LINKS, file)])
        Ledger.put_table_version(transaction, held_version(PERSON_LINKS, version))
        Ledger.set_group(transaction, group, "committed")


def withdraw(centre: Centre, *gone: Member) -> None:
    state(
        centre,
        *(
            {
                "act": "withdrawn",
                "insurer_code": member.insurer,
                "member_id": member.member_id,
                "link_number": member.link,
            }
            for member in gone
        ),
    )


def rows_of(centre: Centre, member: Member) -> dict[str, int]:
    """How many rows there are of a member, by table and section."""
    found = {}
    for name in (PARTITION, HISTORY):
        snapshot = centre.snapshot(name)
        for section in snapshot.table.definition.sections:
            where = {"section": section} | (
                {"insurer": member.insurer} if name == PARTITION else {}
            )
            rows = snapshot.read(snapshot.files(**where), section=section)
            if name == HISTORY:
                rows = rows.filter(pl.col("insurer_code") == member.insurer)
            found[f"{name} {section}"] = rows.filter(pl.col("member_id") == member.member_id).height
    return {place: count for place, count in found.items() if count}


def numbers_of(centre: Centre, link: int) -> int:
    """Tokens that the vault has for a 紐付番号."""
    snapshot = centre.snapshot(VAULT)
    return snapshot.read(snapshot.files(), where=pl.col("link_number") == link).height
