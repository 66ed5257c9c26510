"""Files are picked up in lots; what a kill leaves of one goes, and nothing else does."""

from __future__ import annotations

import hashlib
import json
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


@pytest.mark.parametrize(("event", "times", "named"), [("sealed", 2, 0), ("copied", 1, 3)])
def test_copies_of_a_lot_that_was_killed_go_and_its_files_are_taken(
    waiting: Place, event: str, times: int, named: int
) -> None:
    killed_at(waiting, event, times)
    with waiting.opened() as centre:
        left = copies(centre)
        assert len(left) == 3  # keys of all of them are made first
        assert len(list(centre.folder("originals").glob("*.sealed"))) == named
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


def marked(path: Path, **other: object) -> None:
    """A marker beside a file, right but for `other`."""
    content = path.read_bytes()
    said = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
    said |= {"records": content.count(b"\n"), **other}
    path.with_name(path.name + ".done").write_text(json.dumps(said))


def outcomes(place: Place) -> list[tuple[str | None, str | None]]:
    with place.opened() as centre:
        return [(item.outcome, item.code) for item in centre.ledger.receptions()]


def test_a_file_with_its_marker_waits_for_no_second_look(
    waiting: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = sorted(waiting.root.glob("exchange/*/inbox/*/*"))
    for path in paths:
        marked(path)
    monkeypatch.setattr(pick_up.time, "sleep", None)  # it would be an error to wait
    waiting.run()
    assert outcomes(waiting) == [("accepted", None)] * 3
    assert not list(waiting.root.glob("exchange/*/inbox/*/*"))


def test_a_file_that_is_not_what_its_marker_says_is_refused_and_may_be_sent_again(
    tmp_path: Path,
) -> None:
    place = Place(tmp_path / "site", tmp_path / "keys" / "batch.key").initialised()
    path = lay(place, "kenpo-a", 1, persons=5)
    whole = path.read_bytes()
    for wrong in ({"sha256": "0" * 64}, {"size": 1}, {"records": 1}, {"size": "1"}):
        path.write_bytes(whole)
        marked(path, **wrong)
        place.run()
    path.write_bytes(whole)
    marked(path)
    place.run()
    codes = ["F130", "F131", "F132"]
    assert outcomes(place) == [*(("refused", code) for code in codes), ("accepted", None)]
    answer = sorted(place.outbox("kenpo-a").glob("AK_*"))
    assert len(answer) == 4
    assert b"F131" in answer[1].read_bytes()
    with place.opened() as centre:
        from koukan.engine.operate import plan_rerun
        from koukan.engine.verify import verify_ledger

        assert plan_rerun(centre, 1).reason == "operate.plan_marker"
        assert not verify_ledger(centre)


def test_the_marker_of_a_file_that_a_killed_run_took_goes(waiting: Place) -> None:
    path = min(waiting.root.glob("exchange/kenpo-a/inbox/*/*"))
    waiting.run()
    left = path.with_name(path.name + ".done")
    left.write_text("as a kill leaves it")
    early = path.with_name("MR_kenpo-a_000009.csv.done")
    early.write_text("before its file")
    waiting.run()
    assert (left.exists(), early.exists()) == (False, True)


@pytest.mark.parametrize("bound", ["inbox_files = 1", "inbox_bytes = 1"])
def test_one_run_takes_no_more_from_a_sender_than_the_site_allows(
    waiting: Place, bound: str
) -> None:
    site = waiting.root / "site.toml"
    site.write_text(f"{site.read_text()}{bound}\n")
    waiting.run()
    with waiting.opened() as centre:
        assert [item.sender for item in centre.ledger.receptions()] == ["kenpo-a", "kouki-rengo"]
    waiting.run()
    assert outcomes(waiting) == [("accepted", None)] * 3


def test_of_a_file_that_is_too_long_no_more_is_copied_than_tells_so(tmp_path: Path) -> None:
    place = Place(tmp_path / "site", tmp_path / "keys" / "batch.key").initialised()
    path = place.inbox("kenpo-a") / "PR_kenpo-a_000001.csv"
    with path.open("wb") as file:
        file.truncate(2**40)  # a hole of a tebibyte
    place.run("confirm_delivery")
    assert [outcome for outcome, _ in outcomes(place)] == ["refused"]
    with place.opened() as centre:
        assert centre.ledger.receptions()[0].length == 16777216 + 1
    assert not path.exists()
