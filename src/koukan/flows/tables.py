"""All tables of a centre, whichever flow writes them: their partitions, columns and order."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from koukan.flows import codes, copies, disclosure, pmh, registration
from koukan.flows.codes import CODES
from koukan.flows.copies import REPLICA
from koukan.flows.disclosure import RECORDS
from koukan.flows.pmh import ISSUES
from koukan.flows.registration import PERSON_LINKS, ROSTER, VAULT
from koukan.formats.model import Format
from koukan.tables.definition import TableDefinition

IN_TIME = ("group_number", "reception", "line_number")
ORDERS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        VAULT: ("token_hi", "token_lo"),
        PERSON_LINKS: ("group_number", "reception"),
        ISSUES: ("link_number",),
        CODES: ("link_number", "group_number"),
        RECORDS: (*IN_TIME, "insurer_code"),
        REPLICA: copies.SORTED_BY,
    }
)


def definitions(formats: Mapping[str, Format], buckets: int) -> dict[str, TableDefinition]:
    """Every table by name, in the order in which a group's commits are made."""
    found = registration.definitions(formats[registration.FORMAT], buckets)
    found[ISSUES] = pmh.definition(buckets)
    found[CODES] = codes.definition(buckets)
    found[RECORDS] = disclosure.definition()
    found[REPLICA] = copies.definition(formats[copies.REGISTRATION])
    return found


def sorted_by(table: str, section: str) -> tuple[str, ...]:
    """How the rows of a file are sorted that was written anew; equal ones stay in order of time."""
    return ("member_id", "reception") if section == ROSTER else ORDERS.get(table, IN_TIME)
