from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from datetime import timedelta

import pytest
from centres import Place, lay

from koukan import words
from koukan.engine.centre import Centre, open_centre
from koukan.engine.digest import state_digest
from koukan.engine.leases import lease
from koukan.engine.operate import Plan, plan_rerun, refuse, release, rerun
from koukan.engine.run import run_job
from koukan.engine.verify import verify_ledger
from koukan.errors import Exit, LeaseHeld, UsageError
from koukan.ledger import Counts, Reception
from koukan.samples.scenario import INSURERS

ACCEPTED, DUPLICATE, HELD, REFUSED = 1, 3, 4, 5
WHOLE = ("gate", "admit", "validate", "link", "commit", "acknowledge")
Decide = Callable[[Centre, int, str, str], Reception]


def sound(place: Place) -> str:
    """The digest of a centre that verifies."""
    with place.opened() as centre:
        assert verify_ledger(centre) == []
        return state_digest(centre)


def reception(place: Place, number: int) -> Reception:
    with place.opened() as centre:
        return centre.ledger.reception(number)


def decide(place: Place, act: Decide, number: int, operator: str = "hanako") -> Reception:
    with place.opened() as centre:
        return act(centre, number, "確認済み", operator)


def again(place: Place, number: int) -> tuple[Plan, Exit]:
    with place.opened() as centre:
        plan = plan_rerun(centre, number)
        ran = rerun(centre, number)
    assert number in ran.receptions
    assert words.sentence(plan.reason, "ja")
    return plan, ran.exit


def entries(place: Place) -> list[dict[str, object]]:
    lines = next((place.root / "log").glob("operations-*.jsonl")).read_text().splitlines()
    return [json.loads(line) for line in lines]


# --- release and refuse


def test_a_released_file_is_taken_on_by_the_next_run(place: Place) -> None:
    released = decide(place, release, HELD)
    assert (released.state, released.outcome, released.reason) == ("admitted", None, "確認済み")
    with place.opened() as centre:
        assert [item.held for item in centre.ledger.counts(HELD)] == [0]
        assert [item.received for item in centre.ledger.counts(HELD)] == [15]
        assert centre.ledger.next_sequence("kenpo-a", "member_registration") == 5
    assert place.run().receptions == (HELD,)
    assert reception(place, HELD).outcome == "accepted"
    sound(place)


def test_after_a_release_the_gap_is_closed_for_those_behind_it(place: Place) -> None:
    lay(place, "kenpo-a", 5, persons=5, first_person=4_000)
    place.run()
    assert reception(place, 6).code == "H101"
    decide(place, release, HELD)
    place.run()
    assert [reception(place, number).outcome for number in (HELD, 6)] == ["accepted", "accepted"]
    lay(place, "kenpo-a", 3, persons=5, first_person=5_000)  # the one that never came comes late
    place.run()
    assert reception(place, 7).code == "H103"
    sound(place)


def test_other_bytes_under_a_used_name_can_be_released(place: Place) -> None:
    lay(place, "kyokai", 1, persons=3, first_person=9_000)
    place.run()
    assert reception(place, 6).code == "H102"
    with place.opened() as centre:
        before = centre.ledger.next_sequence("kyokai", "member_registration")
    decide(place, release, 6)
    place.run()
    assert reception(place, 6).outcome == "accepted"
    with place.opened() as centre:
        assert centre.ledger.next_sequence("kyokai", "member_registration") == before
    sound(place)


def test_a_refused_file_counts_as_a_file_only_and_its_sender_is_told(place: Place) -> None:
    refused = decide(place, refuse, HELD)
    assert (refused.state, refused.outcome, refused.code) == ("closed", "refused", "F901")
    assert (refused.reason, refused.told) == ("確認済み", "refused F901")
    with place.opened() as centre:
        assert centre.ledger.counts(HELD) == []
        assert centre.ledger.next_sequence("kenpo-a", "member_registration") < HELD
    told = next(place.outbox("kenpo-a").glob("AK_MR_kenpo-a_000004*")).read_bytes()
    assert b"F901" in told
    assert place.run().receptions == ()
    sound(place)


def test_a_refused_file_frees_its_number(place: Place) -> None:
    decide(place, refuse, HELD)
    for sequence in (3, 4):
        lay(place, "kenpo-a", sequence, persons=5, first_person=6_000 + 10 * sequence)
    place.run()
    assert [reception(place, number).outcome for number in (6, 7)] == ["accepted", "accepted"]


@pytest.mark.parametrize("act", [release, refuse])
@pytest.mark.parametrize("number", [ACCEPTED, DUPLICATE, REFUSED])
def test_only_held_files_are_decided_on(used: Place, act: Decide, number: int) -> None:
    with pytest.raises(UsageError) as error:
        decide(used, act, number)
    assert (error.value.key, error.value.where) == ("operate.not_held", {"reception": str(number)})


