"""The review behind the night, against spells that are compared pair by pair."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import polars as pl
import pytest
from centres import Place, lay
from histories import (
    FIRST,
    KENPO,
    KYOKAI,
    REGISTERED,
    SECOND,
    SHARED,
    THIRD,
    lay_losses,
    member_ids,
)
from histories import told as events_of
from journey.stops import stopping
from lives import Event, told
from statements import joined, say

from koukan.engine.centre import Centre
from koukan.engine.digest import state_digest
from koukan.engine.overlapping import of_review
from koukan.engine.run import run_job
from koukan.engine.verify import verify_ledger
from koukan.errors import UsageError
from koukan.flows.registration import HISTORY
from koukan.ledger import reviews

JOB = "review_spells"
Codes = dict[tuple[str, str], set[str]]  # by insurer and 被保険者枝番


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A night of each insurer; they share some persons."""
    found = Place(tmp_path / "site", tmp_path / "keys" / "batch.key").initialised()
    found.now = FIRST
    lay(found, "kyokai", 1, persons=REGISTERED)
    found.run()
    found.now = SECOND
    lay(found, "kenpo-a", 1, persons=REGISTERED, first_person=SHARED.start)
    found.run()
    return found


def notices(place: Place, sender: str) -> dict[str, str]:
    outbox = place.outbox(sender)
    return {path.name: path.read_text("cp932") for path in sorted(outbox.glob("SN_*"))}


def codes_in(text: str) -> Codes:
    """What a notice says: insurer of its first line, member and code of the others."""
    head, *lines, _ = [line.split(",") for line in text.splitlines()]
    found: Codes = {}
    for line in lines:
        found.setdefault((head[1], line[1]), set()).add(line[2])
    return found


def expected(place: Place, groups: set[int], same: Mapping[int, int] | None = None) -> Codes:
    """Every two spells of a person, one of them of these groups, that cover a day together.

    Args:
        same: a person's 紐付番号 -> another one that is the same person.
    """
    found: Codes = {}
    with place.opened() as centre:
        people: dict[int, list[Event]] = {}
        for link, events in events_of(centre).items():
            people.setdefault((same or {}).get(link, link), []).extend(events)
        roster = members(place)
    for events in people.values():
        spells = list(told(events).values())
        for one in spells:
            for two in spells:
                if one is two or not groups & {one.group_number, two.group_number}:
                    continue
                ends = [e.disqualification_date for e in (one, two) if e.disqualification_date]
                latest = max(one.qualification_date, two.qualification_date)
                if all(latest < end for end in ends):
                    code = "W411" if one.insurer_code == two.insurer_code else "W412"
                    who = one.insurer_code, roster[one.insurer_code, one.link_number]
                    found.setdefault(who, set()).add(code)
    return found


def link_of(centre: Centre, insurer: str, member: str) -> int:
    """The 紐付番号 under which a member's events lie."""
    history = centre.snapshot(HISTORY)
    own = (pl.col("insurer_code") == insurer) & (pl.col("member_id") == int(member))
    rows = history.read(history.files(section="basic"), ["link_number"], section="basic", where=own)
    return int(rows["link_number"][0])


def members(place: Place) -> dict[tuple[str, int], str]:
    """被保険者枝番 by insurer and 紐付番号."""
    found = {}
    with place.opened() as centre:
        for insurer, sender in ((KYOKAI, "kyokai"), (KENPO, "kenpo-a")):
            for member in member_ids(place, sender):
                found[insurer, link_of(centre, insurer, member)] = member
    return found


