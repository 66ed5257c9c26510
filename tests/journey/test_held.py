"""What was held: taken up by itself, or let in or refused by a person."""

from __future__ import annotations

from pathlib import Path

from journey import checks, nights
from journey.after_night import found_counts, receptions_of

from koukan.engine import operate
from koukan.engine.centre import Centre
from koukan.engine.run import run_job
from koukan.samples.scenario import SCENARIO


def held(centre: Centre, code: str) -> int:
    (number,) = [
        item.number for item in centre.ledger.receptions(outcome="held") if item.code == code
    ]
    return number


def lay_missing(demo: nights.Demo, root: Path) -> str:
    """kyokai's file 000004, which never came: three persons whom nobody has named."""
    night = nights.Night(
        root, nights.Population(nights.SEED), nights.formats(), nights.NIGHT_DAY, demo.night.persons
    )
    sender = SCENARIO.sender("kyokai")
    frames = night.frames(sender, SCENARIO.insurer(sender.insurers[0]), night.take(3))
    name, content = night.rendered(sender, 4, frames)
    night.lay(sender, name, content)
    return name


def test_when_a_gap_closes_the_file_behind_it_is_taken_up_by_itself(
    demo: nights.Demo, after: Centre
) -> None:
    waiting = held(after, "H101")
    name = lay_missing(demo, after.root)
    ran = run_job(after, nights.REGISTER)
    (number,) = receptions_of(after, "kyokai", name)
    for item in (after.ledger.reception(number), after.ledger.reception(waiting)):
        assert (item.state, item.outcome, item.code) == ("closed", "accepted", None)
    counts = found_counts(after, waiting)
    assert {item.held for item in counts.values()} == {0}
    assert {item.accepted for item in counts.values()} == {18}
    assert set(ran.receptions) >= {number, waiting}
    assert checks.problems(after) == []


def test_a_released_file_is_taken_in_by_the_next_run(after: Centre) -> None:
    for code in ("H101", "H102"):
        number = held(after, code)
        operate.release(after, number, "the sender was asked", "hanako.kakuu")
        run_job(after, nights.REGISTER)
        item = after.ledger.reception(number)
        assert (item.state, item.outcome, item.code) == ("closed", "accepted", None)
        assert {count.held for count in after.ledger.counts(number)} == {0}
    assert after.ledger.receptions(outcome="held") == []
    assert checks.problems(after) == []


def test_a_file_refused_by_a_person_is_told_so_and_frees_its_name(
    demo: nights.Demo, after: Centre
) -> None:
    number = held(after, "H101")
    before = after.ledger.reception(number)
    operate.refuse(after, number, "the sender asked for it", "hanako.kakuu")
    item = after.ledger.reception(number)
    assert (item.state, item.outcome, item.code) == ("closed", "refused", "F901")
    assert after.ledger.counts(number) == []
    form = after.catalogue.formats["acknowledgement"]
    (path,) = nights.answers_to(after.root, "kyokai", before.file_name, "AK")
    row, *_ = nights.records_of(path.read_bytes(), form)
    assert row["processing_result_code"] == "F901"
    lay_missing(demo, after.root)
    again = demo.files["kyokai", before.file_name].replace(b"20260402", b"20260403", 1)
    (after.root / "exchange" / "kyokai" / "inbox" / before.door / before.file_name).write_bytes(
        again
    )
    run_job(after, nights.REGISTER)
    assert after.ledger.receptions()[-1].file_name == before.file_name
    assert after.ledger.receptions()[-1].outcome == "accepted"
    assert checks.problems(after) == []
