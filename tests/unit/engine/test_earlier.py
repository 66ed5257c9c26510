"""A root that an earlier koukan made needs `koukan init` once more, and nothing else."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from centres import Place, lay

from koukan.engine.initialise import initialise
from koukan.engine.verify import verify_ledger
from koukan.errors import EnvironmentRefused

LATER = ("correction", "review", "notice", "forgotten")
COLUMNS = ("policy", "remarks", "told_at", "expects", "admitted_at", "judged_at")


@pytest.fixture
def earlier(tmp_path: Path) -> Place:
    """A site with a file taken in, without what later versions brought."""
    place = Place(tmp_path / "site", tmp_path / "batch.key").initialised(buckets=2)
    lay(place, "kenpo-a", 1, persons=5)
    place.run()
    with closing(sqlite3.connect(place.root / "ledger" / "koukan.sqlite")) as database:
        for table in LATER:
            database.execute(f"drop table {table}")
        for column in COLUMNS:
            database.execute(f"alter table reception drop column {column}")
        database.execute("delete from table_version where name = 'person_links'")
        database.commit()
    shutil.rmtree(place.root / "tables" / "person_links")
    (place.root / "approvals").rmdir()
    return place


def test_init_adds_what_an_earlier_root_lacks_and_it_goes_on(earlier: Place) -> None:
    with pytest.raises(EnvironmentRefused, match=r"ledger\.earlier"), earlier.opened():
        pass
    made = initialise(earlier.root, earlier.key)
    assert {*LATER, "reception.policy", "person_links", "approvals"} <= set(made)
    lay(earlier, "kenpo-a", 2, persons=5, first_person=50)
    assert earlier.run().exit == 0
    with earlier.opened() as centre:
        assert verify_ledger(centre) == []
        assert [item.outcome for item in centre.ledger.receptions()] == ["accepted", "accepted"]
    assert initialise(earlier.root, earlier.key) == []
