"""Lots keep the order, hold many small files, and leave a large one alone."""

from __future__ import annotations

from koukan.engine import originals
from koukan.engine.lots import BYTES, FILES, lots


def test_lots_are_bounded_by_files_and_by_bytes() -> None:
    lengths = [1] * (FILES + 1) + [BYTES, 1, BYTES - 1, 2]
    found = list(lots(lengths, lambda length: length))
    assert [item for lot in found for item in lot] == lengths
    assert [len(lot) for lot in found] == [FILES, 1, 1, 2, 1]
    assert not list(lots([], len))


def test_a_copy_is_known_by_its_lot() -> None:
    lot, other = originals.new_lot(), originals.new_lot()
    names = [originals.name_in(lot, place) for place in range(FILES)]
    assert len(set(names)) == FILES
    assert all(len(name) == len("o-") + 16 for name in names)
    assert all(originals.is_in(lot, name) for name in names)
    assert not any(originals.is_in(other, name) for name in names)
    assert originals.is_in(5, originals.name_in(5, 0))  # a lot of few digits, too
    assert not originals.is_in(5, originals.name_in(0x15, 0))
