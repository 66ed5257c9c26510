"""Flow 2-(5): マイナポータル asks by code and gets the cards of the day; what was told is recorded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from centres import Place
from codes_site import copied
from disclosure_site import (
    AT,
    DISCLOSE,
    EVERYBODY,
    PEOPLE,
    A,
    B,
    codes,
    everybodys_cards,
    inbox,
    portal,
    site,
    told_by,
)

from koukan.engine.verify import verify_ledger, verify_tables


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Copy it; do not run it."""
    return site(tmp_path_factory.mktemp("disclosure"))


@pytest.fixture
def place(made: Place, tmp_path: Path) -> Place:
    return copied(made, tmp_path / "own")


def sound(place: Place) -> None:
    with place.opened() as centre:
        assert verify_ledger(centre) == verify_tables(centre) == []


def ask(place: Place, own: Any, asked: list[Any]) -> Path:
    path: Path = own.lay(inbox(place), asked)
    return path


@pytest.mark.requirement("R104", "R105", "R106", "R107", "R109")
def test_everybody_who_asks_gets_the_cards_of_the_day_of_whichever_insurer(place: Place) -> None:
    own, known = portal.Portal(), codes(place)
    asked = [own.ask(known[person], AT) for person in EVERYBODY]
    ask(place, own, asked)
    place.run(DISCLOSE)
    found = told_by(place, own, 1)
    cards = everybodys_cards(place)
    assert [sorted(items) for _, items in found] == [portal.expected(cards, one) for one in asked]
    assert {kind for kind, _ in found} == {"1"}
    both = [len(items) for _, items in found]
    assert both.count(2) == len(set(PEOPLE[A]) & set(PEOPLE[B])) == 4
    sound(place)
