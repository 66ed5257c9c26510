"""A small centre in which something of everything happened, copied for each test that spoils it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from centres import Place, lay


@pytest.fixture
def empty(tmp_path: Path) -> Place:
    """A centre that nobody has sent anything to."""
    return Place(tmp_path / "site", tmp_path / "keys" / "batch.key").initialised()


@pytest.fixture(scope="session")
def used(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Accepted with and without rejects, duplicate, refused, held; not to be changed."""
    folder = tmp_path_factory.mktemp("used")
    place = Place(folder / "site", folder / "keys" / "batch.key").initialised()
    lay(place, "kenpo-a", 1, persons=60, bad_persons=30)
    lay(place, "kyokai", 1, persons=40, first_person=1_000)
    place.run()
    first = lay(place, "kenpo-a", 1, persons=60, bad_persons=30)
    first.rename(first.with_name("MR_kenpo-a_000002.csv"))
    lay(place, "kenpo-a", 4, persons=5, first_person=2_000)
    torn = lay(place, "kyokai", 2, persons=5, first_person=3_000)
    torn.write_bytes(torn.read_bytes()[:-30])
    place.run()
    return place


@pytest.fixture
def place(used: Place, tmp_path: Path) -> Place:
    """A copy of `used` that a test may spoil."""
    copy = Place(tmp_path / "site", tmp_path / "keys" / "batch.key")
    shutil.copytree(used.root, copy.root)
    shutil.copytree(used.key.parent, copy.key.parent)
    return copy
