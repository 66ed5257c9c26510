"""Transactions in a `together` block are one: seen in it at once, by others at its end."""

from __future__ import annotations

from pathlib import Path

import pytest

from koukan.ledger import Ledger


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    found = Ledger(tmp_path / "ledger.sqlite")
    found.create()
    return found


def test_others_see_nothing_before_the_end_of_the_block(ledger: Ledger) -> None:
    other = Ledger(ledger.path)
    with ledger.together():
        ledger.note_lot(7)
        with ledger.together():
            ledger.note_lot(8)
        assert ledger.lot() == 8
        assert other.lot() is None
    assert ledger.lot() == other.lot() == 8


def test_a_block_that_fails_leaves_nothing(ledger: Ledger) -> None:
    ledger.note_lot(1)

    def failing() -> None:
        with ledger.together():
            ledger.note_lot(2)
            raise KeyError

    with pytest.raises(KeyError):
        failing()
    assert ledger.lot() == 1
    ledger.note_lot(3)
    assert ledger.lot() == 3
