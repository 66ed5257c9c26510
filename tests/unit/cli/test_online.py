"""`koukan online`: what was pushed, and pushes by hand."""

from __future__ import annotations

from centres import Place
from pushing import with_partner


def test_pushes_are_listed_and_made_by_hand(call, copy) -> None:
    assert call("online", "export", "--full", *copy.options).code == 64  # nobody to push to
    with_partner(Place(copy.root, copy.key))
    assert "まだ連携はありません" in call("online", "status", *copy.options).out
    pushed = call("online", "export", "--full", "--json", *copy.options).document
    assert (pushed["kind"], pushed["state"]) == ("full", "laid")
    assert pushed["persons"] == pushed["unanswered"] > 0
    again = call("online", "resend", "--since", "1", *copy.options).out
    assert "000002" in again and "全件" in again
    assert call("online", "resend", "--since", "7", *copy.options).code == 64
    listed = call("online", "status", "--json", *copy.options).document["pushes"]
    assert [one["sequence"] for one in listed] == [1, 2]
    assert "回答待ち" in call("online", "status", *copy.options).out
