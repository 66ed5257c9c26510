"""Persons of a centre, and centres that were made before there were statements of persons."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from centres import Place
from sqlalchemy import delete
from statements import joined, say

from koukan.engine.digest import state_digest
from koukan.engine.initialise import initialise
from koukan.engine.people import KEPT, people_of
from koukan.engine.verify import verify_ledger
from koukan.errors import EnvironmentRefused
from koukan.flows.registration import PERSON_LINKS
from koukan.ledger import schema


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "site", tmp_path / "keys" / "batch.key").initialised()


def test_statements_make_persons_as_of_the_groups_that_said_them(place: Place) -> None:
    links = np.array([1, 2, 3])
    with place.opened() as centre:
        assert people_of(centre).trivial
        nothing = state_digest(centre)
        say(centre, [joined(1, 2, 1, 5)], group=5)
        once = people_of(centre)
        assert once.canonical(links).tolist() == [2, 2, 3]  # 2 was issued first
        assert people_of(centre) is once
        say(centre, [joined(1, 3, 2, 6)], group=6)
        assert people_of(centre).canonical(links).tolist() == [3, 3, 3]
        assert people_of(centre, [5]).canonical(links).tolist() == [2, 2, 3]
        assert people_of(centre, []).trivial
        assert state_digest(centre) != nothing
        assert verify_ledger(centre) == []


def test_few_of_them_are_kept(place: Place) -> None:
    with place.opened() as centre:
        say(centre, [joined(1, 2, 1, 5)], group=5)
        for group in range(3 * KEPT):
            people_of(centre, [group])
        assert len(centre.people) <= KEPT


def test_a_damaged_file_of_statements_is_found(place: Place) -> None:
    with place.opened() as centre:
        say(centre, [joined(1, 2, 1, 5)], group=5)
        (path,) = centre.folder("tables", PERSON_LINKS).glob("*.parquet")
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
        found = verify_ledger(centre)
        assert [item.where["table"] for item in found] == [PERSON_LINKS]


def test_a_site_made_before_is_told_to_initialise_and_keeps_what_it_has(place: Place) -> None:
    with place.opened() as centre:  # as an earlier version has left it
        with centre.ledger.begin() as transaction:
            table = schema.table_versions
            transaction.execute(delete(table).where(table.c.name == PERSON_LINKS))
        shutil.rmtree(centre.folder("tables", PERSON_LINKS))
        with pytest.raises(EnvironmentRefused) as refused:
            people_of(centre)
        assert (refused.value.key, refused.value.where["table"]) == (
            "engine.table_missing",
            PERSON_LINKS,
        )
    assert initialise(place.root, place.key) == [PERSON_LINKS]
    with place.opened() as centre:
        assert people_of(centre).trivial
