"""The ladder of receipts: at once when a file is picked up, and again as it climbs."""

from __future__ import annotations

import csv
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from centres import Place, lay

from koukan import reports
from koukan.engine.centre import open_centre
from koukan.engine.digest import state_digest
from koukan.engine.operate import rerun
from koukan.engine.run import run_job
from koukan.engine.verify import verify_ledger

NOW, DUE = "20260401100000", "20260401180000"  # JST: the clock, and the job's next run


class Stop(Exception):
    """What a test stops a run with."""


def receipt(place: Place, sender: str, number: int) -> list[list[str]]:
    path = next(place.outbox(sender).glob(f"AK_*_{number:010d}.csv"))
    with path.open(encoding="cp932", newline="") as file:
        return list(csv.reader(file))


def rungs(rows: list[list[str]]) -> list[str]:
    return [" ".join(row[1:]).strip() for row in rows if row[0] == "15"]


def outcome(rows: list[list[str]]) -> tuple[str, str, str]:
    (row,) = (row for row in rows if row[0] == "11")
    return row[1], row[2], row[-1]


@contextmanager
def stopped(place: Place, event: str) -> Iterator[None]:
    """A run that ends in an error at a boundary."""

    def observe(found: str, **_where: object) -> None:
        if found == event:
            raise Stop

    centre = open_centre(place.root, place.key, clock=lambda: place.now, observe=observe)
    try:
        with pytest.raises(Stop):
            run_job(centre, "register_members")
        yield
    finally:
        centre.close()


def test_a_night_that_is_stopped_has_told_every_sender_that_its_file_is_here(empty: Place) -> None:
    lay(empty, "kenpo-a", 1, persons=3)
    lay(empty, "kyokai", 1, persons=3, first_person=10)
    (empty.inbox("kyokai") / "odd.csv").write_bytes(b"odd")
    with stopped(empty, "gated"):
        pass
    for sender, number in (("kenpo-a", 1), ("kyokai", 2), ("kyokai", 3)):
        rows = receipt(empty, sender, number)
        assert rows[0][2] in {"MR_kenpo-a_000001.csv", "MR_kyokai_000001.csv", "odd.csv"}
        assert outcome(rows) == ("5", "", "")
        assert rungs(rows) == [f"1 1 {NOW}", f"2 2 {DUE}", f"3 2 {DUE}", f"4 2 {DUE}"]
    empty.now += timedelta(minutes=1)
    empty.run()
    at = "20260401100100"
    rows = receipt(empty, "kenpo-a", 1)
    assert outcome(rows) == ("1", "", "000002")
    assert rungs(rows) == [f"1 1 {NOW}", *(f"{rung} 1 {at}" for rung in (2, 3, 4))]
    assert outcome(receipt(empty, "kyokai", 2))[:2] == ("2", "F101")
    with empty.opened() as centre:
        assert verify_ledger(centre) == []


def test_a_held_file_stands_on_its_rung_until_it_climbs(empty: Place) -> None:
    lay(empty, "kenpo-a", 2, persons=3)
    empty.run()
    rows = receipt(empty, "kenpo-a", 1)
    assert outcome(rows) == ("4", "H101", "000001")
    assert rungs(rows) == [f"1 1 {NOW}", f"2 3 {DUE}", f"3 2 {DUE}", f"4 2 {DUE}"]
    before = next(empty.outbox("kenpo-a").glob("AK_*")).read_bytes()
    empty.now += timedelta(days=1)
    empty.run()  # nothing has changed, and nothing is told anew
    assert next(empty.outbox("kenpo-a").glob("AK_*")).read_bytes() == before
    lay(empty, "kenpo-a", 1, persons=3, first_person=10)
    empty.run()
    rows = receipt(empty, "kenpo-a", 1)
    assert outcome(rows) == ("1", "", "000003")
    at = "20260402100000"
    assert rungs(rows) == [f"1 1 {NOW}", *(f"{rung} 1 {at}" for rung in (2, 3, 4))]


def test_refused_and_repeated_files_end_on_their_rung(place: Place) -> None:
    rows = receipt(place, "kyokai", 5)
    assert outcome(rows)[0] == "2"
    assert rungs(rows) == [f"1 1 {NOW}", f"2 4 {NOW}", "3 5", "4 5"]
    assert rungs(receipt(place, "kenpo-a", 3)) == [f"1 1 {NOW}", f"2 4 {NOW}", "3 5", "4 5"]
    assert outcome(receipt(place, "kenpo-a", 3))[2] == "000003"  # its number is used up


def test_a_receipt_laid_out_again_is_the_same_whatever_came_since(place: Place) -> None:
    path = next(place.outbox("kenpo-a").glob("AK_*_0000000001.csv"))
    before = path.read_bytes()
    path.unlink()
    place.now += timedelta(days=1)
    with place.opened() as centre:
        rerun(centre, 1)
    assert path.read_bytes() == before


def test_show_tells_the_same_ladder(place: Place) -> None:
    with place.opened() as centre:
        found = reports.reception(centre, 1)
        held = reports.reception(centre, 4)
    assert [item["state"] for item in found["ladder"]] == ["done"] * 4
    assert found["expected_sequence"] == 2
    assert [item["state"] for item in held["ladder"]] == ["done", "held", "planned", "planned"]
    assert held["ladder"][1]["at"] == "2026-04-01 18:00"


KILLED = """
import os, signal, sys
from datetime import UTC, datetime
from pathlib import Path
from koukan.engine.centre import open_centre
from koukan.engine.run import run_job

def observe(event, **where):
    if event == sys.argv[3]:
        os.kill(os.getpid(), signal.SIGKILL)

clock = lambda: datetime(2026, 4, 1, 1, 0, tzinfo=UTC)
centre = open_centre(Path(sys.argv[1]), Path(sys.argv[2]), clock=clock, observe=observe)
run_job(centre, "register_members")
"""


@pytest.mark.parametrize("event", ["noted", "receipts laid out", "laid out"])
def test_killed_around_a_receipt_the_next_run_ends_as_one_run_does(
    empty: Place, tmp_path: Path, event: str
) -> None:
    assert empty.now == datetime(2026, 4, 1, 1, 0, tzinfo=UTC)
    lay(empty, "kenpo-a", 1, persons=3)
    lay(empty, "kyokai", 2, persons=3, first_person=10)
    script = tmp_path / "killed.py"
    script.write_text(KILLED, encoding="utf-8")
    command = [sys.executable, str(script), str(empty.root), str(empty.key), event]
    assert subprocess.run(command, check=False, timeout=60).returncode == -signal.SIGKILL
    if event != "noted":
        assert receipt(empty, "kenpo-a", 1)
    empty.run()
    assert [outcome(receipt(empty, *one))[0] for one in (("kenpo-a", 1), ("kyokai", 2))] == [
        "1",
        "4",
    ]
    with empty.opened() as centre:
        assert verify_ledger(centre) == []
        before = state_digest(centre)
    empty.run()
    with empty.opened() as centre:
        assert state_digest(centre) == before
