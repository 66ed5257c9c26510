"""Pushes are made by a process that holds no key for numbers, and can come by none."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from centres import Place
from compacting import FILES, many_files
from pushing import EXPORT, content, identity, with_partner

from koukan.engine import originals
from koukan.engine.centre import open_centre
from koukan.engine.initialise import FURTHER_ACTORS, initialise
from koukan.engine.run import run_job, tick
from koukan.errors import Exit, SecretError
from koukan.flows.registration import PARTITION, VAULT
from koukan.keys.keyring import PURPOSES
from koukan.ledger.online import all_pushes
from koukan.samples.population import Population
from koukan.tables import encrypted

ACTOR = "online"
NUMBERS = ("number", "partition", "identity", "original", "stage")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A site whose pushes have an actor of their own; three nights, no push as yet."""
    folder = tmp_path_factory.mktemp("base")
    found = with_partner(many_files(Place(folder / "site", folder / "keys" / "batch.key")))
    text = (found.root / "site.toml").read_text("utf-8")
    found.write_site(f'{text}\n[[batch_actor]]\nname = "{ACTOR}"\nkey = "{key_of(found)}"\n')
    initialise(found.root, found.key)
    return found


@pytest.fixture
def place(base: Place, tmp_path: Path) -> Place:
    shutil.copytree(base.root, tmp_path / "site")
    return Place(tmp_path / "site", base.key, base.now)


def key_of(place: Place) -> Path:
    return place.key.with_name("online.key")


def actors(place: Place, operation: str) -> set[str]:
    """As whom an operation stands in the log."""
    entries = [
        json.loads(line)
        for path in sorted((place.root / "log").glob("operations-*.jsonl"))
        for line in path.read_bytes().splitlines()
    ]
    return {entry["actor"] for entry in entries if entry.get("operation") == operation}


@pytest.mark.requirement("R045")
def test_with_the_key_of_the_pushes_no_number_can_be_had(place: Place, tmp_path: Path) -> None:
    centre = open_centre(place.root, key_of(place), clock=lambda: place.now)
    assert centre.actor == ACTOR
    assert {one for one in PURPOSES if centre.keyring.holds(one)} == set(FURTHER_ACTORS[ACTOR])
    assert not set(NUMBERS) & set(FURTHER_ACTORS[ACTOR])
    with pytest.raises(SecretError, match="right_missing"):
        _ = centre.tokeniser
    for name in (VAULT, PARTITION):
        files = centre.snapshot(name).files()
        assert files
        for file in files:
            with pytest.raises(SecretError, match="right_missing"):
                encrypted.collect(centre.tables[name].open_file(file), path=centre.root)
    for reception in centre.ledger.receptions():
        with pytest.raises(SecretError, match="right_missing"):
            originals.open_original(centre, reception.original)
    assert run_job(centre, EXPORT).exit == Exit.DONE
    centre.close()
    pushed = content(place, 1, identity(tmp_path)).decode()
    numbers = Population(7).numbers(np.arange(4 * FILES, dtype=np.int64)).to_list()
    assert not [number for number in numbers if number in pushed]
    assert actors(place, "export") == {ACTOR}


def test_a_tick_has_them_made_by_a_process_of_their_own(place: Place) -> None:
    with place.opened() as centre:
        ran = {one.job: one.exit for one in tick(centre)}
        assert ran[EXPORT] == Exit.DONE
        assert [push.state for push in all_pushes(centre.ledger)] == ["laid"]
        assert EXPORT not in {one.job for one in tick(centre)}
    assert actors(place, "export") == {ACTOR}
    assert ACTOR not in actors(place, "commit")


def test_what_stops_that_process_leaves_its_job_due(place: Place) -> None:
    site = place.root / "site.toml"
    nowhere = str(key_of(place).with_name("nobodys.key"))
    site.write_text(site.read_text("utf-8").replace(str(key_of(place)), nowhere), "utf-8")
    for _ in range(2):
        with place.opened() as centre:
            ran = {one.job: one.exit for one in tick(centre)}
            assert ran[EXPORT] == Exit.CONFIGURATION
            assert all_pushes(centre.ledger) == []
