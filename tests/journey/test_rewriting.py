"""Tables that are written anew, killed (SIGKILL) at boundaries of both jobs that do it."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from centres import Place
from compacting import COMPACT, files, many_files
from histories import KYOKAI
from journey import checks, nights
from withdrawals import FORGET, members, rows_of, withdraw

from koukan.engine.centre import open_centre
from koukan.engine.run import run_job
from koukan.rules.tiers import FAN_IN

KILLS = 2  # by default; all boundaries with --long
JOBS = (FORGET, COMPACT)
GONE = 5  # members of 協会


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Many small files, and members to be forgotten. Copy it; do not run it."""
    folder = tmp_path_factory.mktemp("base")
    place = many_files(Place(folder / "site", folder / "keys" / "batch.key"))
    with place.opened() as centre:
        withdraw(centre, *members(centre, KYOKAI)[:GONE])
    return place


def copied(base: Place, folder: Path) -> Place:
    shutil.copytree(base.root, folder / "site")
    return Place(folder / "site", base.key, base.now)


def boundaries(place: Place) -> list[str]:
    """Run the jobs; the boundaries that they told."""
    told: list[str] = []

    def observe(event: str, **_: object) -> None:
        told.append(event)

    centre = open_centre(place.root, place.key, clock=lambda: place.now, observe=observe)
    for job in JOBS:
        run_job(centre, job)
    centre.close()
    return told


def killed(place: Place, at: int) -> int:
    program = Path(__file__).with_name("killed_job.py")
    arguments = [str(place.root), str(place.key), place.now.isoformat(), str(at), *JOBS]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(nights.PATHS)}
    command = [sys.executable, str(program), *arguments]
    return subprocess.run(command, env=environment, check=False).returncode


def end_of(place: Place) -> dict[str, object]:
    with place.opened() as centre:
        told = checks.told(centre)
        told["erasures"] = len(centre.ledger.erasures())  # hashes of files that were drawn
        return told | {"problems": checks.problems(centre)}


@pytest.mark.requirement("R030")
def test_killed_anywhere_and_started_again_the_tables_end_the_same(
    base: Place, tmp_path: Path
) -> None:
    alone = copied(base, tmp_path / "alone")
    count = len(boundaries(alone))
    wanted = end_of(alone)
    assert wanted["problems"] == []
    assert wanted["erasures"] == 1
    places = range(1, count + 1)
    for at in places if nights.LONG else random.Random(30).sample(places, KILLS):
        place = copied(base, tmp_path / f"{at}")
        assert killed(place, at) == -signal.SIGKILL
        for job in JOBS:
            place.run(job)
        assert end_of(place) == wanted, at
        with place.opened() as centre:
            assert max(files(centre).values()) < FAN_IN
        shutil.rmtree(place.root)


def test_what_was_killed_is_finished_by_the_night(base: Place, tmp_path: Path) -> None:
    """No job that registers goes on before it is; nobody is left whom it had begun to forget."""
    alone = copied(base, tmp_path / "alone")
    with alone.opened() as centre:
        gone = members(centre, KYOKAI)[:GONE]
    place, told = copied(base, tmp_path / "killed"), boundaries(alone)
    assert killed(place, 1 + told.index("table committed")) == -signal.SIGKILL
    place.run(nights.REGISTER)
    with place.opened() as centre:
        assert checks.problems(centre) == []
        assert all(rows_of(centre, member) == {} for member in gone)