def test_both_insurers_are_told_once_of_what_overlaps(place: Place) -> None:
    place.run(JOB)
    wanted = expected(place, {1, 2})
    assert len(wanted) == 2 * len(SHARED)
    (kyokai,), (kenpo,) = notices(place, "kyokai").values(), notices(place, "kenpo-a").values()
    assert codes_in(kyokai) | codes_in(kenpo) == wanted
    assert KENPO not in kyokai
    assert KYOKAI not in kenpo
    with place.opened() as centre:
        before = state_digest(centre)
        assert verify_ledger(centre) == []
        assert [(one.insurer, one.same, one.other) for one in reviews.notices(centre.ledger)] == [
            (insurer, 0, len(SHARED)) for insurer in sorted((KYOKAI, KENPO))
        ]
        rows = of_review(centre, 1)
        assert set(rows["insurer_code"]) == {KYOKAI, KENPO}
        assert rows["member_id"].str.len_chars().unique().to_list() == [10]
        with pytest.raises(UsageError):
            of_review(centre, 2)
    place.run(JOB)  # nothing came since
    with place.opened() as centre:
        assert state_digest(centre) == before


def test_only_what_the_night_touched_is_told_again(place: Place) -> None:
    place.run(JOB)
    place.now = THIRD
    lay_losses(place, "kyokai", 2, member_ids(place, "kyokai")[: SHARED.start + 5], on=THIRD)
    place.run()
    place.run(JOB)
    wanted = expected(place, {3})
    assert 0 < len(wanted) <= 10
    told_now = codes_in(notices(place, "kyokai")[f"SN_{KYOKAI}_000002.csv"])
    assert told_now | codes_in(notices(place, "kenpo-a")[f"SN_{KENPO}_000002.csv"]) == wanted


def test_persons_that_were_joined_are_looked_at_across_buckets(place: Place) -> None:
    place.run(JOB)
    own = member_ids(place, "kyokai")[:8]
    place.now = THIRD
    lay_losses(place, "kyokai", 2, own, on=THIRD)
    place.run()
    with place.opened() as centre:
        links = [link_of(centre, KYOKAI, member) for member in own]
        say(centre, [joined(int(own[1]), links[1], links[0], 3, insurer=int(KYOKAI))], group=3)
    place.run(JOB)
    wanted = expected(place, {3}, {links[1]: links[0]})
    assert wanted == {(KYOKAI, own[at]): {"W411"} for at in (0, 1)}
    assert codes_in(notices(place, "kyokai")[f"SN_{KYOKAI}_000002.csv"]) == wanted


@pytest.mark.parametrize(
    ("event", "times"), [("review named", 1), ("notice laid out", 1), ("notice laid out", 2)]
)
def test_a_review_that_was_killed_is_done_again(place: Place, event: str, times: int) -> None:
    with place.opened() as centre, stopping(centre, event, times=times):
        run_job(centre, JOB)
    place.run(JOB)
    wanted = expected(place, {1, 2})
    found = {**notices(place, "kyokai"), **notices(place, "kenpo-a")}
    assert len(found) == 2
    assert {
        who: codes for text in found.values() for who, codes in codes_in(text).items()
    } == wanted
    with place.opened() as centre:
        assert [one.state for one in reviews.reviews(centre.ledger)] == ["done"]
        assert verify_ledger(centre) == []


def test_a_notice_that_was_altered_is_found_and_one_that_was_taken_is_not(place: Place) -> None:
    place.run(JOB)
    (path,) = place.outbox("kyokai").glob("SN_*")
    (other,) = place.outbox("kenpo-a").glob("SN_*")
    path.write_bytes(path.read_bytes().replace(b"W412", b"W411", 1))
    other.unlink()
    with place.opened() as centre:
        assert [one.key for one in verify_ledger(centre)] == ["verify.notice_file"]


def test_an_insurer_for_which_nobody_speaks_is_counted_only(place: Place) -> None:
    site = place.root / "site.toml"
    text = site.read_text(encoding="utf-8")
    place.write_site(text.replace(f'insurers = ["{KENPO}"]', f'insurers = ["{KYOKAI}"]'))
    place.run(JOB)
    with place.opened() as centre:
        assert [(one.insurer, bool(one.name)) for one in reviews.notices(centre.ledger)] == sorted(
            [(KYOKAI, True), (KENPO, False)]
        )
        assert verify_ledger(centre) == []
