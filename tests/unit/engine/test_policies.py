"""Policies at work: gaps, other sums, late files and too many rejected lines, by insurer."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from centres import Place, lay

from koukan.engine.centre import Centre
from koukan.engine.digest import state_digest
from koukan.engine.operate import refuse, release, rerun
from koukan.engine.verify import verify_ledger
from koukan.errors import DefinitionError
from koukan.ledger import Reception
from koukan.samples.scenario import INSURERS

KENPO = INSURERS["kenpo-a"][0].code


def say(place: Place, policy: str, insurer: str | None = KENPO) -> None:
    """Write a policy into site.toml: of one insurer, or of the site."""
    text = (place.root / "site.toml").read_text(encoding="utf-8")
    if insurer is None:
        place.write_site(f"{text}\n[policy]\n{policy}\n")
        return
    line = f'code = "{insurer}"\n'
    assert line in text
    place.write_site(text.replace(line, f"{line}policy = {{ {policy} }}\n"))


def receptions(place: Place) -> list[Reception]:
    with place.opened() as centre:
        return centre.ledger.receptions()


def ends(place: Place) -> list[tuple[str | None, str | None, tuple[str, ...]]]:
    return [(item.outcome, item.code, item.remarks) for item in receptions(place)]


def sound(place: Place) -> str:
    with place.opened() as centre:
        assert verify_ledger(centre) == []
        return state_digest(centre)


def act(place: Place, decide: object, number: int) -> None:
    with place.opened() as centre:
        assert callable(decide)
        decide(centre, number, "確認済み", "hanako")


def other_total(path: Path) -> None:
    """The end record of a file with another 照合合計."""
    lines = path.read_bytes().splitlines(keepends=True)
    end = lines[-1].rstrip(b"\r\n")
    last = b"1" if end.endswith(b"0") else b"0"
    path.write_bytes(b"".join([*lines[:-1], end[:-1] + last + b"\r\n"]))


def acknowledged(place: Place, sender: str, number: int) -> bytes:
    return next(place.outbox(sender).glob(f"AK_*_{number:010d}.csv")).read_bytes()


# --- a gap in the sequence


def test_a_gap_holds_unless_the_insurer_says_otherwise(empty: Place) -> None:
    say(empty, 'sequence_gap = "warn"')
    for sender in ("kenpo-a", "kyokai"):
        lay(empty, sender, 3, persons=4, first_person=100 if sender == "kyokai" else 0)
    empty.run()
    assert ends(empty) == [("accepted", None, ("W501",)), ("held", "H101", ())]
    assert b"14,W501" in acknowledged(empty, "kenpo-a", 1)
    sound(empty)


def test_behind_a_gap_that_was_passed_nothing_is_remarked_and_the_forgotten_may_come(
    empty: Place,
) -> None:
    say(empty, 'sequence_gap = "warn"', insurer=None)
    lay(empty, "kenpo-a", 2, persons=4)
    lay(empty, "kenpo-a", 3, persons=4, first_person=10)
    empty.run()
    lay(empty, "kenpo-a", 1, persons=4, first_person=20)  # forgotten
    lay(empty, "kenpo-a", 4, persons=4, first_person=30)
    empty.run()
    told = [("accepted", None, remarks) for remarks in (("W501",), (), ("W501",), ())]
    assert ends(empty) == told
    lay(empty, "kenpo-a", 1, persons=5, first_person=40)  # a used number is still a used number
    empty.run()
    assert ends(empty)[-1][:2] == ("held", "H102")
    sound(empty)


# --- an end record with other sums


def test_other_sums_refuse_or_hold(empty: Place) -> None:
    other_total(lay(empty, "kenpo-a", 1, persons=4))
    empty.run()
    assert ends(empty) == [("refused", "F115", ())]
    say(empty, 'end_mismatch = "hold"')
    other_total(lay(empty, "kenpo-a", 1, persons=4))  # the same bytes, under another policy
    empty.run()
    assert ends(empty)[1] == ("held", "H104", ())
    sound(empty)
    with empty.opened() as centre:
        assert [(item.received, item.held) for item in centre.ledger.counts(2)] == [(12, 12)]
    for _ in range(2):  # nothing but an operator takes it on
        empty.run()
        assert ends(empty)[1] == ("held", "H104", ())
    act(empty, release, 2)
    empty.run()
    assert ends(empty)[1] == ("accepted", None, ("W504",))
    sound(empty)


def test_who_may_not_send_is_refused_whatever_the_sums_are(empty: Place) -> None:
    say(empty, 'end_mismatch = "hold"', insurer=None)
    other_total(lay(empty, "kenpo-a", 1, persons=4, insurer="kyokai"))
    torn = lay(empty, "kyokai", 1, persons=4)
    torn.write_bytes(torn.read_bytes()[:-20])
    empty.run()
    assert ends(empty) == [("refused", "F201", ()), ("refused", "F106", ())]


# --- late


def test_a_late_file_is_remarked(empty: Place) -> None:
    say(empty, "late_days = 3")
    say(empty, "late_days = 0", insurer=INSURERS["kyokai"][0].code)
    empty.now += timedelta(days=4)
    for place, sender in enumerate(("kenpo-a", "kenpo-b", "kyokai")):
        lay(empty, sender, 1, persons=3, first_person=10 * place)
    empty.run()
    found = {item.sender: item.remarks for item in receptions(empty)}
    assert found == {"kenpo-a": ("W502",), "kenpo-b": (), "kyokai": ()}


# --- too many rejected lines


def bad(place: Place, sequence: int = 1, first_person: int = 0) -> None:
    lay(
        place,
        "kenpo-a",
        sequence,
        persons=60,
        bad_persons=50,
        codes=["R101"],
        first_person=first_person,
    )


def test_too_many_rejected_lines_are_taken_in_with_a_remark(empty: Place) -> None:
    say(empty, 'reject_share_beyond = "warn"')
    bad(empty)
    lay(empty, "kyokai", 1, persons=60, bad_persons=50, codes=["R101"], first_person=500)
    empty.run()
    assert ends(empty) == [("accepted", None, ("W503",)), ("refused", "F121", ())]
    sound(empty)


def test_too_many_rejected_lines_are_held_and_nothing_else_of_the_group(empty: Place) -> None:
    say(empty, 'reject_share_beyond = "hold"')
    bad(empty)
    lay(empty, "kenpo-a", 2, persons=5, first_person=300)
    lay(empty, "kyokai", 1, persons=10, first_person=500)
    empty.run()
    assert ends(empty) == [("held", "H105", ())] + [("accepted", None, ())] * 2
    before = sound(empty)
    empty.run()
    assert sound(empty) == before
    assert b"H105" in acknowledged(empty, "kenpo-a", 1)
    act(empty, release, 1)
    empty.run()
    assert ends(empty)[0] == ("accepted", None, ("W503",))
    with empty.opened() as centre:
        (counted,) = centre.ledger.counts(1)
        assert counted.balanced
        assert (counted.received, counted.held) == (180, 0)
        assert counted.accepted >= 30
    sound(empty)


def test_a_file_held_for_its_rejects_can_be_refused_and_sent_mended(empty: Place) -> None:
    say(empty, 'reject_share_beyond = "hold"\nreject_share = 0.2'.replace("\n", ", "))
    bad(empty)
    empty.run()
    act(empty, refuse, 1)
    lay(empty, "kenpo-a", 1, persons=60)
    empty.run()
    assert ends(empty) == [("refused", "F901", ()), ("accepted", None, ())]
    sound(empty)


def test_a_rerun_judges_by_the_policy_that_held_when_the_file_came(empty: Place) -> None:
    bad(empty)
    empty.run()
    say(empty, 'reject_share_beyond = "warn"')

    def again(centre: Centre) -> None:
        rerun(centre, 1)

    with empty.opened() as centre:
        again(centre)
    assert ends(empty) == [("refused", "F121", ())]
    bad(empty)  # sent again it is judged by today's
    empty.run()
    assert ends(empty)[1] == ("accepted", None, ("W503",))
    sound(empty)


def test_a_wrong_policy_is_told_with_its_place(empty: Place) -> None:
    say(empty, 'sequence_gap = "ignore"')
    with pytest.raises(DefinitionError) as error, empty.opened():
        pass
    assert "policy.sequence_gap" in error.value.where["known"]