@pytest.mark.parametrize("act", [release, refuse])
@pytest.mark.parametrize(
    ("operator", "key"),
    [
        ("batch", "operate.batch_actor"),
        ("Batch", "operate.batch_actor"),
        ("", "operate.no_operator"),
        ("花子", "operate.no_operator"),
        ("123456789018", "operate.no_operator"),
        ("a\nb", "operate.no_operator"),
    ],
)
def test_nobody_decides_under_a_name_that_is_no_persons(
    used: Place, act: Decide, operator: str, key: str
) -> None:
    with pytest.raises(UsageError) as error:
        decide(used, act, HELD, operator)
    assert error.value.key == key


@pytest.mark.parametrize(
    ("reason", "key"),
    [("", "operate.no_reason"), (" ", "operate.no_reason"), ("123456789018", "oplog.reason")],
)
def test_a_decision_needs_a_reason_without_numbers(place: Place, reason: str, key: str) -> None:
    before = sound(place)
    with place.opened() as centre, pytest.raises(UsageError) as error:
        release(centre, HELD, reason, "hanako")
    assert error.value.key == key
    assert sound(place) == before


def test_a_decision_is_logged_with_actor_and_reason(place: Place) -> None:
    decide(place, release, HELD)
    intent, done = entries(place)[-2:]
    for entry in (intent, done):
        assert (entry["operation"], entry["actor"]) == ("release", "hanako")
        assert entry["where"] == {
            "reception": HELD,
            "reason": "確認済み",
            "sender": "kenpo-a",
            "code": "H101",
        }
    assert (intent["kind"], done["kind"]) == ("intent", "done")


def test_nothing_is_decided_or_run_again_while_a_job_runs(used: Place) -> None:
    with (
        used.opened() as centre,
        lease(centre.folder("locks"), centre.ledger, "jobs", centre.clock()),
    ):
        for act in (
            lambda: release(centre, HELD, "x", "hanako"),
            lambda: refuse(centre, HELD, "x", "hanako"),
            lambda: rerun(centre, ACCEPTED),
        ):
            with pytest.raises(LeaseHeld):
                act()


# --- rerun


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (ACCEPTED, "operate.plan_finished"),
        (DUPLICATE, "operate.plan_finished"),
        (HELD, "operate.plan_held"),
    ],
)
def test_what_is_finished_or_held_is_only_told_again(
    place: Place, number: int, reason: str
) -> None:
    before = sound(place)
    contents = {path.name: path.read_bytes() for path in place.outbox("kenpo-a").iterdir()}
    for path in place.outbox("kenpo-a").iterdir():
        path.unlink()
    for _ in range(2):
        assert again(place, number)[0] == Plan(number, ("acknowledge",), reason)
        own = {path.name: path.read_bytes() for path in place.outbox("kenpo-a").iterdir()}
        assert own == {name: text for name, text in contents.items() if f"{number:010d}" in name}
        assert own
    for other in (ACCEPTED, DUPLICATE, HELD):
        again(place, other)
    assert sound(place) == before


def test_a_refused_file_that_is_still_wrong_is_refused_as_before(place: Place) -> None:
    before, closed = sound(place), reception(place, REFUSED).closed_at
    place.now += timedelta(days=2)
    for _ in range(2):
        plan, code = again(place, REFUSED)
        assert plan == Plan(REFUSED, WHOLE, "operate.plan_refused")
        assert code == Exit.HELD
        assert sound(place) == before
    assert reception(place, REFUSED).closed_at == closed  # its retention is not prolonged


def test_a_file_refused_for_rights_enters_once_its_sender_has_them(empty: Place) -> None:
    lay(empty, "kenpo-a", 1, persons=5, insurer="kyokai")
    empty.run()
    assert reception(empty, 1).code == "F201"
    text = (empty.root / "site.toml").read_text(encoding="utf-8")
    own, more = (INSURERS[name][0].code for name in ("kenpo-a", "kyokai"))
    empty.write_site(text.replace(f'insurers = ["{own}"]', f'insurers = ["{own}", "{more}"]'))
    assert again(empty, 1) == (Plan(1, WHOLE, "operate.plan_refused"), Exit.DONE)
    found = reception(empty, 1)
    assert (found.outcome, found.code, found.told) == ("accepted", None, "accepted")
    before = sound(empty)
    assert again(empty, 1)[0].steps == ("acknowledge",)
    assert sound(empty) == before


def test_a_file_refused_for_its_share_of_rejects_is_judged_anew_in_a_new_group(
    empty: Place,
) -> None:
    lay(empty, "kyokai", 1, persons=60, bad_persons=55, codes=["R101"])
    lay(empty, "kenpo-a", 1, persons=10, first_person=500)
    empty.run()
    assert reception(empty, 2).code == "F121"
    before = sound(empty)
    for _ in range(2):
        assert again(empty, 2)[0].steps == WHOLE
        assert reception(empty, 2).code == "F121"
        assert sound(empty) == before
    assert reception(empty, 1).outcome == "accepted"


