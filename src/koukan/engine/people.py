"""Persons as insurers' statements make them: the table `person_links`, worked out once.

It is small, and every look-up asks for it: each process keeps what it came to.
"""

from __future__ import annotations

from collections.abc import Collection

from koukan.engine.centre import Centre
from koukan.flows.registration import PERSON_LINKS
from koukan.rules.persons import People

KEPT = 8  # newest version and nights that are asked about; for more, all are worked out anew


def people_of(centre: Centre, groups: Collection[int] | None = None) -> People:
    """Persons as the statements of these groups make them. None: of all."""
    version = centre.ledger.table_versions().get(PERSON_LINKS)
    key = version, None if groups is None else frozenset(groups)
    found = centre.people.get(key)
    if found is None:
        table = centre.snapshot(PERSON_LINKS)
        if len(centre.people) >= KEPT:
            centre.people.clear()
        found = centre.people[key] = People.of(table.read(table.files()), groups)
    return found
