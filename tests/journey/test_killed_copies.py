"""Copies (副本): whatever was killed comes to the same end when it is done again.

The kills are real (SIGKILL), of jobs at their boundaries. With KOUKAN_TEST_LONG=1 at every one of
them, by default at drawn ones.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from copies_site import DEPOSIT, RETURN, Copy, ask, code, copied, rows, site, tell
from histories import member_ids
from journey import checks
from journey.killing import drawn, killed, undisturbed
from withdrawals import FORGET, members, withdraw

from koukan.engine.digest import state_digest
from koukan.ledger import copies as known

ACTS = [DEPOSIT, RETURN, "collect", "confirm_delivery", FORGET, "compact_tables"]


def test_registering_returning_and_erasing_may_be_killed_anywhere(tmp_path: Path) -> None:
    """Copies of two insurers, some deleted in the same run, and of a member that is withdrawn."""
    place = site(tmp_path / "before")
    ours, theirs = member_ids(place, "kenpo-a"), member_ids(place, "kenpo-b")
    tell(place, [Copy(one, kind=kind) for one in ours for kind in ("0101", "0201")])
    tell(place, [Copy(one) for one in theirs], sender="kenpo-b")
    place.run(DEPOSIT)
    tell(place, [Copy(ours[0]).deleted(), Copy(ours[1]).replaced("x"), Copy("0" * 10)], 2)
    tell(place, [Copy(ours[1]).deleted()], 3)
    tell(place, [Copy(theirs[0]).deleted()], 2, "kenpo-b")
    ask(place, [""])
    ask(place, [theirs[1], "0" * 10], sender="kenpo-b")
    with place.opened() as centre:
        withdraw(centre, members(centre, code("kenpo-b"))[-1])
    whole = copied(place, tmp_path / "whole")
    count = undisturbed(whole, ACTS)
    assert count > 60
    with whole.opened() as centre:
        wanted = state_digest(centre)
        assert checks.problems(centre) == []
        assert all(one.erased_by for one in known.all_deletions(centre.ledger))
        assert {one.state for one in known.all_packages(centre.ledger)} == {"delivered"}
    assert rows(whole)["member_id"].to_list().count(int(ours[1])) == 1
    for at in drawn(count, 3, seed=5):
        own = copied(place, tmp_path / f"{at}")
        killed(own, at, ACTS)
        with own.opened() as centre:
            assert state_digest(centre) == wanted, at
            assert checks.problems(centre) == [], at
        shutil.rmtree(own.root.parent)