def test_a_number_that_another_file_has_used_since_holds_the_refused_one(empty: Place) -> None:
    lay(empty, "kenpo-a", 1, persons=5, insurer="kyokai")
    empty.run()
    lay(empty, "kenpo-a", 1, persons=5)
    empty.run()
    text = (empty.root / "site.toml").read_text(encoding="utf-8")
    own, more = (INSURERS[name][0].code for name in ("kenpo-a", "kyokai"))
    empty.write_site(text.replace(f'insurers = ["{own}"]', f'insurers = ["{own}", "{more}"]'))
    assert again(empty, 1)[1] == Exit.HELD
    assert [reception(empty, 1).code, reception(empty, 2).outcome] == ["H103", "accepted"]
    before = sound(empty)
    assert again(empty, 1)[0].steps == ("acknowledge",)
    assert sound(empty) == before


@pytest.mark.parametrize(
    ("code", "reason"), [("F901", "operate.plan_decided"), ("F101", "operate.plan_name")]
)
def test_a_decision_of_a_person_and_a_wrong_name_stand(
    place: Place, code: str, reason: str
) -> None:
    number = HELD
    if code == "F901":
        decide(place, refuse, HELD)
    else:
        path = lay(place, "kyokai", 3, persons=2, first_person=8_000)
        path.rename(path.with_name("members.csv"))
        place.run()
        number = 6
    assert reception(place, number).code == code
    before = sound(place)
    assert again(place, number)[0] == Plan(number, ("acknowledge",), reason)
    assert sound(place) == before


def test_nothing_is_left_to_run_again_after_the_erasure(place: Place) -> None:
    place.now += timedelta(days=40)
    place.run("erase_expired")
    with place.opened() as centre:
        for act in (plan_rerun, rerun):
            with pytest.raises(UsageError) as error:
                act(centre, ACCEPTED)
            assert error.value.key == "operate.erased"


def test_an_unknown_reception_is_said_to_be_none(used: Place) -> None:
    with used.opened() as centre, pytest.raises(UsageError) as error:
        plan_rerun(centre, 99)
    assert error.value.key == "ledger.no_reception"


class Killed(BaseException):
    pass


@pytest.mark.parametrize(
    ("event", "steps"),
    [
        ("noted", WHOLE),
        ("gated", WHOLE),  # the other file still waits for the gate
        ("admitted", WHOLE[1:]),
        ("grouped", WHOLE[2:]),
        ("linked", WHOLE[2:]),
        ("written", WHOLE[4:]),
        ("table committed", WHOLE[4:]),
        ("committed", WHOLE[5:]),
    ],
)
def test_a_run_that_was_killed_is_finished_as_it_would_have_been(
    place: Place, event: str, steps: tuple[str, ...]
) -> None:
    lay(place, "kenpo-a", 3, persons=10, first_person=5_000)
    lay(place, "kouki-rengo", 1, persons=10, first_person=5_005)

    def kill(name: str, **_: object) -> None:
        if name == event:
            raise Killed

    centre = open_centre(place.root, place.key, clock=lambda: place.now, observe=kill)
    with pytest.raises(Killed):
        run_job(centre, "register_members")
    centre.close()
    number = 6
    plan, _ = again(place, number)
    assert plan.steps == steps
    assert reception(place, number).told == "accepted"
    done = sound(place)
    again(place, number)
    assert sound(place) == done
    if event == "committed":
        return  # nothing was left to do for the one; the other is told by the next run
    if event == "noted":
        return  # both files still lay in the inboxes when this kill came
    assert reception(place, 7).told == "accepted"
    place.run()
    assert sound(place) == done


def test_a_refused_file_of_a_group_under_way_is_not_closed_by_it_again(empty: Place) -> None:
    lay(empty, "kyokai", 1, persons=60, bad_persons=55, codes=["R101"])
    lay(empty, "kenpo-a", 1, persons=10, first_person=500)

    def kill(name: str, **_: object) -> None:
        if name == "written":
            raise Killed

    centre = open_centre(empty.root, empty.key, clock=lambda: empty.now, observe=kill)
    with pytest.raises(Killed):
        run_job(centre, "register_members")
    centre.close()
    assert reception(empty, 2).code == "F121"
    again(empty, 2)
    assert (reception(empty, 2).outcome, reception(empty, 2).code) == ("refused", "F121")
    again(empty, 1)
    sound(empty)


def test_a_reception_whose_job_is_gone_cannot_be_run_again(place: Place) -> None:
    with sqlite3.connect(place.root / "ledger" / "koukan.sqlite") as connection:
        connection.execute("UPDATE reception SET job = 'gone' WHERE number = 5")
    connection.close()
    before = reception(place, REFUSED)
    with place.opened() as centre, pytest.raises(UsageError) as error:
        rerun(centre, REFUSED)
    assert error.value.key == "engine.no_job"
    assert reception(place, REFUSED) == before


def test_counts_of_a_released_file_say_only_what_was_received(place: Place) -> None:
    decide(place, release, HELD)
    with place.opened() as centre:
        (counts,) = centre.ledger.counts(HELD)
    assert counts == Counts(INSURERS["kenpo-a"][0].code, counts.first_line, 15)
