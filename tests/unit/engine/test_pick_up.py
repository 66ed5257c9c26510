"""Files are picked up in lots; what a kill leaves of one goes, and nothing else does."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from centres import Place, lay

from koukan.engine.centre import open_centre
from koukan.engine.run import run_job
from koukan.engine.steps import pick_up
from koukan.engine.steps.pick_up import copies
from koukan.errors import IntegrityError

JOB = "register_members"


class Killed(BaseException):
    pass


@pytest.fixture
def waiting(tmp_path: Path) -> Place:
    """Three small files in the inboxes."""
    place = Place(tmp_path / "site", tmp_path / "keys" / "batch.key").initialised()
    lay(place, "kenpo-a", 1, persons=5)
    lay(place, "kenpo-a", 2, persons=5, first_person=100)
    lay(place, "kouki-rengo", 1, persons=5, first_person=200)
    return place


def killed_at(place: Place, event: str, times: int) -> None:
    left = times

    def kill(name: str, **_: object) -> None:
        nonlocal left
        left -= name == event
        if not left:
            raise Killed

    centre = open_centre(place.root, place.key, clock=lambda: place.now, observe=kill)
    with pytest.raises(Killed):
        run_job(centre, JOB)
    centre.close()


def test_copies_of_a_lot_that_was_killed_go_and_its_files_are_taken(waiting: Place) -> None:
    killed_at(waiting, "sealed", 2)
    with waiting.opened() as centre:
        left = copies(centre)
        assert len(left) == 2
        assert not centre.ledger.receptions()
    waiting.run()
    with waiting.opened() as centre:
        found = centre.ledger.receptions()
        assert [item.outcome for item in found] == ["accepted"] * 3
        assert not left & copies(centre)


def test_a_copy_that_is_not_of_the_last_lot_is_left_alone(waiting: Place) -> None:
    ledger, older = waiting.root / "ledger", waiting.root.parent / "older"
    shutil.copytree(ledger, older)
    waiting.run()
    shutil.rmtree(ledger)
    shutil.copytree(older, ledger)  # an older copy, which lacks the receptions
    lay(waiting, "kenpo-a", 3, persons=5, first_person=300)
    with waiting.opened() as centre:
        before = copies(centre)
        # The tables would tell as well: what is asked here is whether pick_up does by itself.
        with pytest.raises(IntegrityError) as error:
            pick_up.run(centre, centre.jobs[JOB])
        assert error.value.key == "engine.ledger_older"
        assert copies(centre) == before
